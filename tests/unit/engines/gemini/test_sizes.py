"""The gemini engine: sizes, which Gemini takes as an aspect ratio and a size class."""

from typing import Any

import pytest

from image_gateway.engines.gemini.model_features import features_of
from image_gateway.engines.gemini.sizes import PIXELS_AT_1K, SCALES, nearest_size
from image_gateway.images.sniff import sniff
from image_gateway.models.fields import Size
from sandbox.engines.state import SandboxState
from tests.unit.engines.gemini.requests_and_responses import (
    FLASH,
    IMAGE,
    IMAGEN,
    MakeEngine,
    image_request,
)

pytestmark = pytest.mark.anyio


async def test_a_supported_size_gives_no_warning(make_engine: MakeEngine) -> None:
    """The image has the requested size."""
    result = await make_engine().generate(image_request(size=Size(1376, 768)))
    kind = sniff(result.images[0].data)
    assert (kind.width, kind.height, result.warnings) == (1376, 768, [])


@pytest.mark.parametrize("fields", [{}, {"auto_size": True}])
async def test_without_a_size_no_image_config_is_sent(
    make_engine: MakeEngine, state: SandboxState, fields: dict[str, Any]
) -> None:
    """The model chooses ratio and size class itself."""
    await make_engine().generate(image_request(**fields))
    assert "imageConfig" not in state.record[0].json["generationConfig"]


async def test_an_unsupported_size_is_replaced_by_the_nearest_with_a_warning(make_engine: MakeEngine) -> None:
    """The warning names the requested ratio and size class."""
    result = await make_engine().generate(image_request(size=Size(640, 384)))
    assert sniff(result.images[0].data).width == 1376
    assert result.warnings == ["gemini does not make 640x384: requested 16:9 at 1K, about 1376x768"]


@pytest.mark.parametrize(
    ("ratio", "size", "sent"),
    [("16:9", Size(2736, 1536), "2K"), ("9:16", Size(768, 1360), "1K"), ("21:9", Size(1568, 672), "1K")],
)
async def test_a_requested_ratio_is_sent_as_it_is(
    make_engine: MakeEngine, state: SandboxState, ratio: str, size: Size, sent: str
) -> None:
    """The pixels that were calculated from it lead back to it, and nobody requested those pixels."""
    result = await make_engine().generate(image_request(size=size, aspect_ratio=ratio, approximate_size=True))

    config = state.record[0].json["generationConfig"]["imageConfig"]
    assert (config, result.warnings) == ({"aspectRatio": ratio, "imageSize": sent}, [])


async def test_another_ratio_than_requested_is_a_warning(make_engine: MakeEngine) -> None:
    """Gemini has only some of them."""
    request = image_request(size=Size(1440, 720), aspect_ratio="2:1", approximate_size=True)

    assert "requested 16:9 at 1K" in (await make_engine().generate(request)).warnings[0]


@pytest.mark.parametrize(
    ("wanted", "ratio", "scale"),
    [
        (Size(1024, 1024), "1:1", "1K"),
        (Size(512, 512), "1:1", "1K"),
        (Size(2048, 2048), "1:1", "2K"),
        (Size(4096, 4096), "1:1", "4K"),
        (Size(1024, 1536), "2:3", "1K"),
        (Size(1536, 1024), "3:2", "1K"),
        (Size(600, 800), "3:4", "1K"),
        (Size(800, 600), "4:3", "1K"),
        (Size(800, 1000), "4:5", "1K"),
        (Size(1000, 800), "5:4", "1K"),
        (Size(1080, 1920), "9:16", "1K"),
        (Size(3840, 2160), "16:9", "2K"),
        (Size(5504, 3072), "16:9", "4K"),
        (Size(2100, 900), "21:9", "1K"),
        (Size(16384, 1), "21:9", "1K"),
        (Size(1, 16384), "9:16", "1K"),
    ],
)
def test_the_nearest_ratio_and_size_are_chosen(wanted: Size, ratio: str, scale: str) -> None:
    """The ratio is chosen by the proportion of the sides, the size class by the area."""
    nearest = nearest_size(wanted, features_of(IMAGE).ratios, features_of(IMAGE).sizes)
    assert (nearest.aspect_ratio, nearest.image_size) == (ratio, scale)


def test_every_supported_size_is_its_own_nearest() -> None:
    """A caller who requests a supported size gets it without a warning."""
    assert {
        ratio for ratio, size in PIXELS_AT_1K.items() if nearest_size(size, PIXELS_AT_1K, SCALES).pixels != size
    } == set()


async def test_a_refused_image_size_is_left_out(make_engine: MakeEngine, state: SandboxState) -> None:
    """Older models support the ratio and refuse `imageSize`."""
    result = await make_engine().generate(image_request(model=FLASH, size=Size(1376, 768)))
    shapes = [entry.json["generationConfig"]["imageConfig"] for entry in state.record]
    assert shapes == [{"aspectRatio": "16:9", "imageSize": "1K"}, {"aspectRatio": "16:9"}]
    assert result.warnings == ["imageSize is not supported by this model and was left out"]


async def test_imagen_gets_the_nearest_of_its_own_ratios(make_engine: MakeEngine, state: SandboxState) -> None:
    """Imagen supports neither 21:9 nor 4K; the nearest supported size is requested with a warning."""
    result = await make_engine().generate(image_request(model=IMAGEN, size=Size(3168, 1344)))
    parameters = state.record[0].json["parameters"]
    assert (parameters["aspectRatio"], parameters["sampleImageSize"]) == ("16:9", "2K")
    assert result.warnings == ["gemini does not make 3168x1344: requested 16:9 at 2K, about 2752x1536"]


@pytest.mark.parametrize(
    ("fields", "size_class"),
    [
        ({}, "1K"),
        ({"size": Size(4096, 4096)}, "4K"),
        # Its longer side is that of a square 4K image, and it is one of 1K.
        ({"size": Size(384, 3072), "model": "gemini-3.1-flash-image"}, "1K"),
        ({"size": Size(4096, 4096), "model": FLASH}, "1K"),
        ({"size": Size(2048, 2048), "model": IMAGEN}, "2K"),
    ],
)
async def test_the_result_says_which_size_class_was_asked_for(
    make_engine: MakeEngine, fields: dict[str, Any], size_class: str
) -> None:
    """Prices depend on it."""
    result = await make_engine().generate(image_request(**fields))

    assert result.sent is not None
    assert result.sent.size_class == size_class
