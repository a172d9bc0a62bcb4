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
MakeRequest = Callable[..., ImageRequest]


def input_image(mode: str = "RGB", size: tuple[int, int] = (64, 64), kind: str = "png") -> InputImage:
    out = io.BytesIO()
    Image.new(mode, size).save(out, kind)
    return InputImage(out.getvalue(), f"image/{kind}", *size)


def uploaded(state: SandboxState, number: int = 0) -> list[tuple[str, str, str]]:
    return [(file["name"], file["filename"], file["content_type"]) for file in state.record[number].files]


async def test_one_input_image_is_sent_as_image(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """One input image has the field name `image` and its content type; an edited image is returned."""
    result = await openai_engine(edit=True).edit(make_request(images=(input_image(kind="jpeg"),)))

    assert uploaded(openai_state) == [("image", "image-0.jpg", "image/jpeg")]
    assert sniff(result.images[0].data).width == 64


async def test_several_input_images_are_sent_as_a_list(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """Several input images have the field name `image[]` and keep their order."""
    await openai_engine(edit=True).edit(make_request(images=(input_image(), input_image(kind="webp"))))

    assert uploaded(openai_state) == [
        ("image[]", "image-0.png", "image/png"),
        ("image[]", "image-1.webp", "image/webp"),
    ]


async def test_the_mask_is_sent_unchanged(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """The mask is a separate file with its transparency."""
    mask = input_image("RGBA")

    await openai_engine(edit=True).edit(make_request(images=(input_image(),), mask=mask))

    assert uploaded(openai_state)[1] == ("mask", "mask.png", "image/png")
    assert openai_state.record[0].files[1]["size"] == len(mask.data)


async def test_form_fields_are_strings(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """Numbers and objects of the parameters are sent as text, since a form has nothing else."""
    refusal = Fault(400, {"error": "enough"})
    openai_state.knobs.faults = [refusal]

    with pytest.raises(EngineRejected):
        await openai_engine(edit=True, params={"svg": {"model": "a"}, "stream": False}).edit(
            make_request(images=(input_image(),), n=2, background="transparent")
        )

    assert openai_state.record[0].json == {
        "prompt": "a fox", "n": 2, "size": "64x64", "background": "transparent",
        "svg": '{"model": "a"}', "stream": "false",
    }  # fmt: skip


async def test_an_edit_validates_against_the_sdk_type(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """Every field has the SDK's name and a value of its type."""
    await openai_engine(edit=True).edit(
        make_request(
            images=(input_image(),), model="gpt-image-2", n=1, quality="low", background="opaque", output_format="webp"
        )
    )

    types = get_type_hints(ImageEditParamsNonStreaming)
    for name, value in openai_state.record[0].json.items():
        TypeAdapter(types[name]).validate_python(value, strict=True)
    assert "image" in types


async def test_a_model_that_refuses_n_is_called_once_per_edited_image(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """Each call has the input images."""
    result = await openai_engine(edit=True).edit(make_request(images=(input_image(),), model="sandbox-single", n=2))

    assert len(result.images) == 2
    assert [len(request.files) for request in openai_state.record] == [1, 1, 1]


async def test_a_server_that_accepts_only_a_list_gets_one(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """stable-diffusion.cpp's server accepts only `image[]`, also for a single image."""
    openai_state.knobs.faults = [Fault(400, {"error": "at least one image[] required"})]

    result = await openai_engine(edit=True).edit(make_request(images=(input_image(),)))

    assert [uploaded(openai_state, number)[0][0] for number in (0, 1)] == ["image", "image[]"]
    assert len(result.images) == 1


async def test_a_mask_of_another_size_has_the_engines_error_text(
    openai_engine: MakeEngine, make_request: MakeRequest
) -> None:
    """The engine's error text says what is wrong with the mask."""
    with pytest.raises(EngineRejected, match="mask size does not match image size"):
        await openai_engine(edit=True).edit(make_request(images=(input_image(),), mask=input_image("RGBA", (32, 32))))


async def test_unsupported_parameters_are_ignored_with_a_warning(
    openai_engine: MakeEngine, make_request: MakeRequest
) -> None:
    """A field that the API does not support is left out of an edit."""
    result = await openai_engine(edit=True).edit(make_request(images=(input_image(),), seed=1))

    assert result.warnings == ["seed is not supported by openai and was ignored"]
