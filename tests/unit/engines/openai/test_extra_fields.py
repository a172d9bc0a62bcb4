"""The `openai` engine: fields beyond OpenAI's own, for servers that the operator says take them."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from image_gateway.engines.openai.engine import OpenAIEngine
from image_gateway.engines.protocol import ImageRequest, InputImage
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import Size
from sandbox.engines.state import SandboxState

pytestmark = pytest.mark.anyio

MakeEngine = Callable[..., OpenAIEngine]
MakeRequest = Callable[..., ImageRequest]

EXTRA = {"seed": "seed", "steps": "num_inference_steps", "negative_prompt": "negative_prompt"}
FIELDS: dict[str, Any] = {"seed": 7, "steps": 20, "negative_prompt": "rain", "model": "sandbox-diffusion"}


async def test_extra_fields_are_sent_under_the_servers_names(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """They have no warnings then."""
    result = await openai_engine(extra=EXTRA).generate(make_request(**FIELDS))

    sent = openai_state.record[0].json
    assert {name: sent[name] for name in EXTRA.values()} == {
        "seed": 7, "num_inference_steps": 20, "negative_prompt": "rain"
    }  # fmt: skip
    assert result.warnings == []


async def test_an_edit_has_the_extra_fields_in_its_form(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest, png: Callable[[int], bytes]
) -> None:
    """The setting is for edits too."""
    image = InputImage(png(1), "image/png", 16, 16)

    result = await openai_engine(extra=EXTRA, edit=True).edit(make_request(**FIELDS, images=(image,)))

    assert (openai_state.record[0].json["seed"], result.warnings) == (7, [])


async def test_a_field_that_is_not_named_is_ignored_with_a_warning(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """OpenAI's own models refuse it."""
    result = await openai_engine(extra=["seed"]).generate(make_request(**FIELDS))

    assert result.warnings == [
        "steps is not supported by openai and was ignored",
        "negative_prompt is not supported by openai and was ignored",
    ]
    assert "steps" not in openai_state.record[0].json


async def test_each_call_has_a_seed_of_its_own(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """The same seed would make, and cost, the same image several times."""
    result = await openai_engine(extra=["seed"]).generate(make_request(model="sandbox-diffusion", seed=7, n=3))

    calls = sorted((request.json["n"], request.json["seed"]) for request in openai_state.record)
    assert calls == [(1, 7), (1, 8), (1, 9), (3, 7)]
    assert len({image.data for image in result.images}) == 3


async def test_a_ratio_is_sent_instead_of_the_size(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """The server calculates the pixels itself. A size in pixels is sent as it is."""
    engine = openai_engine(extra=["aspect_ratio"])

    ratio = make_request(model="sandbox-diffusion", size=Size(1360, 768), aspect_ratio="16:9", approximate_size=True)
    for request in (ratio, make_request(model="sandbox-diffusion")):
        await engine.generate(request)

    sent = [(request.json.get("aspect_ratio"), request.json.get("size")) for request in openai_state.record]
    assert sent == [("16:9", None), (None, "64x64")]


async def test_a_refused_extra_field_is_left_out_with_a_warning(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """One model of a server may take a field that another one refuses."""
    result = await openai_engine(extra=EXTRA).generate(make_request(model="gpt-image-2", steps=20))

    assert "num_inference_steps" not in openai_state.record[-1].json
    assert result.warnings == ["num_inference_steps is not supported by this model and was left out"]


@pytest.mark.parametrize(
    "extra", [["zoom"], {"seed": "prompt"}, {"seed": ""}, {"seed": "a b"}, {"size": "x"}, "seed", {"steps": "model"}]
)
def test_other_names_are_refused(extra: object) -> None:
    """Fields that decide what is made and paid cannot be replaced."""
    with pytest.raises(ValidationError, match="IMAGES_OPENAI_API_EXTRA_FIELDS"):
        ImagesConfig.model_validate({"IMAGES_OPENAI_API_EXTRA_FIELDS": extra})
