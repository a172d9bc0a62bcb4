"""The gemini engine: Imagen's `predict`."""

from typing import Any

import pytest

from image_gateway.errors import (
    ContentBlocked,
    EngineRejected,
    EngineUnavailable,
)
from image_gateway.models.fields import Size
from sandbox.engines.state import Fault, SandboxState
from tests.unit.engines.gemini.requests_and_responses import (
    IMAGE,
    IMAGEN,
    Connect,
    MakeEngine,
    Serve,
    engine_returning,
    image_request,
)

pytestmark = pytest.mark.anyio


async def test_imagen_makes_up_to_four_images_per_call(make_engine: MakeEngine, state: SandboxState) -> None:
    """`predict` is chosen by the model's name and takes up to four images."""
    result = await make_engine().generate(image_request(model=f"models/{IMAGEN}", n=6, size=Size(1024, 1024)))
    assert len(result.images) == 6
    assert [entry.path for entry in state.record] == [f"/v1beta/models/{IMAGEN}:predict"] * 2
    assert sorted(entry.json["parameters"]["sampleCount"] for entry in state.record) == [2, 4]
    assert state.record[0].json["instances"] == [{"prompt": "a red fox"}]


@pytest.mark.parametrize(
    ("method", "model", "used"),
    [
        ("", IMAGE, "generateContent"),
        ("", IMAGEN, "predict"),
        ("generateContent", IMAGEN, "generateContent"),
        ("predict", IMAGE, "predict"),
    ],
)
async def test_the_configured_method_wins_over_the_models_name(
    make_engine: MakeEngine, state: SandboxState, method: str, model: str, used: str
) -> None:
    """The model's name decides only if the configuration is empty."""
    state.knobs.faults = [Fault(400, {"error": {"message": "seen"}})]
    with pytest.raises(EngineRejected, match="seen"):
        await make_engine(method=method).generate(image_request(model=model))
    assert state.record[0].path.endswith(f"{model}:{used}")


async def test_filtered_images_are_a_warning_if_others_remain(make_engine: MakeEngine) -> None:
    """Imagen returns the images that it did not filter."""
    result = await make_engine().generate(image_request("some filtered", model=IMAGEN, n=4, size=Size(1024, 1024)))
    assert len(result.images) == 2
    reason = "Your image was filtered out by Google's usage policy: 58061214."
    assert result.warnings == [f"2 of 4 calls failed: gemini blocked the content: {reason}"]


async def test_images_that_are_all_filtered_are_a_content_block(make_engine: MakeEngine) -> None:
    """The error has Google's reason."""
    with pytest.raises(ContentBlocked, match="filtered out by Google's usage policy"):
        await make_engine().generate(image_request("blocked", model=IMAGEN, n=2))


async def test_a_prompt_that_imagen_refuses_is_a_content_block(make_engine: MakeEngine) -> None:
    """Imagen refuses with a plain 400, which is recognized by its text."""
    with pytest.raises(ContentBlocked, match="sensitive words"):
        await make_engine().generate(image_request("refused", model=IMAGEN))


@pytest.mark.parametrize("body", [{}, {"predictions": []}, {"predictions": "none"}, []])
async def test_a_response_without_predictions_is_unavailable(serve: Serve, connect: Connect, body: Any) -> None:
    """The response has neither an image nor a reason."""
    with pytest.raises(EngineUnavailable, match="answered without an image: no explanation"):
        await engine_returning(serve, connect, body).generate(image_request(model=IMAGEN))


@pytest.mark.parametrize("item", ["x", {}, {"bytesBase64Encoded": "iVBORw0KG"}])
async def test_an_unreadable_prediction_is_unavailable(serve: Serve, connect: Connect, item: Any) -> None:
    """Missing and truncated base64 give the same error."""
    with pytest.raises(EngineUnavailable, match="not valid base64"):
        await engine_returning(serve, connect, {"predictions": [item]}).generate(image_request(model=IMAGEN))
