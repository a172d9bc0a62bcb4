"""Values for fields that are not set: from environment variables, and for edits from the fields for generation."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from image_gateway.errors import NotConfigured
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import origin

_EDIT_SERVERS = (
    ("IMAGES_EDIT_OPENAI_API_BASE_URL", "IMAGES_EDIT_OPENAI_API_KEY", "IMAGES_EDIT_OPENAI_API_VERSION"),
    ("IMAGES_EDIT_GEMINI_API_BASE_URL", "IMAGES_EDIT_GEMINI_API_KEY"),
    ("IMAGES_EDIT_COMFYUI_BASE_URL", "IMAGES_EDIT_COMFYUI_API_KEY"),
)
"""URL, key and further fields of each server for edits. The fields for generation have these names without `EDIT`."""


def environment_values(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the configuration fields that are set as environment variables with the same name.

    Raises:
        NotConfigured: a variable does not validate; `field` is its name.
    """
    values: dict[str, Any] = {}
    for name in ImagesConfig.model_fields:
        text = environ.get(name)
        if text:
            values[name] = _json_or_text(text) if name.endswith("_NODES") else text
    try:
        ImagesConfig.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        name = str(first["loc"][0]) if first["loc"] else "COMFYUI_WORKFLOW_NODES"
        raise NotConfigured(f"The environment variable {name} {first['msg']}", field=name) from None
    return values


def with_edit_fallbacks(config: ImagesConfig) -> ImagesConfig:
    """Return a configuration in which unset server fields for edits have the values for generation.

    If the URL for edits is empty, URL, key and version are those for generation. If only the key is empty, it is the
    key for generation, provided that both URLs have the same origin.
    """
    fallbacks: dict[str, Any] = {}
    for edit_fields in _EDIT_SERVERS:
        fields = [_generation_field(name) for name in edit_fields]
        (edit_url, edit_key), (url, key) = edit_fields[:2], fields[:2]
        if not getattr(config, edit_url):
            fallbacks |= {edit: getattr(config, name) for edit, name in zip(edit_fields, fields, strict=True)}
        elif not getattr(config, edit_key) and origin(getattr(config, edit_url)) == origin(getattr(config, url)):
            fallbacks[edit_key] = getattr(config, key)
    return config.model_copy(update=fallbacks)


def _generation_field(edit_field: str) -> str:
    return edit_field.replace("IMAGES_EDIT_COMFYUI", "COMFYUI").replace("IMAGES_EDIT", "IMAGES")


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
