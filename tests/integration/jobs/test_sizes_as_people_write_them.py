"""Sizes that are no pixels, from the request to its images: each step of a job has to read them."""

from typing import TYPE_CHECKING, Any

import pytest

from sandbox.engines.state import SandboxState
from tests.integration.jobs.generation import generate

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment


@pytest.mark.parametrize(
    ("fields", "sent"),
    [
        ({"size": "16:9"}, "1360x768"),
        ({"size": "1K"}, "1024x1024"),
        ({"size": "1024\u00d7768"}, "1024x768"),
        ({"size": None, "aspect_ratio": "9:16"}, "768x1360"),
        ({"size": "auto"}, "auto"),
    ],
)
def test_a_size_of_the_request(
    openai_deployment: "Deployment", openai: SandboxState, fields: dict[str, Any], sent: str
) -> None:
    """It is calculated, sent, priced and stored in pixels."""
    response = generate(openai_deployment, **fields)

    assert (response.status, openai.record[-1].json["size"]) == (200, sent)


@pytest.mark.parametrize(("size", "sent"), [("16:9", "1360x768"), ("1K", "1024x1024"), ("auto", "auto")])
def test_a_size_of_the_configuration(
    openai_deployment: "Deployment", openai: SandboxState, size: str, sent: str
) -> None:
    """The default may have the same forms."""
    openai_deployment.configure(IMAGE_SIZE=size)

    response = generate(openai_deployment, size=None)

    assert (response.status, openai.record[-1].json["size"]) == (200, sent)
