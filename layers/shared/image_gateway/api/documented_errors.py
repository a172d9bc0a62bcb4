"""The documented errors of routes, for the OpenAPI document."""

from typing import Any

from image_gateway.errors import (
    Busy,
    Canceled,
    ContentBlocked,
    Disabled,
    EngineRateLimited,
    EngineRejected,
    EngineTimeout,
    EngineUnavailable,
    Forbidden,
    GatewayError,
    Interrupted,
    InvalidImage,
    InvalidSize,
    InvalidUrl,
    NotConfigured,
    NotFound,
    StorageUnavailable,
    TooLarge,
)

ENGINE_ERRORS: tuple[type[GatewayError], ...] = (
    NotConfigured,
    EngineRejected,
    EngineRateLimited,
    EngineUnavailable,
    EngineTimeout,
)
"""Errors of a route that calls an engine."""

IMAGE_ERRORS: tuple[type[GatewayError], ...] = (
    InvalidSize,
    InvalidImage,
    InvalidUrl,
    EngineRejected,
    ContentBlocked,
    Forbidden,
    Disabled,
    NotFound,
    NotConfigured,
    Canceled,
    TooLarge,
    EngineRateLimited,
    EngineUnavailable,
    Interrupted,
    StorageUnavailable,
    Busy,
    EngineTimeout,
)
"""Errors of a route that makes images, or returns the images of a job."""


OPENAI_CODES = {ContentBlocked.code: "moderation_blocked"}
"""Codes that OpenAI has its own name for. Some clients recognize a content block only by it."""


def error_responses(*errors: type[GatewayError], is_openai: bool = False) -> dict[int | str, dict[str, Any]]:
    """Return a route's `responses` for these errors: for each status, a description with its error codes.

    Args:
        errors: the errors, by their classes.
        is_openai: whether the route is one of the OpenAI API, which has some codes of its own.
    """
    codes: dict[int, list[str]] = {}
    for error in errors:
        code = OPENAI_CODES.get(error.code, error.code) if is_openai else error.code
        status_codes = codes.setdefault(error.status, [])
        if code not in status_codes:
            status_codes.append(code)
    return {status: {"description": ", ".join(f"`{code}`" for code in codes[status])} for status in sorted(codes)}
