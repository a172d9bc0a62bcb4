"""A generation through a queue, and following its redirect."""

from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

if TYPE_CHECKING:
    from tests.integration.deployment import ApiResponse, Deployment

GENERATIONS = "/api/v1/images/generations"


def generate(deployment: "Deployment", headers: dict[str, str] | None = None, **fields: Any) -> "ApiResponse":
    """Send a generation as a user."""
    form = {"prompt": "a fox", "size": "64x64", **fields}
    return deployment.call("POST", GENERATIONS, form, role="user", headers=headers)


def follow(deployment: "Deployment", path: str, response: "ApiResponse", role: str = "user") -> "ApiResponse":
    """Send a request to the `Location` of a response to a request for `path`."""
    return deployment.call("GET", urljoin(path, response.headers["location"]), role=role)
