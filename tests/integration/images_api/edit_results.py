"""What a successful edit's response holds."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx
from PIL import Image

from tests.integration.sample_images import opened

if TYPE_CHECKING:
    from tests.integration.deployment import Answer
    from tests.integration.sandbox_engine import Served


ENGINES = ("openai", "gemini", "comfyui", "automatic1111")


Editing = Callable[[str], "Served"]


def results(answer: "Answer") -> list[Image.Image]:
    """The images of a 200, downloaded from their presigned URLs."""
    assert answer.status == 200, answer.text
    return [opened(httpx.get(image["url"]).content) for image in answer.json]


def warnings(answer: "Answer") -> str:
    return " ".join(answer.json[0].get("warnings", []))
