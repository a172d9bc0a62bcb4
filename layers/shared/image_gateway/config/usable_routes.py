"""The routes that a caller may use."""

from image_gateway.access.principals import Principal
from image_gateway.config.projection import engine_of
from image_gateway.config.versioned import VersionedConfig
from image_gateway.errors import NotConfigured


def usable_routes(current: VersionedConfig, principal: Principal) -> list[str]:
    """Return the names of the routes that a caller may use, sorted. What this version cannot use is left out.

    Raises:
        StorageUnavailable: the catalogue is lost.
    """
    return [name for name in current.catalogue.names("routes") if _may_use(current, principal, name)]


def _may_use(current: VersionedConfig, principal: Principal, name: str) -> bool:
    try:
        route = current.catalogue.route(name)
        targets = [
            (engine_of(current, target.connection) or "", target.model, target.connection)
            for target in (route.targets if route else ())
        ]
    except NotConfigured:
        return False
    return all(
        principal.may_use(engine, model, connection=connection, route=name) for engine, model, connection in targets
    )
