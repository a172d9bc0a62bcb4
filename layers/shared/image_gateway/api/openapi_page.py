"""Serves the gateway's OpenAPI document, and Swagger UI without a CDN."""

from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from fastapi import Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse

from image_gateway.errors import NotFound

_ASSETS = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
}
_POLICY = "default-src 'none'; connect-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; "
# These do not fall back to `default-src`. Users type tokens into the page, so no other page may frame it.
_POLICY += "frame-ancestors 'none'; base-uri 'none'; form-action 'none'; "


@cache
def _document() -> bytes:
    return files("image_gateway").joinpath("openapi.json").read_bytes()


def openapi() -> Response:
    """Return the document, which the build generates from the routes of all functions."""
    return Response(_document(), media_type="application/json")


def page() -> HTMLResponse:
    """Return Swagger UI for the document."""
    html = get_swagger_ui_html(
        openapi_url="openapi.json",
        title="image-gateway",
        swagger_js_url="docs/swagger-ui-bundle.js",
        swagger_css_url="docs/swagger-ui.css",
        swagger_favicon_url="data:,",
    )
    html.headers["Content-Security-Policy"] = _POLICY + "script-src 'self' 'unsafe-inline'"
    return html


def asset(name: str) -> Response:
    """Return a file of Swagger UI, as the `fastapi-offline` package ships it.

    Raises:
        NotFound: the page has no file of that name.
    """
    if name not in _ASSETS:
        raise NotFound(f"The documentation has no file {name!r}")
    # The package is located without being imported, because only its files are needed.
    spec = find_spec("fastapi_offline")
    assert spec is not None  # noqa: S101 - a dependency of the layer
    assert spec.origin is not None  # noqa: S101 - a package with a file
    body = (Path(spec.origin).parent / "static" / name).read_bytes()
    return Response(body, media_type=_ASSETS[name], headers={"Cache-Control": "public, max-age=86400"})
