"""A generation through the OpenAI API, and its response as the SDK reads it."""

from typing import TYPE_CHECKING, Any

from openai.types import Image, ImagesResponse

if TYPE_CHECKING:
    from tests.integration.deployment import ApiResponse, Deployment

PATH = "/v1/images/generations"


def generate(
    deployment: "Deployment", headers: dict[str, str] | None = None, *, role: str = "user", **fields: Any
) -> "ApiResponse":
    """Send a generation, by default as a user."""
    body = {"prompt": "a fox", "size": "64x64", **fields}
    return deployment.call("POST", PATH, body, role=role, headers=headers)


def parsed_response(response: "ApiResponse") -> ImagesResponse:
    """Return the response as the SDK's type; every field is validated strictly."""
    assert response.status == 200, response.text
    return ImagesResponse.model_validate_json(response.text, strict=True)


def parsed_images(response: "ApiResponse") -> list[Image]:
    """Return the images of a successful response."""
    return parsed_response(response).data or []
