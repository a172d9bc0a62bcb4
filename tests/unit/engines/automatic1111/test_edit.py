"""The automatic1111 engine: edits."""

import base64
import io

import pytest
from PIL import Image

from image_gateway.engines.protocol import InputImage
from image_gateway.errors import (
    EngineUnavailable,
    InvalidImage,
)
from image_gateway.images.sniff import sniff
from image_gateway.models.fields import Size
from sandbox.engines.state import SandboxState
from tests.unit.engines.automatic1111.requests_and_responses import MakeEngine, image_request, input_image

pytestmark = pytest.mark.anyio


async def test_an_edit_sends_the_input_image_in_its_own_size(make_engine: MakeEngine, state: SandboxState) -> None:
    """img2img gets the image as base64 and, if no size is requested, the image's size."""
    source = input_image(80, 40)
    result = await make_engine().edit(image_request(size=None, images=(source,)))
    sent = state.record[0]
    assert sent.path == "/sdapi/v1/img2img"
    assert base64.b64decode(sent.json["init_images"][0]) == source.data
    assert (sniff(result.images[0].data).width, sniff(result.images[0].data).height) == (80, 40)


async def test_an_edit_uses_the_requested_size_and_the_parameters(make_engine: MakeEngine, state: SandboxState) -> None:
    """The requested size replaces the input's; `denoising_strength` comes from the parameters."""
    engine = make_engine(AUTOMATIC1111_PARAMS={"denoising_strength": 0.4})
    result = await engine.edit(image_request(size=Size(128, 64), images=(input_image(),)))
    assert sniff(result.images[0].data).width == 128
    assert state.record[0].json["denoising_strength"] == 0.4


async def test_a_mask_is_sent_white_where_it_is_transparent(make_engine: MakeEngine, state: SandboxState) -> None:
    """A1111 edits the white pixels; the gateway's masks mark them with alpha 0."""
    mask = Image.new("RGBA", (64, 48), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (0, 0, 32, 48))
    out = io.BytesIO()
    mask.save(out, "PNG")
    await make_engine().edit(
        image_request(images=(input_image(),), mask=InputImage(out.getvalue(), "image/png", 64, 48))
    )
    sent = Image.open(io.BytesIO(base64.b64decode(state.record[0].json["mask"])))
    assert sent.mode == "L"
    assert (sent.getpixel((5, 5)), sent.getpixel((60, 5))) == (255, 0)


async def test_further_input_images_are_ignored_with_a_warning(make_engine: MakeEngine, state: SandboxState) -> None:
    """img2img edits one image."""
    result = await make_engine().edit(image_request(images=(input_image(), input_image(), input_image())))
    assert len(state.record[0].json["init_images"]) == 1
    assert result.warnings == ["automatic1111 edits one image at a time: only the first of 3 was used"]


async def test_an_edit_without_an_input_image_is_not_sent(make_engine: MakeEngine, state: SandboxState) -> None:
    """Some servers respond to it with a 200 and an unrelated image."""
    with pytest.raises(InvalidImage, match="needs an image to edit"):
        await make_engine().edit(image_request())
    assert state.record == []


async def test_an_unreadable_input_image_has_the_servers_error_text(make_engine: MakeEngine) -> None:
    """A1111 sends a 500 if it cannot decode the image."""
    with pytest.raises(EngineUnavailable, match="500: Invalid encoded image"):
        await make_engine().edit(image_request(images=(InputImage(b"no image", "image/png", 8, 8),)))
