"""Engines that return more than the image: the image is stored, and its job can be recorded and read."""

from typing import TYPE_CHECKING, Any

import pytest

from sandbox.engines.painter import paint
from sandbox.engines.state import Fault, SandboxState
from tests.integration.sample_images import text

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

IMAGE = text(paint("tiny", 16, 16))
PATHS = ["/api/v1/images/generations", "/v1/images/generations"]


def generate(deployment: "Deployment", openai: SandboxState, path: str, body: dict[str, Any]) -> Any:
    """Generate an image with an engine that returns this body; return the response's body and the job's document."""
    openai.knobs.faults.append(Fault(200, body))
    response = deployment.call("POST", path, {"prompt": "a fox"}, role="user")
    assert response.status == 200, response.text
    (job,) = deployment.call("GET", "/api/v1/images/jobs", role="user").json["jobs"]
    return response.json, job


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "usage",
    [{"total_tokens": 7, "signature": "//79" * 50_000}, {"total_tokens": 7, "text": "x" * 500_000}],
    ids=["base64", "long text"],
)
def test_a_usage_that_is_not_only_counts_does_not_lose_the_image(
    openai_deployment: "Deployment", openai: SandboxState, path: str, usage: dict[str, Any]
) -> None:
    """Only the counts are kept."""
    body = {"data": [{"b64_json": IMAGE}], "usage": usage}

    response, job = generate(openai_deployment, openai, path, body)

    assert (job["status"], len(job["images"]), job["warnings"]) == ("succeeded", 1, [])
    assert openai_deployment.jobs()[0].usage == {"total_tokens": 7}
    if "usage" in response:
        assert response["usage"]["total_tokens"] == 7


@pytest.mark.parametrize("path", PATHS)
def test_thousands_of_images_for_one_are_cut_with_a_warning(
    openai_deployment: "Deployment", openai: SandboxState, path: str
) -> None:
    """The record of more would not fit into the table."""
    body = {"data": [{"b64_json": IMAGE, "revised_prompt": "a red fox"}] * 5_000}

    _response, job = generate(openai_deployment, openai, path, body)

    assert (job["status"], len(job["images"])) == ("succeeded", 11)
    assert job["warnings"] == ["openai returned 5000 images, and all but the first 11 were left out"]
    assert len(openai_deployment.stored()) == 11
