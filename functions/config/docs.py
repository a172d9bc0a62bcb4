"""Routes of the API's documentation: the OpenAPI document and a page for it."""

from fastapi import Response

from image_gateway.api import Access, access, create_router, openapi_page

router = create_router(include_in_schema=False)


@router.get("/openapi.json")
@access(Access.PUBLIC)
async def openapi() -> Response:
    """Return the OpenAPI document of the whole gateway."""
    return openapi_page.openapi()


@router.get("/docs")
@access(Access.PUBLIC)
async def docs() -> Response:
    """Return an interactive page for the OpenAPI document. It loads nothing from other hosts."""
    return openapi_page.page()


@router.get("/docs/{name}")
@access(Access.PUBLIC)
async def docs_asset(name: str) -> Response:
    """Return a script or style sheet of the page."""
    return openapi_page.asset(name)
