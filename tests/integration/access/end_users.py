"""A deployment with a token that is trusted to say who its end users are."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.integration.deployment import ApiResponse, Deployment

GENERATIONS = "/api/v1/images/generations"
TOKENS = "/api/v1/images/tokens"
USAGE = "/api/v1/images/usage"
FOX: dict[str, Any] = {"prompt": "a fox", "size": "64x64"}
ID = "X-OpenWebUI-User-Id"
EMAIL = "X-OpenWebUI-User-Email"


def trust(deployment: "Deployment", name: str = "front", **fields: Any) -> str:
    """Make a token that is trusted, and return its id. Calls with the role `name` use it."""
    form = {"name": name, "role": "user", "forwards_users": True, **fields}
    created = deployment.call("POST", TOKENS, form)
    assert created.status == 201, created.text
    deployment.tokens[name] = created.json["token"]
    return str(created.json["id"])


def generate(
    deployment: "Deployment", user_id: str = "", *, role: str = "front", headers: Any = None, **fields: Any
) -> "ApiResponse":
    """Generate an image for an end user."""
    named = {ID: user_id} if user_id else {}
    return deployment.call("POST", GENERATIONS, FOX | fields, role=role, headers={**named, **(headers or {})})


def label_of(deployment: "Deployment", user_id: str) -> str:
    """Return the label of an end user, from a job that is made for it."""
    assert generate(deployment, user_id).status == 200
    return deployment.jobs()[0].end_user


def end_users(deployment: "Deployment") -> list[str]:
    """Return the labels of all jobs, the oldest first."""
    return [job.end_user for job in reversed(deployment.jobs())]
