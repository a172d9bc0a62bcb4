"""Responses of engines that have usable images and unusual values beside them: the images are kept and recorded."""

from collections.abc import Callable

import pytest
from starlette.types import ASGIApp

from image_gateway.engines.automatic1111.run_info import parse_info
from image_gateway.engines.comfyui.server import node_problems
from image_gateway.engines.connection import Connection
from image_gateway.engines.result_limits import limit_result
from image_gateway.models.jobs import Job, JobImage
from tests.unit.engines.unusual_responses import LONG_NUMBER, PNG, SERVERS, UNUSUAL_VALUES

pytestmark = pytest.mark.anyio

PATHS: dict[str, list[tuple[str | int, ...]]] = {
    "openai": [
        ("usage",),
        ("usage", "total_tokens"),
        ("usage", "input_tokens_details"),
        ("usage", "another"),
        ("quality",),
        ("background",),
        ("data", 0, "revised_prompt"),
        ("data", 0, "url"),
        ("created",),
    ],
    "gemini": [
        ("usageMetadata",),
        ("usageMetadata", "totalTokenCount"),
        ("usageMetadata", "promptTokensDetails"),
        ("usageMetadata", "promptTokensDetails", 0, "modality"),
        ("usageMetadata", "promptTokensDetails", 0, "tokenCount"),
        ("candidates", 0, "content", "parts", 0, "text"),
        ("candidates", 0, "finishReason"),
        ("promptFeedback",),
    ],
    "imagen": [
        ("usageMetadata",),
        ("usage",),
        ("predictions", 0, "mimeType"),
        ("predictions", 0, "prompt"),
        ("metadata",),
    ],
    "automatic1111": [
        ("usage",),
        ("info",),
        ("info", "seed"),
        ("info", "all_seeds"),
        ("info", "sd_model_name"),
        ("info", "sd_model_hash"),
        ("info", "index_of_first_image"),
        ("parameters",),
    ],
    "comfyui": [
        ("usage",),
        ("status",),
        ("status", "status_str"),
        ("status", "messages"),
        ("prompt",),
        ("prompt", 2),
        ("prompt", 2, "1"),
        ("prompt", 2, "1", "inputs"),
        ("prompt", 2, "1", "inputs", "seed"),
        ("outputs", "1"),
        ("outputs", "1x"),
        ("meta",),
    ],
}


@pytest.mark.parametrize(("kind", "path"), [(kind, path) for kind, paths in PATHS.items() for path in paths])
async def test_an_unusual_value_beside_an_image_loses_neither_the_image_nor_the_record(
    kind: str,
    path: tuple[str | int, ...],
    serve: Callable[[ASGIApp], str],
    connect: Callable[..., Connection],
) -> None:
    """Whatever it is, the job with the image can be stored and read, and it is small."""
    server = SERVERS[kind].start(serve)
    for value in UNUSUAL_VALUES.values():
        result = await server.generate(connect, SERVERS[kind].body(path, value))
        limit_result(result, kind)

        assert [image.data for image in result.images] == [PNG]
        images = [
            JobImage(key="k/0.png", content_type="image/png", seed=image.seed, revised_prompt=image.revised_prompt)
            for image in result.images
        ]
        job = Job(
            id="1",
            kind="generation",
            owner="token:1",
            images=images,
            usage=result.usage,
            reported=result.reported,
            warnings=result.warnings,
        )
        record = job.model_dump_json()
        assert Job.model_validate_json(record) == job
        assert len(record) < 50_000


@pytest.mark.parametrize("kind", ["openai", "gemini"])
@pytest.mark.parametrize("value", [LONG_NUMBER, -1, True, 10**30, float("nan"), float("inf"), "7", [7], {"a": 7}])
async def test_a_token_count_that_is_no_small_number_is_left_out(
    kind: str, value: object, serve: Callable[[ASGIApp], str], connect: Callable[..., Connection]
) -> None:
    """The known counts beside it are kept."""
    path = {"openai": ("usage", "output_tokens"), "gemini": ("usageMetadata", "candidatesTokenCount")}[kind]

    result = await SERVERS[kind].generate(serve, connect, SERVERS[kind].body(path, value))

    assert result.usage
    assert result.usage["total_tokens"] == 1
    assert "output_tokens" not in result.usage


@pytest.mark.parametrize("node_errors", list(UNUSUAL_VALUES.values()), ids=list(UNUSUAL_VALUES))
@pytest.mark.parametrize("depth", [0, 1, 2])
def test_an_unusual_report_of_nodes_does_not_raise(node_errors: object, depth: int) -> None:
    """ComfyUI sends it with a run that it has accepted."""
    for name in ["1", "errors"][:depth][::-1]:
        node_errors = {name: node_errors}

    assert isinstance(node_problems(node_errors), list)


def test_a_longer_report_of_a_run_is_not_parsed() -> None:
    """It is JSON in JSON, and would take twenty times its own memory. The image is kept without its seed."""
    assert parse_info("[" + "[]," * 1_400_000 + "[]]") == {}
