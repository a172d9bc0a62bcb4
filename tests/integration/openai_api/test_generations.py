"""Generations through the OpenAI API: parameters, images and warnings."""

import base64
import logging
from typing import TYPE_CHECKING, Any

import pytest

from image_gateway.api import WARNINGS_HEADER, format_warnings
from tests import web
from tests.integration.openai_api.generation import generate, parsed_images, parsed_response
from tests.integration.sample_images import opened

if TYPE_CHECKING:
    from sandbox.engines.state import SandboxState
    from tests.integration.deployment import Deployment


def test_images_are_returned_as_base64_by_default(openai_deployment: "Deployment") -> None:
    """The response has all fields of OpenAI's, with the engine's values."""
    result = parsed_response(generate(openai_deployment, n=2, quality="low", background="transparent"))

    assert [opened(image.b64_json or "").size for image in result.data or ()] == [(64, 64), (64, 64)]
    assert (result.size, result.output_format, result.quality, result.background) == (
        "64x64",
        "png",
        "low",
        "transparent",
    )
    assert result.usage is not None
    assert result.usage.total_tokens == result.usage.input_tokens + result.usage.output_tokens
    finished_at = openai_deployment.jobs()[0].finished_at
    assert finished_at
    assert result.created == int(finished_at.timestamp())


def test_images_returned_as_base64_are_stored(openai_deployment: "Deployment") -> None:
    """The same image is in the bucket, and the job's other routes return it."""
    images = parsed_images(generate(openai_deployment))

    job = openai_deployment.jobs()[0]
    stored = openai_deployment.call("GET", f"/api/v1/images/jobs/{job.id}/result", role="user").json
    assert base64.b64decode(images[0].b64_json or "") == web.get(stored[0]["url"]).content
    assert job.channel == "openai"


def test_response_format_url_returns_presigned_urls(openai_deployment: "Deployment") -> None:
    """The response has URLs and no base64."""
    images = parsed_images(generate(openai_deployment, response_format="url"))

    assert images[0].b64_json is None
    assert web.get(images[0].url or "").headers["content-type"] == "image/png"


def test_every_parameter_reaches_the_engine(openai_deployment: "Deployment", openai: "SandboxState") -> None:
    """`response_format` and `stream` describe the response only and are not sent."""
    parameters: dict[str, Any] = {
        "model": "gpt-image-2.6-sunburst",
        "n": 2,
        "size": "128x64",
        "quality": "max",
        "background": "opaque",
        "moderation": "low",
        "output_format": "webp",
        "output_compression": 50,
        "user": "user-1",
        "safety_identifier": "hashed-1",
        "complexity": "low",
    }

    response = generate(openai_deployment, **parameters, response_format="b64_json", stream=False)

    assert openai.record[-1].json == {"prompt": "a fox", **parameters}
    assert parsed_response(response).output_format == "webp"
    assert WARNINGS_HEADER not in response.headers


def test_a_gif_of_an_engine_that_makes_gifs_is_stored_unchanged(
    openai_deployment: "Deployment", openai: "SandboxState"
) -> None:
    """OpenAI's models have a preview of animated images."""
    parameters: dict[str, Any] = {
        "model": "gpt-image-2.6-sunburst",
        "output_format": "gif",
        "frame_count": 2,
        "frame_duration_ms": 500,
    }

    response = generate(openai_deployment, **parameters)

    assert openai.record[-1].json == {"prompt": "a fox", "size": "64x64", "n": 1, **parameters}
    assert opened(parsed_images(response)[0].b64_json or "").format == "GIF"
    assert parsed_response(response).output_format == "gif"
    assert WARNINGS_HEADER not in response.headers


def test_null_counts_as_absent(openai_deployment: "Deployment", openai: "SandboxState") -> None:
    """SDKs of some languages send null for every parameter without a value."""
    nulls: dict[str, Any] = dict.fromkeys(
        ("model", "n", "quality", "background", "style", "moderation", "output_format", "output_compression")
    )

    response = generate(openai_deployment, **nulls, response_format=None, stream=None, partial_images=None, size="auto")

    assert openai.record[-1].json == {"prompt": "a fox", "model": "gpt-image-2", "n": 1, "size": "auto"}
    assert parsed_response(response).data
    assert "warnings" not in response.json


def test_unsupported_parameters_are_ignored_with_a_warning(openai_deployment: "Deployment") -> None:
    """Warnings are in the header, and in the body for clients that follow a redirect; the images are made."""
    response = generate(
        openai_deployment,
        seed=1,
        steps=9,
        negative_prompt="rain",
        partial_images=2,
        style="vivid",
        svg={"model": "gpt-5"},
    )

    header = response.headers[WARNINGS_HEADER]
    for name in ("seed", "steps", "negative_prompt", "partial_images", "style", "svg"):
        assert f'"{name} ' in header
    assert len(response.json["warnings"]) == 6
    assert parsed_response(response).data


def test_end_users_and_prompts_are_not_logged(
    openai_deployment: "Deployment", caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the log nor the representation of a job contains them."""
    caplog.set_level(logging.DEBUG)

    generate(openai_deployment, user="planted-user", safety_identifier="planted-hash", prompt="a planted prompt")

    lines = [str(vars(record)) for record in caplog.records if record.name.startswith("image_gateway")]
    assert lines
    assert not [line for line in lines if "planted" in line]
    assert "planted" not in repr(openai_deployment.jobs()[0])


def test_warnings_are_formatted_for_a_header() -> None:
    """They are quoted ASCII without control characters, and cut off when they get long."""
    assert format_warnings(['a "b" \\ c', "ä\n\x00d"]) == '"a \\"b\\" \\\\ c", "? d"'

    long = format_warnings([f"{number} {'x' * 500}" for number in range(20)])
    assert len(long) < 2_200
    assert long.endswith('"and 17 more, in the response body"')


def test_the_operator_chooses_the_default_of_the_response_format(openai_deployment: "Deployment") -> None:
    """A client of DALL·E expects URLs and names no format. A request that names one gets that."""
    openai_deployment.configure(IMAGE_RESPONSE_FORMAT="url")

    default, named = generate(openai_deployment), generate(openai_deployment, response_format="b64_json")

    assert [sorted(response.json["data"][0]) for response in (default, named)] == [["url"], ["b64_json"]]
