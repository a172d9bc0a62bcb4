"""Images that every viewer opens are accepted, as inputs and as what engines return, and their pixels are right."""

import asyncio

import pytest

from image_gateway.engines.protocol import EngineImage, EngineResult, ImageRequest
from image_gateway.images.convert import reencode
from image_gateway.images.decoding.decoder import Decoder
from image_gateway.images.normalize import normalize
from image_gateway.images.output_formats import OutputFormats
from image_gateway.images.sniff import sniff
from tests.integration.sample_images import opened
from tests.unit.images.sample_images import assert_no_metadata, decode
from tests.unit.images.sound_images import difference
from tests.unit.images.sound_jpegs import SOUND_JPEGS
from tests.unit.images.sound_other_formats import SOUND_AVIFS, SOUND_GIFS, SOUND_INPUTS_ONLY, SOUND_WEBPS
from tests.unit.images.sound_pngs import SOUND_PNGS

FROM_ENGINES = {**SOUND_PNGS, **SOUND_JPEGS, **SOUND_WEBPS, **SOUND_GIFS, **SOUND_AVIFS}
INPUTS = {**FROM_ENGINES, **SOUND_INPUTS_ONLY}

OF_JPEG = 20
"""The largest difference of an area that encoding as a JPEG of quality 95 causes."""

# In a deployment, Pillow's warnings about metadata are log lines.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def stored(data: bytes) -> bytes:
    """Return an image as it is stored when an engine returned it."""
    request, result = ImageRequest(job_id="1", prompt="a fox"), EngineResult([EngineImage(data)])
    (converted,) = asyncio.run(OutputFormats(Decoder).apply(request, result, lambda: 60.0))
    return converted.data


@pytest.mark.parametrize("name", INPUTS)
def test_a_sound_input_has_the_right_pixels(name: str) -> None:
    """Whatever a phone, a browser or an image editor saves is accepted, and its metadata is removed."""
    image = INPUTS[name]

    normalized = normalize(image.make(), field="image")

    pixels, expected = decode(normalized), image.expected()
    tolerance = max(image.tolerance, OF_JPEG) if normalized.content_type == "image/jpeg" else image.tolerance
    assert pixels.size == expected.size
    assert difference(pixels, expected, exact=tolerance < 3) <= tolerance
    assert_no_metadata(normalized)


@pytest.mark.parametrize("name", FROM_ENGINES)
def test_a_sound_image_of_an_engine_is_stored(name: str) -> None:
    """Its type and size are recognized; an end marker that is missing is added, and nothing else is changed."""
    original = FROM_ENGINES[name].make()
    data = stored(original)

    image_type = sniff(data)

    assert image_type.content_type == f"image/{name.partition(',')[0]}"
    assert {image_type.width, image_type.height} == {*FROM_ENGINES[name].expected().size}
    assert (data == original) is ("end marker" not in name)


@pytest.mark.parametrize("name", FROM_ENGINES)
def test_a_sound_image_of_an_engine_is_converted_with_the_right_pixels(name: str) -> None:
    """The converted image is upright and in sRGB."""
    image = FROM_ENGINES[name]

    converted, _flattened = reencode(image.make(), "png")

    assert difference(opened(converted), image.expected(), exact=image.tolerance < 3) <= image.tolerance


def test_there_are_many_sound_images() -> None:
    """All formats are among them."""
    assert len(INPUTS) > 100
    assert {name.partition(",")[0] for name in INPUTS} == {
        *("png", "jpeg", "webp", "gif", "avif", "heic", "bmp", "tiff")
    }
