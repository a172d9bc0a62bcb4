"""Generations with the sandbox's openai engine over HTTP: images, parameters, and what is recorded."""

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from image_gateway.container import Gateway
from image_gateway.event_loop import run
from sandbox.engines.painter import paint
from sandbox.engines.state import Fault
from tests import web
from tests.integration.images_api.generation import GENERATIONS, generate

if TYPE_CHECKING:
    from sandbox.engines.state import SandboxState
    from tests.integration.deployment import Deployment


def test_a_generation_is_stored_and_returned_with_a_presigned_url(openai_deployment: "Deployment") -> None:
    """The response has the documented fields; the URL returns an image of the requested size."""
    response = generate(openai_deployment)

    assert response.status == 200
    (image,) = response.json
    assert set(image) == {"url", "id", "name", "content_type", "width", "height", "expires_at"}
    assert (image["width"], image["height"], image["content_type"]) == (640, 384, "image/png")
    assert datetime.fromisoformat(image["expires_at"]) > datetime.now(UTC)
    assert Image.open(io.BytesIO(web.get(image["url"]).content)).size == (640, 384)
    assert image["id"].rpartition("-")[0] in openai_deployment.stored()[0]


def test_the_requests_parameters_reach_the_engine(openai_deployment: "Deployment", openai: "SandboxState") -> None:
    """Model, size and number of the request override the configuration."""
    openai_deployment.configure(IMAGE_SIZE="1024x1024")

    response = generate(openai_deployment, model="gpt-image-2.6-sunburst", n=2, quality="low", output_format="webp")

    body = openai.record[-1].json
    assert {name: body[name] for name in ("model", "size", "n", "quality", "output_format")} == {
        "model": "gpt-image-2.6-sunburst",
        "size": "640x384",
        "n": 2,
        "quality": "low",
        "output_format": "webp",
    }
    assert [image["content_type"] for image in response.json] == ["image/webp"] * 2


def test_the_configuration_provides_missing_parameters(openai_deployment: "Deployment", openai: "SandboxState") -> None:
    """Model and size come from the configuration; a size that neither has is not sent."""
    openai_deployment.configure(IMAGE_SIZE="512x512")
    openai_deployment.call("POST", GENERATIONS, {"prompt": "a fox"}, role="user")
    first = openai.record[-1].json
    openai_deployment.configure(IMAGE_SIZE=None)
    openai_deployment.call("POST", GENERATIONS, {"prompt": "a fox"}, role="user")

    assert (first["model"], first["size"]) == ("gpt-image-2", "512x512")
    assert "size" not in openai.record[-1].json


def test_operator_parameters_override_the_request_with_a_warning(openai_deployment: "Deployment") -> None:
    """Warnings name the overridden parameters of the request, not the others."""
    openai_deployment.configure(IMAGES_OPENAI_API_PARAMS={"n": 2, "size": "512x512", "quality": "low"})

    images = generate(openai_deployment, n=1).json

    assert [(image["width"], image["height"]) for image in images] == [(512, 512)] * 2
    assert any("size" in warning for warning in images[0]["warnings"])
    assert not any("quality" in warning for warning in images[0]["warnings"])


def test_unknown_and_unsupported_fields_are_ignored_with_a_warning(openai_deployment: "Deployment") -> None:
    """Fields of newer clients do not fail a request."""
    (image,) = generate(openai_deployment, zoom=3, steps=20).json

    assert any("zoom" in warning for warning in image["warnings"])
    assert any("steps" in warning for warning in image["warnings"])


def test_a_failed_call_of_several_leaves_the_other_images(
    openai_deployment: "Deployment", openai: "SandboxState"
) -> None:
    """A model that makes one image is called four times; one failure leaves three images and a warning."""
    openai.knobs.faults.append(Fault(500, {"error": {"message": "a planted failure"}}, skip=2, path="/generations"))

    response = generate(openai_deployment, model="sandbox-single", n=4)

    assert response.status == 200
    assert len(response.json) == len(openai_deployment.stored()) == 3
    assert [image["id"].rpartition("-")[2] for image in response.json] == ["0", "1", "2"]
    assert any("a planted failure" in warning for warning in response.json[0]["warnings"])


def test_a_url_on_the_engines_own_origin_is_fetched_with_its_key(
    openai_deployment: "Deployment", openai: "SandboxState"
) -> None:
    """An engine that returns URLs instead of image data is supported."""
    openai.knobs.key = "planted-engine-key"
    openai_deployment.configure(IMAGES_OPENAI_API_PARAMS={"response_format": "url"})

    response = generate(openai_deployment, model="sandbox-url")

    assert response.status == 200, response.text
    assert openai.record[-1].headers["authorization"] == "Bearer planted-engine-key"


def test_an_image_url_of_another_origin_is_fetched_without_the_key(
    openai_deployment: "Deployment", serve: Callable[..., str]
) -> None:
    """An allowed host gets no credentials; a private host gets no request."""
    requested: list[Request] = []

    async def serve_image(request: Request) -> Response:
        requested.append(request)
        return Response(paint("another server", 64, 64), media_type="image/png")

    other_server = serve(Starlette(routes=[Route("/p.png", serve_image)]))

    async def return_url(_request: Request) -> Response:
        return JSONResponse({"data": [{"url": f"{other_server}/p.png"}]})

    engine = serve(Starlette(routes=[Route("/images/generations", return_url, methods=["POST"])]))
    openai_deployment.configure(IMAGES_OPENAI_API_BASE_URL=engine, IMAGES_OPENAI_API_KEY="planted-engine-key")

    refused = generate(openai_deployment)
    assert (refused.status, refused.json["code"]) == (502, "engine_unavailable")
    assert requested == []

    host = other_server.removeprefix("http://")
    settings = openai_deployment.gateway.settings.model_copy(update={"fetch_allowed_hosts": frozenset({host})})
    run(openai_deployment.gateway.aclose())
    openai_deployment.gateway = Gateway(settings)
    assert generate(openai_deployment, prompt="another fox").status == 200
    assert "authorization" not in requested[0].headers


def test_a_base64_encoded_body_is_read(openai_deployment: "Deployment") -> None:
    """API Gateway sends a body without a content type in base64; it is read as JSON."""
    assert openai_deployment.call("POST", GENERATIONS, raw=b'{"prompt": "a fox"}', role="user").status == 200


def test_a_prompt_is_rewritten_if_the_operator_enabled_it(
    openai_deployment: "Deployment", openai: "SandboxState"
) -> None:
    """The engine receives the rewritten prompt, which is the image's `revised_prompt`."""
    openai_deployment.configure(ENABLE_IMAGE_PROMPT_GENERATION=True, IMAGE_PROMPT_GENERATION_MODEL="gpt-5.6-mini")

    (image,) = generate(openai_deployment).json

    assert image["revised_prompt"] == openai.record[-1].json["prompt"] != "a fox"
    assert openai.record[-2].path.endswith("/chat/completions")


@pytest.mark.parametrize("case", ["no model", "failure", "nothing", "too long"])
def test_a_prompt_that_cannot_be_rewritten_is_used_unchanged(
    openai_deployment: "Deployment", openai: "SandboxState", case: str
) -> None:
    """The image is made from the original prompt, and a warning says why."""
    model = "" if case == "no model" else "gpt-5.6-mini"
    openai_deployment.configure(ENABLE_IMAGE_PROMPT_GENERATION=True, IMAGE_PROMPT_GENERATION_MODEL=model)
    text = {"nothing": " ", "too long": "x" * 32_001}.get(case)
    if text:
        openai.knobs.faults.append(Fault(200, {"choices": [{"message": {"content": text}}]}, path="/completions"))
    if case == "failure":
        openai.knobs.faults.append(Fault(500, {"error": {"message": "no language today"}}, path="/completions"))

    (image,) = generate(openai_deployment).json

    assert "revised_prompt" not in image
    assert any("not rewritten" in warning for warning in image["warnings"])
    assert openai.record[-1].json["prompt"] == "a fox"


def test_a_job_writes_one_log_line_and_its_metrics(
    openai_deployment: "Deployment", caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """They have figures with units, and neither prompt nor key."""
    generate(openai_deployment, prompt="planted-prompt", n=2)

    (job,) = [record for record in caplog.records if record.getMessage() == "job"]
    assert (job.connection, job.model, job.outcome, job.images) == ("openai", "gpt-image-2", "succeeded", 2)  # type: ignore[attr-defined]
    metrics = json.loads(next(line for line in capsys.readouterr().out.splitlines() if "_aws" in line))
    assert metrics["images"] == 2
    assert metrics["bytes"] > 0
    assert metrics["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["connection", "outcome"]]
    everything = str([record.__dict__ for record in caplog.records]) + json.dumps(metrics)
    assert "planted" not in everything
