"""Connections: servers of engines with their credentials, under names."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from image_gateway.models.config import Method
from image_gateway.models.fields import EngineName, ExtraFields, HttpUrlText
from image_gateway.models.secret_names import PublicParams
from image_gateway.models.servers import Auth, Dialect

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


def problem(field: str, text: str) -> PydanticCustomError:
    """Return the error of a check of several fields together; `field` is the one to correct."""
    return PydanticCustomError("connection", "{field} {problem}", {"field": field, "problem": text})


class StoredConnection(BaseModel):
    """A connection of the catalogue, without its key. Fields that a newer version has stored are ignored."""

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
