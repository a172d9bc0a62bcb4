"""The errors that a route may answer, for its documentation."""

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

ASKING: tuple[type[GatewayError], ...] = (
    NotConfigured,
    EngineRejected,
    EngineRateLimited,
    EngineUnavailable,
    EngineTimeout,
)
"""Of a route that asks an engine something."""

MAKING: tuple[type[GatewayError], ...] = (
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
"""Of a route that has images made, or answers with those that were."""


def refusals(*errors: type[GatewayError]) -> dict[int | str, dict[str, Any]]:
    """A route's `responses` for these errors: under each status, the codes that it may come with."""
    codes: dict[int, list[str]] = {}
    for error in errors:
        of_status = codes.setdefault(error.status, [])
        if error.code not in of_status:
            of_status.append(error.code)
    return {status: {"description": ", ".join(f"`{code}`" for code in codes[status])} for status in sorted(codes)}
