"""An edit through the OpenAI API, as a form and as JSON."""

from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from tests.integration.deployment import ApiResponse, Deployment

PATH = "/v1/images/edits"
Files = list[tuple[str, tuple[str, bytes, str]]]


def file(name: str, data: bytes, kind: str = "image/png") -> tuple[str, tuple[str, bytes, str]]:
    """Return one file of a form, as httpx takes it."""
    return name, ("an image.png", data, kind)


def edit(deployment: "Deployment", files: Files, role: str = "user", **fields: Any) -> "ApiResponse":
    """Send a form as httpx encodes it, which API Gateway passes on in base64."""
    request = httpx.Request("POST", "http://gateway.example", data={"prompt": "a hat", **fields}, files=files)
    headers = {"Content-Type": request.headers["content-type"]}
    return deployment.call("POST", PATH, raw=request.read(), headers=headers, role=role)


def edit_json(deployment: "Deployment", **body: Any) -> "ApiResponse":
    """Send an edit as JSON."""
    return deployment.call("POST", PATH, {"prompt": "a hat", **body}, role="user")
