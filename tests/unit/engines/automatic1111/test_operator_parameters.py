"""The automatic1111 engine: the operator's parameters."""

import pytest

from image_gateway.engines.automatic1111.engine import Automatic1111Engine
from image_gateway.errors import (
    EngineRejected,
    EngineUnavailable,
)
from image_gateway.images.sniff import sniff
from image_gateway.models.config import ImagesConfig
from sandbox.engines.state import SandboxState
from tests.unit.engines.automatic1111.requests_and_responses import (
    SMALL,
    Connect,
    MakeEngine,
    Serve,
    image_base64,
    image_request,
    server_returning,
)

pytestmark = pytest.mark.anyio


async def test_parameters_are_sent_unchanged_without_nulls(make_engine: MakeEngine, state: SandboxState) -> None:
    """A1111's own fields are sent as configured; those without a value are not sent."""
    params = {"sampler_name": "Euler a", "cfg_scale": 6.5, "script_args": [None, 1], "eta": None}
    await make_engine(AUTOMATIC1111_PARAMS=params).generate(image_request())
    sent = state.record[0].json
    assert (sent["sampler_name"], sent["cfg_scale"], sent["script_args"]) == ("Euler a", 6.5, [None, 1])
    assert "eta" not in sent


async def test_parameters_override_the_caller_with_a_warning(make_engine: MakeEngine) -> None:
    """The operator's steps, seed and size replace the caller's."""
    params = {"steps": 9, "seed": 3, "width": 128}
    result = await make_engine(AUTOMATIC1111_PARAMS=params).generate(image_request(steps=2, seed=1, size=SMALL))
    assert sniff(result.images[0].data).width == 128
    assert sorted(result.warnings) == [
        "seed was set to 3 by the operator's parameters",
        "size was set to '128x48' by the operator's parameters",
        "steps was set to 9 by the operator's parameters",
    ]
    assert result.sent is not None
    assert result.sent.size == "128x48"


@pytest.mark.parametrize(("params", "count"), [({"batch_size": 2}, 2), ({"n_iter": 2, "batch_size": 2}, 4)])
async def test_parameters_set_the_number_of_images(make_engine: MakeEngine, params: dict[str, int], count: int) -> None:
    """The operator's `batch_size` and `n_iter` together replace `n`; they do not multiply it."""
    result = await make_engine(AUTOMATIC1111_PARAMS=params).generate(image_request(n=3))
    assert len(result.images) == count
    assert result.warnings == [f"n was set to {count} by the operator's parameters"]


async def test_parameters_equal_to_the_request_give_no_warning(make_engine: MakeEngine) -> None:
    """Two images are requested and a batch of two is configured."""
    result = await make_engine(AUTOMATIC1111_PARAMS={"batch_size": 2}).generate(image_request(n=2))
    assert (len(result.images), result.warnings) == (2, [])


async def test_an_invalid_count_has_the_servers_error_text(make_engine: MakeEngine) -> None:
    """A1111's 422 names the field."""
    with pytest.raises(EngineRejected, match=r"answered 422: body\.n_iter: value is not a valid integer"):
        await make_engine(AUTOMATIC1111_PARAMS={"n_iter": "two"}).generate(image_request())


async def test_override_settings_are_merged_with_the_model(make_engine: MakeEngine, state: SandboxState) -> None:
    """The operator's other settings are sent with the request's model, for this request only."""
    params = {"override_settings": {"CLIP_stop_at_last_layers": 2, "sd_vae": None}}
    await make_engine(AUTOMATIC1111_PARAMS=params).generate(image_request(model="sandbox-sketcher"))
    sent = state.record[0].json
    assert sent["override_settings"] == {"sd_model_checkpoint": "sandbox-sketcher", "CLIP_stop_at_last_layers": 2}
    assert sent["override_settings_restore_afterwards"] is True


async def test_the_operators_checkpoint_overrides_the_callers(make_engine: MakeEngine) -> None:
    """A checkpoint in the parameters' `override_settings` replaces the requested model."""
    params = {"override_settings": {"sd_model_checkpoint": "sandbox-painter"}}
    result = await make_engine(AUTOMATIC1111_PARAMS=params).generate(image_request(model="sandbox-sketcher"))
    assert result.warnings == ["model was set to 'sandbox-painter' by the operator's parameters"]


async def test_invalid_override_settings_are_sent_unchanged(serve: Serve, connect: Connect) -> None:
    """The server validates the operator's parameters."""
    config = ImagesConfig(
        AUTOMATIC1111_BASE_URL=serve(server_returning({"images": [image_base64()]})),
        AUTOMATIC1111_PARAMS={"override_settings": "none"},
    )
    result = await Automatic1111Engine(config, connect()).generate(image_request())
    assert result.warnings == []


async def test_an_unknown_sampler_has_the_servers_error_text(make_engine: MakeEngine) -> None:
    """A1111 sends a 400 with the same text in three fields."""
    with pytest.raises(EngineRejected) as caught:
        await make_engine(AUTOMATIC1111_PARAMS={"sampler_name": "Nope"}).generate(image_request())
    assert caught.value.detail == "automatic1111 answered 400: HTTPException: 400: Sampler not found"


async def test_a_batch_that_is_too_large_has_the_servers_error_text(make_engine: MakeEngine) -> None:
    """A GPU without enough memory gives a 500 with the exception's name."""
    with pytest.raises(EngineUnavailable, match="500: OutOfMemoryError"):
        await make_engine(AUTOMATIC1111_PARAMS={"batch_size": 9}).generate(image_request())
