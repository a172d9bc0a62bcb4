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


def error_responses(*errors: type[GatewayError]) -> dict[int | str, dict[str, Any]]:
    """Return a route's `responses` for these errors: for each status, a description with its error codes."""
    codes: dict[int, list[str]] = {}
    for error in errors:
        status_codes = codes.setdefault(error.status, [])
        if error.code not in status_codes:
            status_codes.append(error.code)
    return {status: {"description": ", ".join(f"`{code}`" for code in codes[status])} for status in sorted(codes)}
