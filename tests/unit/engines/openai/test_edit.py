"""The `openai` engine: edits."""

import io
from collections.abc import Callable
from typing import get_type_hints

import pytest
from openai.types.image_edit_params import ImageEditParamsNonStreaming
from PIL import Image
from pydantic import TypeAdapter

from image_gateway.engines.openai.engine import OpenAIEngine
from image_gateway.engines.protocol import ImageRequest, InputImage
from image_gateway.errors import EngineRejected
from image_gateway.images.sniff import sniff
from sandbox.engines.state import Fault, SandboxState

pytestmark = pytest.mark.anyio

MakeEngine = Callable[..., OpenAIEngine]
Ask = Callable[..., ImageRequest]


def given(mode: str = "RGB", size: tuple[int, int] = (64, 64), kind: str = "png") -> InputImage:
    out = io.BytesIO()
    Image.new(mode, size).save(out, kind)
    return InputImage(out.getvalue(), f"image/{kind}", *size)


def names(state: SandboxState, number: int = 0) -> list[tuple[str, str, str]]:
    return [(file["name"], file["filename"], file["content_type"]) for file in state.record[number].files]


async def test_one_image_is_sent_as_image(openai_engine: MakeEngine, openai_state: SandboxState, ask: Ask) -> None:
    """One input goes by the name `image`, with its type, and an edited image comes back."""
    result = await openai_engine(edit=True).edit(ask(images=(given(kind="jpeg"),)))

    assert names(openai_state) == [("image", "image-0.jpg", "image/jpeg")]
    assert sniff(result.images[0].data).width == 64


async def test_several_images_are_sent_as_a_list(
    openai_engine: MakeEngine, openai_state: SandboxState, ask: Ask
) -> None:
    """Several inputs go by the name `image[]`, in their order."""
    await openai_engine(edit=True).edit(ask(images=(given(), given(kind="webp"))))

    assert names(openai_state) == [
        ("image[]", "image-0.png", "image/png"),
        ("image[]", "image-1.webp", "image/webp"),
    ]


async def test_mask_is_sent(openai_engine: MakeEngine, openai_state: SandboxState, ask: Ask) -> None:
    """The mask is a file of its own, its transparency untouched."""
    mask = given("RGBA")

    await openai_engine(edit=True).edit(ask(images=(given(),), mask=mask))

    assert names(openai_state)[1] == ("mask", "mask.png", "image/png")
    assert openai_state.record[0].files[1]["size"] == len(mask.data)


async def test_fields_are_strings(openai_engine: MakeEngine, openai_state: SandboxState, ask: Ask) -> None:
    """Numbers and objects of the parameters travel as text, as a form has nothing else."""
    refusal = Fault(400, {"error": "enough"})
    openai_state.knobs.faults = [refusal]

    with pytest.raises(EngineRejected):
        await openai_engine(edit=True, params={"svg": {"model": "a"}, "stream": False}).edit(
            ask(images=(given(),), n=2, background="transparent")
        )

    assert openai_state.record[0].json == {
        "prompt": "a fox", "n": 2, "size": "64x64", "background": "transparent",
        "svg": '{"model": "a"}', "stream": "false",
    }  # fmt: skip


async def test_what_is_sent_fits_the_sdk_type(openai_engine: MakeEngine, openai_state: SandboxState, ask: Ask) -> None:
    """Every field of an edit has the SDK's name and a value of its type."""
    await openai_engine(edit=True).edit(
        ask(images=(given(),), model="gpt-image-2", n=1, quality="low", background="opaque", output_format="webp")
    )

    types = get_type_hints(ImageEditParamsNonStreaming)
    for name, value in openai_state.record[0].json.items():
        TypeAdapter(types[name]).validate_python(value, strict=True)
    assert "image" in types


async def test_n_is_split_for_edits_too(openai_engine: MakeEngine, openai_state: SandboxState, ask: Ask) -> None:
    """A model of one image per call edits several times; each call has the inputs."""
    result = await openai_engine(edit=True).edit(ask(images=(given(),), model="sandbox-single", n=2))

    assert len(result.images) == 2
    assert [len(requested.files) for requested in openai_state.record] == [1, 1, 1]


async def test_server_that_wants_a_list(openai_engine: MakeEngine, openai_state: SandboxState, ask: Ask) -> None:
    """A server that knows `image[]` only gets one image by that name."""
    openai_state.knobs.faults = [Fault(400, {"error": "at least one image[] required"})]

    result = await openai_engine(edit=True).edit(ask(images=(given(),)))

    assert [names(openai_state, number)[0][0] for number in (0, 1)] == ["image", "image[]"]
    assert len(result.images) == 1


async def test_mask_of_another_size_is_refused_by_the_engine(openai_engine: MakeEngine, ask: Ask) -> None:
    """The engine's own words say what is wrong with a mask."""
    with pytest.raises(EngineRejected, match="mask size does not match image size"):
        await openai_engine(edit=True).edit(ask(images=(given(),), mask=given("RGBA", (32, 32))))


async def test_what_the_api_lacks_is_said(openai_engine: MakeEngine, ask: Ask) -> None:
    """A field that the API has no word for is left out of an edit, with a warning."""
    result = await openai_engine(edit=True).edit(ask(images=(given(),), seed=1))

    assert result.warnings == ["seed is not supported by openai and was ignored"]
