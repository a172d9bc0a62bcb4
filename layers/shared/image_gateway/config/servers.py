"""The servers that the configuration's fields name, one or two for each engine."""

from typing import NamedTuple

from image_gateway.config.fallbacks import with_edit_fallbacks
from image_gateway.engines import REGISTRY, field_for
from image_gateway.models.config import ImagesConfig


class ConfiguredServer(NamedTuple):
    """A server: its base URL, and whether it has a key."""

    url: str
    has_key: bool


def configured_server(config: ImagesConfig, engine: str, *, edit: bool) -> ConfiguredServer | None:
    """Return the engine's server for generation or for edits; None if the engine is not configured.

    An engine is configured if its URL is set. If the URL is the default, which is the provider's own, the key must be
    set too.
    """
    entry = REGISTRY[engine]
    config = with_edit_fallbacks(config) if edit else config
    url_field, key_field = (field_for(name, edit=edit) for name in (entry.url_field, entry.key_field))
    url, has_key = getattr(config, url_field), bool(getattr(config, key_field))
    needs_key = url == ImagesConfig.model_fields[url_field].default
    return ConfiguredServer(url, has_key) if url and (has_key or not needs_key) else None
