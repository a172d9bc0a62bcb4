"""The API's description, for programs and for people."""

from fastapi import APIRouter, Response

from image_gateway.api import Access, GuardedRoute, access, openapi_page

router = APIRouter(route_class=GuardedRoute, include_in_schema=False)


@router.get("/openapi.json")
@access(Access.PUBLIC)
async def openapi() -> Response:
    """The OpenAPI document of the whole gateway."""
    return openapi_page.openapi()


@router.get("/docs")
@access(Access.PUBLIC)
async def docs() -> Response:
    """The OpenAPI document as a page one can try things on; loads nothing from elsewhere."""
    return openapi_page.page()


@router.get("/docs/{name}")
@access(Access.PUBLIC)
async def docs_asset(name: str) -> Response:
    """A script or style of the page."""
    return openapi_page.asset(name)
