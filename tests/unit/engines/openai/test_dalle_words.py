"""The `openai` engine: values of DALL·E for models that do not have them."""

from collections.abc import Callable

import pytest

from image_gateway.engines.openai.dalle_words import translated
from image_gateway.engines.openai.engine import OpenAIEngine
from image_gateway.engines.protocol import ImageRequest
from image_gateway.errors import EngineRejected
from image_gateway.models.fields import Size
from sandbox.engines.state import SandboxState

pytestmark = pytest.mark.anyio

MakeEngine = Callable[..., OpenAIEngine]
MakeRequest = Callable[..., ImageRequest]


@pytest.mark.parametrize(("quality", "sent"), [("standard", "medium"), ("hd", "high")])
async def test_the_quality_is_translated_with_a_warning(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest, quality: str, sent: str
) -> None:
    """Clients of DALL·E send it by default."""
    result = await openai_engine().generate(make_request(model="gpt-image-2", quality=quality))

    assert [request.json["quality"] for request in openai_state.record] == [quality, sent]
    assert result.warnings == [f"quality {quality} is not supported by this model: {sent} was requested"]


async def test_a_model_that_has_the_quality_gets_it(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """Only refused values are translated."""
    result = await openai_engine().generate(make_request(model="sandbox-url", quality="hd"))

    assert (openai_state.record[0].json["quality"], result.warnings) == ("hd", [])


@pytest.mark.parametrize(
    ("size", "sent"),
    [("1792x1024", "1536x1024"), ("1024x1792", "1024x1536"), ("512x512", "1024x1024"), ("256x256", "1024x1024")],
)
async def test_a_retired_size_goes_to_the_nearest_that_the_model_takes(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest, size: str, sent: str
) -> None:
    """The refusal names the sizes."""
    result = await openai_engine().generate(make_request(model="gpt-image-1.5", size=Size.parse(size)))

    assert [request.json["size"] for request in openai_state.record] == [size, sent]
    assert f"size {size} is not supported by this model: {sent} was requested" in result.warnings


@pytest.mark.parametrize(
    ("fields", "detail", "param"),
    [
        ({"quality": "ultra"}, "Invalid value: 'ultra'. Supported values are: 'low', 'high'.", "quality"),
        ({"quality": "hd"}, "Invalid size", "size"),
        ({"size": "640x640"}, "Supported values are: '1024x1024'.", "size"),
        ({"size": "1792x1024"}, "Width and height are too large.", "size"),
        ({"size": "1792x1024"}, "Invalid size '1792x1024'.", "size"),
    ],
)
def test_other_refusals_are_the_callers(fields: dict[str, str], detail: str, param: str) -> None:
    """Another value was somebody's choice, and without sizes in the refusal there is none to choose."""
    assert translated(EngineRejected(f"openai answered 400: {detail}", param=param), fields) is None
