"""Failures of servers, as routes name them: after which of them the next target is tried."""

from collections.abc import Collection
from typing import Final

from image_gateway.errors import GatewayError

UNSUPPORTED: Final = "unsupported"
"""A target cannot do what the request asks for, such as a mask. It is passed over in every route."""
COOLING: Final = "cooling"
"""A target was left alone, because it has failed repeatedly."""
NO_SLOT: Final = "no_slot"
"""All slots of a target's server are taken."""
FREE: Final = frozenset(
    {"unreachable", "rate_limited", "unavailable", "refused_key", "not_configured", NO_SLOT, UNSUPPORTED}
)
"""After these, nothing can have been paid: `models.routes.FreeFailure`, whose module most requests need not load."""


def failure_of(error: GatewayError) -> str:
    """Return which failure of a server an error is; empty if it is none.

    An error that may have cost is none of those after which nothing can have been paid, such as that of several calls
    for one request, of which only the first had a free failure.
    """
    return "failed" if error.may_have_cost and error.failure in FREE else error.failure


def is_passed_over(error: GatewayError, fallback_on: Collection[str]) -> bool:
    """Return whether the next target of a route may be tried after an error."""
    failure = failure_of(error)
    return failure == UNSUPPORTED or failure in fallback_on
