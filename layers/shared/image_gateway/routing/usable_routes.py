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
        for target in route.targets if route else ():
            engine_of(current, target.connection)
    except NotConfigured:
        return False
    if route is None or not principal.is_limited:
        return route is not None
    from image_gateway.routing.targets import plan_of_route  # noqa: PLC0415 - most callers are not limited

    plans = [
        plan_of_route(current, current.catalogue, name, route, edit=edit)
        for edit in (False, True)
        if route.can(edit=edit)
    ]
    return any(
        all(
            principal.may_use(each.engine, each.model, connection=each.connection, route=name)
            for each in plan.destinations
        )
        for plan in plans
    )
