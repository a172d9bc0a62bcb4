"""Connections: servers of engines with their credentials, under names."""

import base64
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from image_gateway.models.config import MASK, MAX_SECRET_LENGTH, ImagesConfig, Method, header_safe
from image_gateway.models.fields import EngineName, ExtraFields, HttpUrlText, one_of
from image_gateway.models.names import ConnectionName
from image_gateway.models.secret_names import PublicParams

Auth = Literal["auto", "bearer", "api-key", "x-api-key", "basic", "none"]
"""How a key is sent: in `Authorization` as a bearer token or as HTTP Basic, in a header of its own, or not at all."""
Dialect = Literal["auto", "plain", "azure", "xai", "openrouter"]
"""Which of the APIs that call themselves compatible with OpenAI's a server has."""
ManagedBy = Literal["api", "config"]

MAX_TIMEOUT_SECONDS: Final = 870
MAX_CONCURRENT: Final = 1_000

DEFAULT_URLS: Mapping[str, str] = MappingProxyType(
    {
        "openai": "https://api.openai.com/v1",
        "gemini": "https://generativelanguage.googleapis.com/v1beta",
    }
)
"""Engine → the base URL of its provider. The other engines have none."""

_ONLY_FOR: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "api_version": ("openai",),
        "dialect": ("openai",),
        "extra_fields": ("openai",),
        "endpoint_method": ("gemini",),
        "params": ("openai", "automatic1111"),
    }
)
"""Field → the engines that have it."""


def _pair(value: object) -> object:
    """Return a user name and a password as `username:password`."""
    if not isinstance(value, dict):
        return value
    username, password = value.get("username"), value.get("password")
    if not (isinstance(username, str) and isinstance(password, str)) or ":" in username:
        raise PydanticCustomError("auth", "must be an object with username and password, both strings")
    return f"{username}:{password}"


_KeyText = Annotated[str, Field(max_length=MAX_SECRET_LENGTH), AfterValidator(header_safe)]


def problem(field: str, text: str) -> PydanticCustomError:
    """Return the error of a check of several fields together; `field` is the one to correct."""
    return PydanticCustomError("connection", "{field} {problem}", {"field": field, "problem": text})


class ConnectionFields(BaseModel):
    """What the forms of a connection have in common. The key is no part of it."""

    # Most invocations need none, so a cold start does not build it.
    model_config = ConfigDict(hide_input_in_errors=True, defer_build=True)

    engine: EngineName = Field(description="The kind of server.")
    base_url: HttpUrlText = Field(
        "", description="Base URL of the server; may be left out for the providers' own of `openai` and `gemini`."
    )
    api_version: Annotated[str, Field(max_length=64)] = Field(
        "", description="openai: sent as `?api-version=` (Azure) if set."
    )
    auth: Auth = Field(
        "auto",
        description="How the key is sent: `bearer` and `basic` in Authorization, `api-key` and `x-api-key` in headers "
        "with these names, `none`: there is no key. `auto`: as the engine's own API wants it.",
    )
    dialect: Dialect = Field(
        "auto",
        description="openai: which of the APIs that are compatible with OpenAI's the server has; auto: by its host.",
    )
    params: PublicParams = Field(
        None,
        description="openai and automatic1111: extra fields of every request, which override those of the request. "
        "Secrets are refused.",
    )
    extra_fields: ExtraFields = Field(
        {},
        description="openai: fields beyond OpenAI's own that the server takes: `seed`, `steps`, `negative_prompt` and "
        "`aspect_ratio`, each with its name there, or as a list.",
    )
    endpoint_method: Method = Field(
        "generateContent", description="gemini: generateContent or predict; empty: chosen by the model's name."
    )
    timeout_seconds: Annotated[int, Field(ge=1, le=MAX_TIMEOUT_SECONDS)] | None = Field(
        None, description="Seconds that the server may take for one request; null: IMAGE_ENGINE_TIMEOUT."
    )
    max_concurrent: Annotated[int, Field(ge=1, le=MAX_CONCURRENT)] | None = Field(
        None, description="How many jobs may run on the server at once; null: the engine's default, mostly no limit."
    )

    @model_validator(mode="after")
    def _check_engine(self) -> Self:
        for name, engines in _ONLY_FOR.items():
            if self.engine not in engines and getattr(self, name) != type(self).model_fields[name].default:
                raise problem(name, f"is no field of connections of {self.engine}")
        if not self.base_url:
            if self.engine not in DEFAULT_URLS:
                raise problem("base_url", f"is needed: there is no default server of {self.engine}")
            self.base_url = DEFAULT_URLS[self.engine]
        return self


class ConnectionForm(ConnectionFields):
    """A connection to store."""

    model_config = ConfigDict(
        extra="forbid",
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


class StoredConnection(ConnectionFields):
    """A connection of the catalogue. Fields that a newer version has stored are ignored."""

    model_config = ConfigDict(extra="ignore")


class ConnectionInfo(ConnectionFields):
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


class ConnectionList(BaseModel):
    """All connections, by name: those of the configuration's fields first."""

    model_config = ConfigDict(defer_build=True)

    connections: list[ConnectionInfo]


class ConnectionConfig(ImagesConfig):
    """A configuration in which the fields of one engine are those of a connection. It is never stored or shown."""

    # Nothing validates it, so a cold start does not build its schema.
    model_config = ConfigDict(defer_build=True)

    connection: str = ""
    auth: Auth = "auto"
    dialect: Dialect = "auto"

    def secrets(self) -> list[str]:
        """Return every secret string, as of a configuration; of a key for HTTP Basic the password and base64 too."""
        secrets = set(super().secrets())
        if self.auth == "basic":
            for pair in [secret for secret in secrets if ":" in secret]:
                secrets |= {pair.partition(":")[2], base64.b64encode(pair.encode()).decode()}
        return sorted(secrets - {""}, key=len, reverse=True)
