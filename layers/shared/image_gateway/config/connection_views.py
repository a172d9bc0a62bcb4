"""Connections and routes as they are shown: those of the catalogue, and those that the configuration's fields are."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar, cast

from image_gateway.config.servers import configured_server
from image_gateway.config.versioned import VersionedConfig
from image_gateway.engines import REGISTRY
from image_gateway.errors import NotConfigured, NotFound
from image_gateway.models.config import MASK, ImagesConfig
from image_gateway.models.connection_forms import ConnectionInfo, ConnectionList
from image_gateway.models.names import RESERVED_CONNECTIONS
from image_gateway.models.route_forms import RouteInfo, RouteList

if TYPE_CHECKING:
    from image_gateway.models.fields import EngineName

_Shown = TypeVar("_Shown")


def list_connections(current: VersionedConfig) -> ConnectionList:
    """Return all connections: those of the configuration's fields first, then those of the catalogue by name.

    Raises:
        StorageUnavailable: the catalogue is lost.
    """
    shown, unusable = _shown(current, "connections", show_connection)
    return ConnectionList(connections=[*_configured(current.config), *shown], unusable=unusable)


def show_connection(current: VersionedConfig, name: str) -> ConnectionInfo:
    """Return one connection by its name.

    Raises:
        NotFound: there is none.
        NotConfigured: this version cannot use it.
        StorageUnavailable: the catalogue is lost.
    """
    if name in RESERVED_CONNECTIONS:
        found = next((shown for shown in _configured(current.config) if shown.name == name), None)
        if found is None:
            raise NotFound(f"The connection {name} is not configured: set its fields by POST config/update")
        return found
    connection = current.catalogue.connection(name)
    if connection is None:
        raise NotFound(f"There is no connection {name}")
    return ConnectionInfo(**connection.model_dump(), name=name, key=current.keys.get(name, ""))


def list_routes(current: VersionedConfig) -> RouteList:
    """Return all routes by name.

    Raises:
        StorageUnavailable: the catalogue is lost.
    """
    shown, unusable = _shown(current, "routes", show_route)
    return RouteList(routes=shown, unusable=unusable)


def show_route(current: VersionedConfig, name: str) -> RouteInfo:
    """Return one route by its name.

    Raises:
        NotFound: there is none.
        NotConfigured: this version cannot use it.
        StorageUnavailable: the catalogue is lost.
    """
    route = current.catalogue.route(name)
    if route is None:
        raise NotFound(f"There is no route {name}")
    return RouteInfo(**route.model_dump(), name=name)


def _shown(
    current: VersionedConfig, section: str, show: Callable[[VersionedConfig, str], _Shown]
) -> tuple[list[_Shown], list[str]]:
    """Return the entries of a section, and the names of those that this version cannot use."""
    shown, unusable = [], []
    for name in current.catalogue.names(section):
        try:
            shown.append(show(current, name))
        except NotConfigured:
            unusable.append(name)
    return shown, unusable


def _configured(config: ImagesConfig) -> Iterator[ConnectionInfo]:
    """Yield the connections that the configuration's fields are. One for edits only if it differs from the other."""
    for engine in REGISTRY:
        servers = {edit: configured_server(config, engine, edit=edit) for edit in (False, True)}
        for edit, server in servers.items():
            if server and (not edit or server != servers[False]):
                yield _configured_connection(config, engine, *server, edit=edit)


def _configured_connection(config: ImagesConfig, engine: str, url: str, has_key: bool, *, edit: bool) -> ConnectionInfo:
    own: dict[str, Any] = {}
    if engine == "openai":
        version = config.IMAGES_EDIT_OPENAI_API_VERSION if edit else config.IMAGES_OPENAI_API_VERSION
        own = {"api_version": version, "params": config.IMAGES_OPENAI_API_PARAMS}
        own["extra_fields"] = config.IMAGES_OPENAI_API_EXTRA_FIELDS
    elif engine == "automatic1111":
        own = {"params": config.AUTOMATIC1111_PARAMS}
    elif engine == "gemini":
        own = {"endpoint_method": config.IMAGES_GEMINI_ENDPOINT_METHOD}
    name = f"{engine}-edit" if edit else engine
    key = MASK if has_key else ""
    # Not validated: the fields' own rules, which are others, have been applied when they were stored.
    return ConnectionInfo.model_construct(
        engine=cast("EngineName", engine), base_url=url, name=name, key=key, managed_by="config", **own
    )
