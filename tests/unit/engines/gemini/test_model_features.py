"""The gemini engine: what single models support, by Google's own types."""

from importlib import import_module
from typing import Any, get_args

import pytest

from image_gateway.engines.gemini.model_features import features_of
from image_gateway.engines.gemini.sizes import PIXELS_AT_1K, SCALES, nearest_size
from image_gateway.images.sniff import sniff
from image_gateway.models.fields import Size
from sandbox.engines.state import SandboxState
from tests.unit.engines.gemini.requests_and_responses import FLASH, IMAGE, MakeEngine, image_request

pytestmark = pytest.mark.anyio

BANANA = "gemini-nano-banana-2.1"
FLASH_3_1 = "gemini-3.1-flash-image"


def literals(kind: Any) -> set[str]:
    """Return the values of the `Literal` in a type."""
    found = {value for value in get_args(kind) if isinstance(value, str)}
    return found.union(*(literals(part) for part in get_args(kind) if not isinstance(part, str)))


@pytest.mark.xdist_group("google-genai")
def test_ratios_and_sizes_are_those_of_googles_types() -> None:
    """The SDK lists the 14 ratios and four sizes that some model supports."""
    fields = import_module("google.genai.interactions").ImageConfig.model_fields

    assert set(PIXELS_AT_1K) == literals(fields["aspect_ratio"].annotation)
    assert set(SCALES) == literals(fields["image_size"].annotation)


@pytest.mark.xdist_group("google-genai")
def test_thinking_levels_are_those_of_googles_types(types: Any) -> None:
    """They are sent as the SDK spells them."""
    levels = {level for model in (BANANA, FLASH_3_1) for level in features_of(model).thinking}

    assert levels < {level.value for level in types.ThinkingLevel}


@pytest.mark.parametrize(
    ("model", "wanted", "ratio", "size"),
    [
        (BANANA, Size(1024, 4096), "1:4", "2K"),
        (BANANA, Size(512, 512), "1:1", "1K"),
        (BANANA, Size(6144, 768), "8:1", "2K"),
        (FLASH_3_1, Size(512, 512), "1:1", "512"),
        (f"{FLASH_3_1}-preview", Size(192, 1536), "1:8", "512"),
        ("gemini-3-pro-image", Size(512, 2048), "9:16", "1K"),
        ("gemini-3-pro-image", Size(512, 512), "1:1", "1K"),
        ("gemini-2.5-flash-image", Size(4096, 4096), "1:1", None),
        ("gemini-3.1-flash-lite-image", Size(2048, 512), "4:1", "1K"),
        ("gemini-9-image", Size(512, 2048), "9:16", "1K"),
    ],
)
def test_the_nearest_size_is_one_that_the_model_supports(
    model: str, wanted: Size, ratio: str, size: str | None
) -> None:
    """Unknown models get what all of them support; a model with one size only is sent none."""
    features = features_of(model)

    nearest = nearest_size(wanted, features.ratios, features.sizes)

    assert (nearest.aspect_ratio, nearest.image_size if features.takes_size else None) == (ratio, size)


async def test_a_new_model_makes_an_extreme_ratio(make_engine: MakeEngine, state: SandboxState) -> None:
    """The sandbox's model refuses what the real one refuses."""
    result = await make_engine().generate(image_request(model=BANANA, size=Size(2048, 512)))

    kind = sniff(result.images[0].data)
    assert (kind.width, kind.height, result.warnings) == (2048, 512, [])
    assert state.record[0].json["generationConfig"]["imageConfig"] == {"aspectRatio": "4:1", "imageSize": "1K"}


@pytest.mark.xdist_group("google-genai")
@pytest.mark.parametrize(
    ("model", "complexity", "level"),
    [
        (BANANA, "low", "MINIMAL"),
        (BANANA, "medium", "MEDIUM"),
        (BANANA, "high", "HIGH"),
        (FLASH_3_1, "minimal", "MINIMAL"),
        (FLASH_3_1, "medium", "HIGH"),
    ],
)
async def test_complexity_is_the_thinking_level(
    model: str, complexity: str, level: str, make_engine: MakeEngine, state: SandboxState, types: Any
) -> None:
    """It is the model's nearest level that is not below; Google's types accept it."""
    result = await make_engine().generate(image_request(model=model, complexity=complexity))

    config = state.record[0].json["generationConfig"]
    assert types.GenerateContentConfig.model_validate(config).thinking_config == types.ThinkingConfig(
        thinking_level=types.ThinkingLevel(level)
    )
    assert result.warnings == []


@pytest.mark.parametrize(("model", "complexity"), [(IMAGE, "high"), (FLASH, "low"), (BANANA, "extreme")])
async def test_complexity_is_ignored_with_a_warning_where_there_is_no_such_level(
    model: str, complexity: str, make_engine: MakeEngine, state: SandboxState
) -> None:
    """The request is made without a thinking level."""
    result = await make_engine().generate(image_request(model=model, complexity=complexity))

    assert "thinkingConfig" not in state.record[0].json["generationConfig"]
    assert result.warnings == ["complexity is not supported by gemini and was ignored"]


async def test_all_images_of_a_response_are_returned(make_engine: MakeEngine) -> None:
    """They are paid for; a warning says that there are more than requested."""
    result = await make_engine().generate(image_request("a fox, two images"))

    assert len(result.images) == 2
    assert result.images[0].data != result.images[1].data
    assert result.warnings == ["gemini returned 2 images for n=1"]
