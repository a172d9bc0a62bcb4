"""Maps errors to HTTP responses in the format of each channel.

The gateway's own routes respond with RFC 9457 problem documents. Routes under `/v1` respond as the OpenAI API does.
"""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from image_gateway.api.documented_errors import OPENAI_CODES
from image_gateway.api.unknown_paths import openai_path_error
from image_gateway.errors import GatewayError, InvalidRequest, InvalidSize, Unauthorized

logger = logging.getLogger(__name__)

PROBLEM_JSON = "application/problem+json"
UNREADABLE_BODY = "The body cannot be read as JSON in UTF-8"
"""Message about a body that is truncated, in another encoding, or nested too deeply. Which of these is not known."""

_OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


async def on_gateway_error(request: Request, error: Exception) -> JSONResponse:
    """Respond to an error of the gateway's own tree."""
    assert isinstance(error, GatewayError)  # noqa: S101 - registered for this class only
    return error_response(request, error)


async def on_invalid_request(request: Request, error: Exception) -> JSONResponse:
    """Respond to a request that does not validate.

    The detail is the text of the first problem, and `errors` lists all of them. No input is repeated.
    """
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class only
    problems = [_problem(item) for item in error.errors()]
    first = problems[0]
    detail = f"{first['field']}: {first['message']}" if first["field"] else first["message"]
    if len(problems) > 1:
        detail += f" (and {len(problems) - 1} more)"
    kind = InvalidSize if {item["type"] for item in error.errors()} == {"invalid_size"} else InvalidRequest
    return error_response(request, kind(detail, field=first["field"] or None), problems)


async def on_http_exception(request: Request, error: Exception) -> JSONResponse:
    """Respond to what the framework itself refuses: an unknown path, a wrong method, an unreadable body."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
    if error.status_code == 400:
        return error_response(request, InvalidRequest(UNREADABLE_BODY))
    known = {
        404: ("not_found", "No route has this path"),
        405: ("method_not_allowed", "This path does not support this method"),
    }
    status = error.status_code
    code, detail = known.get(status, ("invalid_request", str(error.detail)))
    if status in known and _is_openai(request):
        status, detail = openai_path_error(request.scope["path"], request.method)
        code = known[status][0]
    return _render(request, status, code, HTTPStatus(status).phrase, detail, error.headers or {})


async def on_defect(request: Request, error: Exception) -> JSONResponse:
    """Respond to a defect of the gateway. Its type and line are logged. Its message is not: it may quote the caller."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_globals.get('__name__')}:{trace.tb_lineno}" if trace else "?"
    logger.error("unexpected error", extra={"error": type(error).__name__, "place": place})
    return error_response(request, GatewayError("The gateway failed; its log has more under this request_id"))


def error_response(request: Request, error: GatewayError, errors: Sequence[Mapping[str, Any]] = ()) -> JSONResponse:
    """Return the HTTP response for an error, in the format of the request's channel."""
    headers: dict[str, str] = {}
    if isinstance(error, Unauthorized):
        headers["WWW-Authenticate"] = error.challenge
    if error.retry_after is not None:
        headers["Retry-After"] = str(max(1, round(error.retry_after)))
    if not error.should_retry:
        headers["x-should-retry"] = "false"
    request.state.outcome = error.code
    return _render(request, error.status, error.code, error.title, error.detail, headers, error.field, errors)


def not_done_response(request: Request, job_id: str, location: str) -> JSONResponse:
    """Redirect to a job's result. The body has the job's id for clients that do not follow redirects."""
    detail = f"The job {job_id} is not done yet: follow Location to its result"
    return _render(request, 303, "not_done", HTTPStatus.SEE_OTHER.phrase, detail, {"Location": location})


def request_id(request: Request) -> str:
    """Return API Gateway's id of the request, which its access log has too; empty if there is none."""
    context = request.scope.get("aws.event", {}).get("requestContext", {})
    return str(context.get("requestId", ""))


def _render(  # noqa: PLR0917 - the fields of one document
    request: Request,
    status: int,
    code: str,
    title: str,
    detail: str,
    headers: Mapping[str, str],
    field: str | None = None,
    errors: Sequence[Mapping[str, Any]] = (),
) -> JSONResponse:
    request.state.outcome = code
    headers = {"Cache-Control": "no-store", **headers}
    if _is_openai(request):
        kind = _OPENAI_TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
        body: dict[str, Any] = {
            "error": {"message": detail, "type": kind, "param": field, "code": OPENAI_CODES.get(code, code)}
        }
        # The OpenAI API has one status for all invalid requests.
        return JSONResponse(body, 400 if status == 422 else status, headers)
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, "code": code}
    body["request_id"] = request_id(request)
    if field:
        body["field"] = field
    if errors:
        body["errors"] = list(errors)
    return JSONResponse(body, status, headers, media_type=PROBLEM_JSON)


def _is_openai(request: Request) -> bool:
    # The path of the scope: the request's URL depends on the `Host` header.
    return bool(request.scope["path"].startswith("/v1/"))


def _problem(item: Mapping[str, Any]) -> dict[str, Any]:
    location = [str(part) for part in item["loc"]]
    kind, message = item["type"], str(item["msg"])
    if kind == "json_invalid":
        return {"field": "", "message": f"the body is not JSON: {item['ctx']['error']}", "type": kind}
    context = item.get("ctx") or {}
    if location == ["body"] and "field" in context:
        # A check of several fields together names the one to correct.
        return {"field": context["field"], "message": str(context["problem"]), "type": kind}
    if location == ["body"]:
        message = "the body must be a JSON object, sent with Content-Type: application/json"
        return {"field": "", "message": message, "type": kind}
    if kind == "extra_forbidden":
        message = "is not a known field"
    return {"field": ".".join(location[1:]), "message": message, "type": kind}
