"""A generation through the OpenAI API, and its response as the SDK reads it."""

from typing import TYPE_CHECKING, Any

from openai.types import Image, ImagesResponse

if TYPE_CHECKING:
    from tests.integration.deployment import Answer, Deployment


PATH = "/v1/images/generations"


def generate(deployment: "Deployment", headers: dict[str, str] | None = None, **fields: Any) -> "Answer":
    body = {"prompt": "a fox", "size": "64x64", **fields}
    return deployment.call("POST", PATH, body, role="user", headers=headers)


def response(answer: "Answer") -> ImagesResponse:
    """The answer as the SDK's type, every field of which is checked."""
    assert answer.status == 200, answer.text
    return ImagesResponse.model_validate_json(answer.text, strict=True)


def images(answer: "Answer") -> list[Image]:
    return response(answer).data or []
