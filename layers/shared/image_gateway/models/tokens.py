"""Requests and responses of the token routes."""

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from image_gateway.models.fields import EngineName, one_of
from image_gateway.models.limits import TokenLimitFields, TokenLimitState
from image_gateway.models.names import ConnectionName, RouteName

RoleName = Literal["user", "admin"]

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)")


def _check_rfc3339(value: object) -> object:
    if value is not None and not (isinstance(value, str) and _RFC3339.fullmatch(value)):
        raise PydanticCustomError("timestamp", "must be a time with a time zone, for example 2027-01-31T12:00:00Z")
    return value


def _whole_utc_second(moment: datetime) -> datetime:
    try:
        moment = moment.astimezone(UTC).replace(microsecond=0)
    except OverflowError:
        raise PydanticCustomError("timestamp", "must be a time before the year 10000") from None
    if moment <= datetime.now(UTC):
        raise PydanticCustomError("timestamp", "must be in the future")
    return moment


def _name(text: str) -> str:
    text = text.strip()
    if not text or not text.isprintable():
        raise PydanticCustomError("name", "must be 1 to 100 printable characters")
    return text


Expiry = Annotated[AwareDatetime, AfterValidator(_whole_utc_second)]
Engines = Annotated[frozenset[EngineName], Field(min_length=1)]
Models = Annotated[frozenset[Annotated[str, Field(min_length=1, max_length=256)]], Field(min_length=1, max_length=100)]
Connections = Annotated[frozenset[ConnectionName], Field(min_length=1, max_length=100)]
Routes = Annotated[frozenset[RouteName], Field(min_length=1, max_length=100)]


_FORWARDS_USERS = (
    "Whether the token is trusted to say who its end users are: by the headers X-OpenWebUI-User-Id or "
    "X-OpenWebUI-User-Email, else by `safety_identifier` or `user`."
)


class TokenForm(TokenLimitFields):
    """A token to create."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    name: Annotated[str, Field(min_length=1, max_length=100), AfterValidator(_name)] = Field(
        description="A name for people: who uses the token, or what for.", examples=["the newsroom"]
    )
    role: RoleName = Field(
        description="`user` generates and edits images; `admin` may also read and change everything else."
    )
    expires_at: Annotated[Expiry | None, BeforeValidator(_check_rfc3339)] = Field(
        None, description="When the token expires, to the second, with a time zone; absent or null: never."
    )
    engines: Engines | None = Field(None, description="The engines that the token may use; absent or null: all.")
    models: Models | None = Field(
        None, description="The models that the token may use, by their engines' names; absent or null: all."
    )
    connections: Connections | None = Field(
        None,
        description="The connections that the token may use; absent or null: all. One of the configuration's, such as "
        "`openai`, includes that for edits.",
    )
    routes: Routes | None = Field(
        None,
        description="The routes that the token may use with all their targets. Without other limits it may use nothing "
        "else. Absent or null: those whose targets the other limits allow.",
    )
    forwards_users: bool = Field(default=False, description=_FORWARDS_USERS)


class TokenChanges(TokenLimitFields):
    """Changes of a token. What is left out stays as it is, and null removes a limit."""

    model_config = ConfigDict(extra="forbid")

    forwards_users: bool = Field(default=False, description=_FORWARDS_USERS)


class TokenInfo(TokenLimitState):
    """A token, without its secret. Times are UTC."""

    id: str = Field(description="The owner of this token's jobs and images is `token:{id}`.")
    name: str
    role: Annotated[str, one_of(RoleName)]
    created_at: datetime
    expires_at: datetime | None = Field(description="When the token expires; null: never.")
    last_used_at: datetime | None = Field(description="Last use, recorded at most once an hour; null: never used.")
    engines: list[str] | None = Field(description="The engines that the token may use; null: all.")
    models: list[str] | None = Field(description="The models that the token may use; null: all.")
    connections: list[str] | None = Field(None, description="The connections that the token may use; null: all.")
    routes: list[str] | None = Field(
        None, description="The routes that the token may use; null: those that the other limits allow."
    )
    forwards_users: bool = Field(default=False, description=_FORWARDS_USERS)


class NewToken(TokenInfo):
    """A new token with its secret. The secret is not stored, so it cannot be shown again."""

    token: str = Field(repr=False, description="The secret: send it as `Authorization: Bearer …`.")


class TokenPage(BaseModel):
    """A page of tokens, the newest first."""

    tokens: list[TokenInfo]
    cursor: str | None = Field(None, description="Send it to get the next page; absent on the last page.")
