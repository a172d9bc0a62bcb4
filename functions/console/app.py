"""The console function: sends the console's static files. It calls neither AWS nor the gateway, and reads no token.

It imports neither FastAPI nor the shared package, so that a cold start takes little time: the page is the first thing
that somebody sees of a deployment.
"""

import base64
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from functions.console.files import Site, StaticFile
from functions.console.policy import page_headers

logger = logging.getLogger(__name__)
logger.setLevel(logging.INFO)

ROUTES = frozenset({"GET /", "GET /console", "GET /console/{path+}"})
"""The keys of the routes that the function handles. All are for anyone: what a token may do, the API decides."""

FOREVER = "public, max-age=31536000, immutable"
"""Of files whose URL has their version."""
REVALIDATE = "no-cache"
"""Of the page, which names the version."""
NEVER = "no-store"
"""Of a file that is requested with another version: a page that was open during a deployment needs it once."""

_SITE = Site(Path(__file__).with_name("static"))
_PAGE_HEADERS = page_headers(os.environ)


def handler(event: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """Respond to a request of API Gateway (payload format 2.0)."""
    request_id = str(event["requestContext"].get("requestId", ""))
    response = _respond(event)
    response["headers"] |= {"x-request-id": request_id, "X-Content-Type-Options": "nosniff"}
    if response["statusCode"] == 404:
        response["body"] = json.dumps(_not_found(request_id))
    logger.info("request", extra=_log_fields(event, request_id, response["statusCode"]))
    return response


def _respond(event: Mapping[str, Any]) -> dict[str, Any]:
    path = str(event["rawPath"])
    if event["routeKey"] == "GET /":
        # Relative, so that it is valid under the base path of a custom domain, with or without a slash at its end.
        return _redirect(f"{path.rpartition('/')[2]}/console/".lstrip("/"))
    if path.endswith("/console"):
        return _redirect("console/")
    if path.endswith("/console/"):
        return _send(_SITE.page, event, REVALIDATE, _PAGE_HEADERS)
    version, _, name = str((event.get("pathParameters") or {}).get("path", "")).partition("/")
    if name not in _SITE.files:
        headers = {"Content-Type": "application/problem+json", "Cache-Control": NEVER}
        return {"statusCode": 404, "headers": headers}
    return _send(_SITE.files[name], event, FOREVER if version == _SITE.version else NEVER, {})


def _redirect(location: str) -> dict[str, Any]:
    return {"statusCode": 302, "headers": {"Location": location, "Cache-Control": REVALIDATE}}


def _send(file: StaticFile, event: Mapping[str, Any], caching: str, headers: Mapping[str, str]) -> dict[str, Any]:
    sent = {"Cache-Control": caching, "ETag": file.etag, "Vary": "Accept-Encoding", **headers}
    received: Mapping[str, str] = event.get("headers") or {}
    known = {tag.strip().removeprefix("W/") for tag in received.get("if-none-match", "").split(",")}
    if file.etag.removeprefix("W/") in known:
        return {"statusCode": 304, "headers": sent}
    sent["Content-Type"] = file.content_type
    content = file.content
    if "gzip" in received.get("accept-encoding", ""):
        content, sent["Content-Encoding"] = file.compressed, "gzip"
    body = base64.b64encode(content).decode()
    return {"statusCode": 200, "headers": sent, "body": body, "isBase64Encoded": True}


def _not_found(request_id: str) -> dict[str, Any]:
    """Return the problem document, with the fields of those of the API."""
    return {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "The console has no such file",
        "code": "not_found",
        "request_id": request_id,
    }


def _log_fields(event: Mapping[str, Any], request_id: str, status: int) -> dict[str, Any]:
    method, _, route = str(event["routeKey"]).partition(" ")
    outcome = "not_found" if status == 404 else "ok"
    return {"request_id": request_id, "method": method, "route": route, "status": status, "outcome": outcome}
