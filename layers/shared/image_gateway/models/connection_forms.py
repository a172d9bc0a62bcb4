"""Connections in requests and responses."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from image_gateway.models.config import MASK, MAX_SECRET_LENGTH, header_safe
from image_gateway.models.connections import StoredConnection, problem
from image_gateway.models.fields import one_of
from image_gateway.models.names import ConnectionName

ManagedBy = Literal["api", "config"]


def _pair(value: object) -> object:
    """Return a user name and a password as `username:password`."""
    if not isinstance(value, dict):
        return value
    username, password = value.get("username"), value.get("password")
    if not (isinstance(username, str) and isinstance(password, str)) or ":" in username:
        raise PydanticCustomError("auth", "must be an object with username and password, both strings")
    return f"{username}:{password}"


_KeyText = Annotated[str, Field(max_length=MAX_SECRET_LENGTH), AfterValidator(header_safe)]


class ConnectionForm(StoredConnection):
    """A connection to store."""

    model_config = ConfigDict(
        extra="forbid",
        # FastAPI cannot use a body that is built late.
        defer_build=False,
        json_schema_extra={
            "examples": [
                {
                    "engine": "openai",
                    "base_url": "https://example-resource.openai.azure.com/openai/deployments/gpt-image-2",
                    "key": MASK,
                    "api_version": "2025-04-01-preview",
                    "auth": "api-key",
                    "params": {"quality": "low"},
                    "timeout_seconds": 120,
                    "max_concurrent": 4,
                }
            ]
        },
    )

    key: Annotated[_KeyText | None, BeforeValidator(_pair)] = Field(
        None,
        repr=False,
        description="The server's key; `username:password`, or an object with both, for `basic`. Left out, null or "
        "masked: the stored key is kept, if the server is the same. Empty: there is none. Returned masked.",
    )

    @model_validator(mode="after")
    def _check_key(self) -> Self:
        if not self.key or self.key == MASK:
            return self
        if self.auth == "none":
            raise problem("key", "is not sent with auth none: leave it out, or choose how it is sent")
        if self.sends_pair and ":" not in self.key:
            raise problem("key", "must be username:password, or an object with username and password")
        return self

    @property
    def sends_pair(self) -> bool:
        """Whether the key is a user name and a password, for HTTP Basic."""
        return self.auth == "basic" or (self.auth == "auto" and self.engine == "automatic1111")

    def stored(self) -> dict[str, Any]:
        """Return the connection as JSON for the catalogue, without its key and without defaults."""
        return self.model_dump(mode="json", exclude={"key"}, exclude_defaults=True)


class ConnectionInfo(StoredConnection):
    """A connection as it is shown: its key is masked."""

    name: ConnectionName
    key: Annotated[str, AfterValidator(lambda key: MASK if key else "")] = Field(
        "", repr=False, description="Masked if there is one; else empty."
    )
    managed_by: Annotated[str, one_of(ManagedBy)] = Field(
        "api", description="`config`: it is fields of the configuration, and is changed by `config/update` only."
    )
    cooling_until: datetime | None = Field(
        None,
        exclude_if=lambda moment: moment is None,
        description="Until when routes leave the connection alone, because it failed repeatedly. Absent: they use it.",
    )
    cooling_reason: str | None = Field(
        None, exclude_if=lambda reason: reason is None, description="Why: the code of the last failure."
    )


class StoredConnectionInfo(ConnectionInfo):
    """A connection after it was stored. `warnings` is left out where there are none."""

    warnings: list[str] = Field(
        [], exclude_if=lambda warnings: not warnings, description="What will not work as one may expect."
    )


class ConnectionList(BaseModel):
    """All connections, by name: those of the configuration's fields first."""

    model_config = ConfigDict(defer_build=True)

    connections: list[ConnectionInfo]
    unusable: list[ConnectionName] = Field(
        [],
        exclude_if=lambda names: not names,
        description="Names of connections that a newer version has stored, and that this one cannot use.",
    )
