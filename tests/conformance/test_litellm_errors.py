"""LiteLLM raises its own exceptions for the gateway's errors."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

if TYPE_CHECKING:
    from tests.conformance.clients import LiteLLM

pytestmark = pytest.mark.xdist_group("conformance")


@pytest.mark.parametrize(
    ("arguments", "error_class", "status", "message"),
    [
        ({"size": "big"}, "BadRequestError", 400, "WIDTHxHEIGHT"),
        ({"api_key": "igw_unknown"}, "AuthenticationError", 401, "The token is unknown, expired or revoked"),
    ],
)
@pytest.mark.parametrize("function", ["image_generation", "image_edit"])
def test_errors_are_litellms_exceptions(
    client: Callable[[str], Any],
    photos: list[Path],
    function: str,
    arguments: dict[str, Any],
    error_class: str,
    status: int,
    message: str,
) -> None:
    """An error is LiteLLM's exception for its status, with the gateway's message."""
    litellm = cast("LiteLLM", client("litellm"))
    images = {"image": [str(photos[0])]} if function == "image_edit" else {}

    result = litellm.call(function, model="openai/openai/gpt-image-2", prompt="a fox", **images, **arguments)

    assert (result["error"]["class"], result["error"]["status"]) == (error_class, status)
    assert message in result["error"]["message"]
