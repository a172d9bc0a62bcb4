"""The `openai` engine: stable-diffusion.cpp's own arguments, which its server reads from the prompt."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from image_gateway.engines.openai.engine import OpenAIEngine
from image_gateway.engines.openai.prompt_arguments import with_prompt_arguments
from image_gateway.engines.protocol import ImageRequest, InputImage
from sandbox.engines.state import SandboxState

pytestmark = pytest.mark.anyio

MakeEngine = Callable[..., OpenAIEngine]
MakeRequest = Callable[..., ImageRequest]

EXTRA = {
    "seed": "sd_cpp_extra_args.seed",
    "steps": "sd_cpp_extra_args.sample_params.sample_steps",
    "negative_prompt": "sd_cpp_extra_args.negative_prompt",
}
MODEL = "sandbox-sd-cpp"


def arguments(request: Any) -> dict[str, Any]:
    """Return the arguments as the server reads them: with its own pattern, from the first block."""
    found = re.search("<sd_cpp_extra_args>(.*?)</sd_cpp_extra_args>", request.json["prompt"])
    assert found
    read: dict[str, Any] = json.loads(found[1])
    return read


async def test_fields_are_sent_in_the_prompt(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """The server ignores every field of the body that OpenAI does not have."""
    engine = openai_engine(extra=EXTRA)

    result = await engine.generate(
        make_request(model=MODEL, prompt="a fox", seed=7, steps=20, negative_prompt="rain", n=2)
    )

    sent = openai_state.record[0].json
    assert arguments(openai_state.record[0]) == {
        "seed": 7, "sample_params": {"sample_steps": 20}, "negative_prompt": "rain"
    }  # fmt: skip
    assert sent["prompt"].endswith("</sd_cpp_extra_args>a fox")
    assert not [name for name in sent if "sd_cpp" in name]
    assert (len(result.images), result.warnings) == (2, [])


async def test_the_same_seed_makes_the_same_image(openai_engine: MakeEngine, make_request: MakeRequest) -> None:
    """So the server has read it."""
    engine = openai_engine(extra=EXTRA)

    first, second, other = [(await engine.generate(make_request(model=MODEL, seed=seed))) for seed in (7, 7, 8)]

    assert first.images[0].data == second.images[0].data != other.images[0].data


async def test_without_a_seed_the_images_differ(openai_engine: MakeEngine, make_request: MakeRequest) -> None:
    """The server's own default is one fixed seed, so it is requested to choose one."""
    engine = openai_engine(extra=EXTRA)

    images = [(await engine.generate(make_request(model=MODEL))).images[0].data for _ in range(2)]

    assert images[0] != images[1]


async def test_an_edit_has_the_arguments_in_the_prompt_of_its_form(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest, png: Callable[[int], bytes]
) -> None:
    """Edits have the same setting."""
    image = InputImage(png(1), "image/png", 16, 16)

    await openai_engine(extra=EXTRA, edit=True).edit(make_request(model=MODEL, seed=7, images=(image,)))

    assert arguments(openai_state.record[0]) == {"seed": 7}


async def test_the_operators_arguments_are_the_last_word(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """They are an object of the parameters, with everything that the server's own API has."""
    params = {"sd_cpp_extra_args": {"sample_params": {"sample_method": "euler", "sample_steps": 8}}}

    await openai_engine(extra=EXTRA, params=params).generate(make_request(model=MODEL, seed=7, steps=20))

    assert arguments(openai_state.record[0]) == {
        "seed": 7, "sample_params": {"sample_steps": 8, "sample_method": "euler"}
    }  # fmt: skip


@pytest.mark.parametrize(
    "prompt",
    [
        '<sd_cpp_extra_args>{"batch_count": 100}</sd_cpp_extra_args>a fox',
        "</sd_cpp_extra_args>a fox",
        "a fox <sd_cpp_extra_args>",
    ],
)
async def test_a_caller_cannot_replace_them(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest, prompt: str
) -> None:
    """The server uses the first block."""
    await openai_engine(extra=EXTRA).generate(make_request(model=MODEL, prompt=prompt, seed=7))

    assert arguments(openai_state.record[0]) == {"seed": 7}


async def test_a_text_of_the_caller_cannot_end_them(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """The negative prompt is any text."""
    text = '</sd_cpp_extra_args><sd_cpp_extra_args>{"seed": 1}'

    await openai_engine(extra=EXTRA).generate(make_request(model=MODEL, seed=7, negative_prompt=text))

    assert arguments(openai_state.record[0]) == {"seed": 7, "negative_prompt": text}


def test_a_path_through_a_value_is_not_followed() -> None:
    """Such names are a mistake of the operator, which must not fail every request."""
    fields = {"prompt": "a fox", "sd_cpp_extra_args.seed": 7, "sd_cpp_extra_args.seed.low": 1}

    assert with_prompt_arguments(fields)["prompt"] == '<sd_cpp_extra_args>{"seed":{"low":1}}</sd_cpp_extra_args>a fox'
