"""Submitting a generation that is queued, and reading its job."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.integration.deployment import ApiResponse, Deployment

IMAGES = "/api/v1/images"
JOBS = f"{IMAGES}/jobs"


def submit(deployment: "Deployment", role: str = "user", **fields: Any) -> str:
    """Queue a generation; return the job's id."""
    form = {"prompt": "a fox", "size": "64x64", **fields}
    response = deployment.call("POST", f"{IMAGES}/generations", form, role=role, headers={"Prefer": "respond-async"})
    assert response.status == 202, response.text
    return str(response.json["id"])


def get(deployment: "Deployment", path: str, role: str = "user") -> "ApiResponse":
    """Send a GET request."""
    return deployment.call("GET", path, role=role)
