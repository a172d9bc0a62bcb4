"""The automatic1111 engine: large inputs of edits, and servers that round sizes."""

import base64
import io
from typing import Any

import pytest
from PIL import Image

from image_gateway.engines.protocol import InputImage
from image_gateway.images.sniff import sniff
from image_gateway.models.fields import Size
from sandbox.engines.state import SandboxState
from tests.unit.engines.automatic1111.requests_and_responses import MakeEngine, image_request, input_image

pytestmark = pytest.mark.anyio


def photo(width: int, height: int, kind: str = "JPEG") -> InputImage:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "orange").save(out, kind)
    return InputImage(out.getvalue(), f"image/{kind.lower()}", width, height)


def mask_for(image: InputImage) -> InputImage:
    """Return a mask that lets the left half change."""
    mask = Image.new("RGBA", (image.width, image.height), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (0, 0, image.width // 2, image.height))
    out = io.BytesIO()
    mask.save(out, "PNG")
    return InputImage(out.getvalue(), "image/png", image.width, image.height)


def sent(state: SandboxState, name: str = "init_images") -> Image.Image:
    """Return the image that the server received."""
    value = state.record[0].json[name]
    return Image.open(io.BytesIO(base64.b64decode(value[0] if isinstance(value, list) else value)))


async def test_a_photo_without_a_size_is_reduced(make_engine: MakeEngine, state: SandboxState) -> None:
    """It has at most 1,048,576 pixels, its aspect ratio, and sides that are multiples of 8, as its mask has."""
    image = photo(4032, 3024)

    result = await make_engine().edit(image_request(size=None, images=(image,), mask=mask_for(image)))

    body = state.record[0].json
    assert (body["width"], body["height"]) == sent(state).size == sent(state, "mask").size == (1176, 880)
    assert sent(state, "mask").getpixel((5, 5)) == 255
    assert result.warnings == [
        "the image of 4032x3024 was reduced to 1176x880: name a size, or see IMAGE_EDIT_MAX_PIXELS"
    ]


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(
    ("limit", "size"), [(0, (403, 302)), (60_000, (280, 208)), (1, (8, 8)), (403 * 302, (403, 302))]
)
async def test_the_limit_is_configured(
    kind: str, limit: int, size: Any, make_engine: MakeEngine, state: SandboxState
) -> None:
    """0 switches it off."""
    image = photo(403, 302, kind)

    await make_engine(IMAGE_EDIT_MAX_PIXELS=limit).edit(image_request(size=None, images=(image,)))

    assert sent(state).size == size


async def test_a_requested_size_is_not_changed(make_engine: MakeEngine, state: SandboxState) -> None:
    """The input is sent as it is."""
    image = photo(4032, 3024)

    result = await make_engine().edit(image_request(size=Size(512, 384), images=(image,)))

    assert sent(state).size == (4032, 3024)
    assert (state.record[0].json["width"], state.record[0].json["height"]) == (512, 384)
    assert result.warnings == []


@pytest.mark.parametrize("multiple", [8, 64])
async def test_a_size_that_the_server_rounds_is_a_warning(
    multiple: int, make_engine: MakeEngine, state: SandboxState
) -> None:
    """stable-diffusion.cpp rounds up to multiples of 64, AUTOMATIC1111 down to multiples of 8."""
    state.knobs.size_multiple = multiple

    result = await make_engine().edit(image_request(size=None, images=(input_image(70, 50),)))

    made = sniff(result.images[0].data)
    assert result.warnings == [f"automatic1111 made {made.width}x{made.height} in place of 70x50"]


async def test_a_generation_of_another_size_is_a_warning(make_engine: MakeEngine, state: SandboxState) -> None:
    """The size was requested or configured, and the server made another."""
    state.knobs.size_multiple = 64

    result = await make_engine().generate(image_request(size=Size(70, 50)))

    assert result.warnings == ["automatic1111 made 128x64 in place of 70x50"]


async def test_a_size_that_the_operators_parameters_enlarge_is_no_warning(
    make_engine: MakeEngine, state: SandboxState
) -> None:
    """A second pass in a higher resolution is what the operator has configured."""
    state.knobs.size_multiple = 64

    result = await make_engine(AUTOMATIC1111_PARAMS={"enable_hr": True}).generate(image_request(size=Size(70, 50)))

    assert result.warnings == []
