"""Projection of a connection into a configuration, so that engines are created in one way.

The configuration's fields are connections themselves, under the names of the engines and those with `-edit`.
"""

from typing import TYPE_CHECKING, Any

from image_gateway.config.catalogue import Catalogue
from image_gateway.config.versioned import VersionedConfig
from image_gateway.errors import NotConfigured
from image_gateway.models.config import SECRETS, ImagesConfig
from image_gateway.models.names import RESERVED_CONNECTIONS
from image_gateway.models.servers import ServerAccess

if TYPE_CHECKING:
    from image_gateway.models.connections import StoredConnection
    from image_gateway.models.routes import StoredTarget


def engine_of(versioned: VersionedConfig, name: str, catalogue: Catalogue | None = None) -> str | None:
    """Return the engine of a connection, the configuration's included; None if there is no such connection.

    Raises:
        NotConfigured: this version cannot use the connection.
        StorageUnavailable: the catalogue is lost.
    """
    if name in RESERVED_CONNECTIONS:
        return name.removesuffix("-edit")
    connection = (catalogue or versioned.catalogue).connection(name)
    return connection.engine if connection else None


def for_connection(versioned: VersionedConfig, name: str, catalogue: Catalogue | None = None) -> ImagesConfig:
    """Return the configuration with which the engine of a connection is created, for generations and for edits.

    Those of the configuration's own connections are the configuration itself: an engine for edits reads its fields for
    edits. For others, URL, key and all other fields of the engine's server are the connection's, also those for edits,
    and no model is configured.

    Args:
        versioned: the current configuration.
        name: the connection.
        catalogue: the catalogue that a job was accepted with; None for the current one. Keys are always the current
            ones, and are only used on the server that they were set for.

    Raises:
        NotConfigured: there is no such connection, this version cannot use it, or its server has changed since.
        StorageUnavailable: the catalogue is lost.
    """
    if name in RESERVED_CONNECTIONS:
        return versioned.config
    connection = (catalogue or versioned.catalogue).connection(name)
    if connection is None:
        raise NotConfigured(f"There is no connection {name}", field="model")
    fields = {
        **_server_fields(connection, versioned.key_of(name, connection)),
        "IMAGE_GENERATION_ENGINE": connection.engine,
        "IMAGE_EDIT_ENGINE": connection.engine,
        "IMAGE_GENERATION_MODEL": "",
        "IMAGE_EDIT_MODEL": "",
        "IMAGE_ENGINE_TIMEOUT": connection.timeout_seconds or versioned.config.IMAGE_ENGINE_TIMEOUT,
    }
    return versioned.config.with_access(ServerAccess(name, connection.auth, connection.dialect), fields)


def with_target(config: ImagesConfig, target: "StoredTarget") -> ImagesConfig:
    """Return a connection's configuration with the model, parameters, size and steps of a route's target."""
    changes: dict[str, Any] = {}
    if target.params:
        for name in ("IMAGES_OPENAI_API_PARAMS", "AUTOMATIC1111_PARAMS"):
            changes[name] = {**(getattr(config, name) or {}), **target.params}
    if target.model is not None:
        changes |= {"IMAGE_GENERATION_MODEL": target.model, "IMAGE_EDIT_MODEL": target.model}
    if target.size is not None:
        changes |= {"IMAGE_SIZE": target.size, "IMAGE_EDIT_SIZE": target.size}
    if target.steps is not None:
        changes["IMAGE_STEPS"] = target.steps
    return config.model_copy(update=changes)


def _server_fields(connection: "StoredConnection", key: str) -> dict[str, Any]:
    """Return the configuration's fields of the connection's engine, with the connection's values."""
    engine = connection.engine
    fields: dict[str, Any] = {}
    for key_field, url_field in SECRETS.items():
        if engine.upper() in url_field:
            fields |= {url_field: connection.base_url, key_field: key}
    if engine == "openai":
        fields |= {
            "IMAGES_OPENAI_API_VERSION": connection.api_version,
            "IMAGES_EDIT_OPENAI_API_VERSION": connection.api_version,
            "IMAGES_OPENAI_API_PARAMS": connection.params,
            "IMAGES_OPENAI_API_EXTRA_FIELDS": connection.extra_fields,
        }
    elif engine == "automatic1111":
        fields |= {"AUTOMATIC1111_API_AUTH": key or None, "AUTOMATIC1111_PARAMS": connection.params}
    elif engine == "gemini":
        fields["IMAGES_GEMINI_ENDPOINT_METHOD"] = connection.endpoint_method
    return fields
