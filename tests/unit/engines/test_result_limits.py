"""Engines that return more images than requested: how many are kept, and which warning says so."""

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from starlette.types import ASGIApp

from image_gateway.engines.connection import Connection
from image_gateway.engines.protocol import EngineImage, EngineResult
from image_gateway.engines.registry import REGISTRY
from image_gateway.engines.result_limits import MAX_IMAGES, limit_result
from tests.unit.engines.unusual_responses import FILE, PNG, PNG_BASE64, SERVERS

pytestmark = pytest.mark.anyio

Generate = Callable[..., Any]
IMAGES: dict[str, Callable[[int], Any]] = {
    "openai": lambda number: {"data": [{"b64_json": PNG_BASE64}] * number},
    "imagen": lambda number: {"predictions": [{"bytesBase64Encoded": PNG_BASE64}] * number},
    "gemini": lambda number: {"candidates": [{"content": {"parts": [{"inlineData": {"data": PNG_BASE64}}] * number}}]},
    "automatic1111": lambda number: {"images": [PNG_BASE64] * number},
    "comfyui": lambda number: {"outputs": {"2": {"images": [FILE] * number}}},
}


@pytest.fixture
def generate(serve: Callable[[ASGIApp], str], connect: Callable[..., Connection]) -> Generate:
    """Generate with an engine whose server returns a number of images; keywords are the request's fields."""

    async def generate(kind: str, number: int, config: dict[str, Any] | None = None, **fields: Any) -> Any:
        server = copy.deepcopy(SERVERS[kind])
        server = replace(server, config={**server.config, **(config or {})}, requested=[])
        return await server.generate(serve, connect, IMAGES[kind](number), **fields), server

    return generate


@pytest.mark.parametrize(
    ("kind", "kept"), [("openai", 11), ("imagen", 1), ("gemini", 64), ("automatic1111", 1), ("comfyui", 64)]
)
async def test_thousands_of_images_for_one_are_cut_to_what_the_kind_may_add(
    generate: Generate, kind: str, kept: int
) -> None:
    """A compatible server may make a fixed number of images, and a workflow as many as it saves."""
    result, _server = await generate(kind, 5_000)

    assert [image.data for image in result.images] == [PNG] * kept
    assert any("5000 images, and all but" in warning for warning in result.warnings)


@pytest.mark.parametrize(("kind", "n", "kept"), [("openai", 10, 20), ("openai", 4, 14), ("imagen", 4, 4)])
async def test_the_limit_grows_with_the_requested_number(generate: Generate, kind: str, n: int, kept: int) -> None:
    """What was requested is always kept."""
    result, _server = await generate(kind, 5_000, n=n)

    assert len(result.images) == kept


@pytest.mark.parametrize("number", [1, 4, 11])
async def test_the_fixed_number_of_a_compatible_server_is_kept(generate: Generate, number: int) -> None:
    """These images are paid for, and there is nothing to warn of."""
    result, _server = await generate("openai", number)

    assert (len(result.images), result.warnings) == (number, [])


async def test_what_the_operator_requests_is_kept(generate: Generate) -> None:
    """Up to 64 images."""
    kept, _server = await generate("openai", 40, {"IMAGES_OPENAI_API_PARAMS": {"n": 40}})
    cut, _server = await generate("openai", 5_000, {"IMAGES_OPENAI_API_PARAMS": {"n": 5_000}})

    assert (len(kept.images), len(cut.images)) == (40, MAX_IMAGES)


async def test_an_operators_batch_beyond_the_limit_is_cut_and_not_requested_again(generate: Generate) -> None:
    """The warning names the parameters."""
    result, server = await generate("automatic1111", 100, {"AUTOMATIC1111_PARAMS": {"batch_size": 10, "n_iter": 10}})

    assert len(result.images) == MAX_IMAGES
    assert server.requested == ["/sdapi/v1/txt2img"]
    assert "AUTOMATIC1111_PARAMS make 100 images: the first 64 are kept" in result.warnings


@pytest.mark.parametrize(("n", "downloads"), [(1, 64), (10, 60)])
async def test_images_of_a_workflow_beyond_the_limit_are_not_downloaded(
    generate: Generate, n: int, downloads: int
) -> None:
    """The runs of a job share the limit."""
    result, server = await generate("comfyui", 5_000, n=n)

    assert len(result.images) == server.requested.count("/view") == downloads
    assert f"comfyui returned 5000 images, and all but the first {downloads // n} were left out" in result.warnings


async def test_a_result_of_any_engine_is_limited() -> None:
    """This is so even if an engine of a new kind does not limit its own."""
    image = EngineImage(b"x", seed=10**30, revised_prompt="x" * 100_000)
    result = EngineResult(
        images=[image] * 100,
        warnings=["x" * 100_000] * 1_000,
        usage={"total_tokens": 1, "text": "x" * 100_000},
        reported={"quality": "x" * 100_000, "another": "x"},
    )

    limit_result(result, "new")

    assert len(result.images) == MAX_IMAGES
    assert {(image.seed, len(image.revised_prompt or "")) for image in result.images} == {(None, 32_000)}
    assert result.warnings[0] == "new returned 100 images, and all but the first 64 were left out"
    assert (len(result.warnings), max(map(len, result.warnings))) == (100, 1_000)
    assert (result.usage, result.reported) == ({"total_tokens": 1}, {"quality": "x" * 64})


async def test_the_kinds_of_these_tests_are_those_of_the_registry() -> None:
    """A new engine needs a limit too."""
    assert {server.engine for server in SERVERS.values()} == REGISTRY.keys()


async def test_images_that_imagen_filtered_do_not_count(serve: Any, connect: Any) -> None:
    """A server may report a filtered image before the one that it made."""
    body = {"predictions": [{"raiFilteredReason": "a reason"}, {"bytesBase64Encoded": PNG_BASE64}]}

    result = await SERVERS["imagen"].generate(serve, connect, body)

    assert [image.data for image in result.images] == [PNG]
    assert not any("left out" in warning for warning in result.warnings)
