"""Routes of routes, for administrators: names that callers use as `model`."""

from typing import Annotated

from fastapi import Path, Response

from functions.config.versions import CHANGE_ERRORS, read_current, show_stored
from image_gateway.api import Access, GatewayDep, IfMatchDep, access, create_router, error_responses
from image_gateway.config.connection_views import list_routes, show_route
from image_gateway.errors import InvalidSize, NotConfigured
from image_gateway.models.names import ROUTE_NAME
from image_gateway.models.route_forms import RouteForm, RouteInfo, RouteList

router = create_router(prefix="/api/v1/images/routes", tags=["routes"])

Name = Annotated[str, Path(pattern=ROUTE_NAME, description="The route's name.", examples=["poster"])]


@router.get("", responses=error_responses(NotConfigured))
@access(Access.ADMIN)
async def read_routes(gateway: GatewayDep, response: Response) -> RouteList:
    """List all routes. The `ETag` is the configuration's version."""
    current = await read_current(gateway, response)
    return list_routes(current)


@router.get("/{name}", responses=error_responses(NotConfigured))
@access(Access.ADMIN)
async def read_route(name: Name, gateway: GatewayDep, response: Response) -> RouteInfo:
    """Return a route. The `ETag` is the configuration's version."""
    current = await read_current(gateway, response)
    return show_route(current, name)


@router.put(
    "/{name}",
    responses={
        201: {"model": RouteInfo, "description": "The route is new"},
        **error_responses(InvalidSize, *CHANGE_ERRORS),
    },
)
@access(Access.ADMIN)
async def put_route(
    name: Name, form: RouteForm, gateway: GatewayDep, response: Response, if_match: IfMatchDep
) -> RouteInfo:
    """Store a route, in place of the one with this name. Its connections and workflows must exist."""
    current, created = await gateway.config_parts.updates.update_catalogue(
        lambda draft: draft.put_route(name, form), if_match=if_match
    )
    show_stored(response, current, created=created)
    return show_route(current, name)


@router.delete(
    "/{name}",
    status_code=204,
    responses=error_responses(*CHANGE_ERRORS),
)
@access(Access.ADMIN)
async def delete_route(name: Name, gateway: GatewayDep, if_match: IfMatchDep) -> None:
    """Delete a route. This is refused while the configuration refers to it. Jobs that were accepted are still done."""
    await gateway.config_parts.updates.update_catalogue(lambda draft: draft.delete_route(name), if_match=if_match)
