"""Submitting a generation that is queued, and reading what comes of it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.integration.deployment import Answer, Deployment


IMAGES = "/api/v1/images"


JOBS = f"{IMAGES}/jobs"


def submit(deployment: "Deployment", role: str = "user", **fields: Any) -> str:
    """Queue a job; gives its id."""
    form = {"prompt": "a fox", "size": "64x64", **fields}
    answer = deployment.call("POST", f"{IMAGES}/generations", form, role=role, headers={"Prefer": "respond-async"})
    assert answer.status == 202, answer.text
    return str(answer.json["id"])


def get(deployment: "Deployment", path: str, role: str = "user") -> "Answer":
    return deployment.call("GET", path, role=role)
