"""LiteLLM's errors."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

if TYPE_CHECKING:
    from tests.conformance.clients import LiteLLM

pytestmark = pytest.mark.xdist_group("conformance")


@pytest.mark.parametrize(
    ("arguments", "kind", "status", "words"),
    [
        ({"size": "big"}, "BadRequestError", 400, "WIDTHxHEIGHT"),
        ({"api_key": "igw_nobody"}, "AuthenticationError", 401, "The token is not valid"),
    ],
)
@pytest.mark.parametrize("function", ["image_generation", "image_edit"])
def test_errors_are_its_own(
    client: Callable[[str], Any],
    photos: list[Path],
    function: str,
    arguments: dict[str, Any],
    kind: str,
    status: int,
    words: str,
) -> None:
    """Of the class that the status stands for, with the gateway's words."""
    litellm = cast("LiteLLM", client("litellm"))
    images = {"image": [str(photos[0])]} if function == "image_edit" else {}

    said = litellm.call(function, model="openai/openai/gpt-image-2", prompt="a fox", **images, **arguments)

    assert (said["error"]["class"], said["error"]["status"]) == (kind, status)
    assert words in said["error"]["message"]
