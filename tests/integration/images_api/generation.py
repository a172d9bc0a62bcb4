"""A request for a generation, as an ordinary caller sends it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.integration.deployment import ApiResponse, Deployment

GENERATIONS = "/api/v1/images/generations"


def generate(deployment: "Deployment", **fields: Any) -> "ApiResponse":
    """Send a generation as a user."""
    return deployment.call("POST", GENERATIONS, {"prompt": "a fox", "size": "640x384", **fields}, role="user")
