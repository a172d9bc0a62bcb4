"""What a successful edit's response contains."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from PIL import Image

from tests import web
from tests.integration.sample_images import opened

if TYPE_CHECKING:
    from tests.integration.deployment import ApiResponse
    from tests.integration.sandbox_engine import SandboxEngine

ENGINES = ("openai", "gemini", "comfyui", "automatic1111")
UseEditEngine = Callable[[str], "SandboxEngine"]


def result_images(response: "ApiResponse") -> list[Image.Image]:
    """Return the images of a 200, downloaded from their presigned URLs."""
    assert response.status == 200, response.text
    return [opened(web.get(image["url"]).content) for image in response.json]


def warnings(response: "ApiResponse") -> str:
    """Return the first image's warnings as one text."""
    return " ".join(response.json[0].get("warnings", []))
