"""Repeated edits that are the same job, although their inputs or the configuration have changed since."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.engines.state import Fault
from tests.aws_clients import aws_client
from tests.integration.sample_images import GREEN, RED, encoded, text
from tests.integration.sqs_records import event, record
from tests.integration.worker_deployment import deploy_worker

if TYPE_CHECKING:
    from tests.integration.deployment import ApiResponse, Deployment
    from tests.integration.image_server import ImageServer
    from tests.integration.sandbox_engine import SandboxEngine

PATHS = {"images": "/api/v1/images/edit", "openai": "/v1/images/edits"}
FIRST = {"key": {"Idempotency-Key": "my-key"}, "retry": {"X-Stainless-Retry-Count": "0"}}
REPEATED = {**FIRST, "retry": {"X-Stainless-Retry-Count": "1"}}


@pytest.fixture
def engine(use_edit_engine: Callable[[str], "SandboxEngine"]) -> "SandboxEngine":
    """An engine that the deployment edits with."""
    return use_edit_engine("openai")


@pytest.fixture(params=PATHS)
def path(request: pytest.FixtureRequest) -> str:
    """The path of an edit in each of the two APIs."""
    return PATHS[request.param]


@pytest.fixture(params=FIRST)
def mark(request: pytest.FixtureRequest) -> str:
    """What marks a request as the repetition of an earlier one."""
    return str(request.param)


def edit(
    deployment: "Deployment", path: str, image: str, headers: dict[str, str] | None = None, **fields: Any
) -> "ApiResponse":
    """Edit an image."""
    headers = FIRST["key"] if headers is None else headers
    return deployment.call("POST", path, {"prompt": "a hat", "image": image, **fields}, role="user", headers=headers)


def image_of(response: "ApiResponse") -> Any:
    """Return what identifies the image of a response."""
    body = response.json
    return body["data"][0]["b64_json"] if isinstance(body, dict) else body[0]["id"]


def test_a_repeated_edit_returns_the_finished_job_when_its_link_is_gone(
    deployment: "Deployment", engine: "SandboxEngine", image_server: "ImageServer", path: str, mark: str
) -> None:
    """The key, or the SDK's retry header, is looked at before links are fetched, so the link is fetched once."""
    deployment.allow_hosts(image_server.url)
    first = edit(deployment, path, f"{image_server.url}/green.png", FIRST[mark])
    image_server.is_empty = True

    response = edit(deployment, path, f"{image_server.url}/green.png", REPEATED[mark])

    assert (first.status, response.status) == (200, 200), response.text
    assert image_of(response) == image_of(first)
    assert (image_server.requested, len(engine.posted("/edits"))) == (["/green.png"], 1)


def test_a_repeated_edit_with_the_link_of_a_mask_that_is_gone_returns_the_finished_job(
    deployment: "Deployment", engine: "SandboxEngine", image_server: "ImageServer", path: str
) -> None:
    """The mask is an input like the images."""
    deployment.allow_hosts(image_server.url)
    inputs: dict[str, Any] = {"image": text(encoded(RED)), "mask": f"{image_server.url}/mask.png"}
    first = edit(deployment, path, **inputs)
    image_server.is_empty = True

    response = edit(deployment, path, **inputs)

    assert (first.status, response.status) == (200, 200), response.text
    assert len(engine.posted("/edits")) == 1


def test_a_repeated_edit_returns_the_finished_job_when_its_stored_input_is_gone(
    deployment: "Deployment", engine: "SandboxEngine", path: str
) -> None:
    """Images and uploads of the deployment expire before the key does."""
    (stored,) = deployment.edit(text(encoded(GREEN))).json
    first = edit(deployment, path, stored["id"])
    aws_client("s3").delete_object(Bucket=deployment.gateway.settings.bucket, Key=deployment.jobs()[-1].images[0].key)

    response = edit(deployment, path, stored["id"])

    assert (first.status, response.status) == (200, 200), response.text
    assert image_of(response) == image_of(first)
    assert len(engine.posted("/edits")) == 2


def test_a_repeated_edit_returns_the_finished_job_when_editing_is_switched_off(
    deployment: "Deployment", engine: "SandboxEngine", path: str
) -> None:
    """The key is looked at before anything that may have changed since."""
    first = edit(deployment, path, text(encoded()))
    deployment.configure(ENABLE_IMAGE_EDIT=False)

    response = edit(deployment, path, text(encoded()))

    assert (first.status, response.status) == (200, 200), response.text
    assert len(engine.posted("/edits")) == 1


def test_a_repeated_edit_as_gif_returns_the_finished_job_when_the_engine_has_changed(
    deployment: "Deployment", engine: "SandboxEngine", use_edit_engine: Callable[[str], "SandboxEngine"]
) -> None:
    """The new engine would refuse the format."""
    fields: dict[str, Any] = {"model": "gpt-image-2.6-sunburst", "output_format": "gif"}
    first = edit(deployment, PATHS["openai"], text(encoded()), **fields)
    use_edit_engine("gemini")

    response = edit(deployment, PATHS["openai"], text(encoded()), **fields)

    assert (first.status, response.status) == (200, 200), response.text
    assert len(engine.posted("/edits")) == 1


def test_the_key_of_another_edit_is_refused_before_links_are_fetched(
    deployment: "Deployment", engine: "SandboxEngine", image_server: "ImageServer", path: str
) -> None:
    """It is a mistake of the caller, whether the link works or not."""
    deployment.allow_hosts(image_server.url)
    edit(deployment, path, text(encoded()))

    response = edit(deployment, path, f"{image_server.url}/green.png")

    assert "was used for another request" in response.text
    assert (image_server.requested, len(engine.posted("/edits"))) == ([], 1)


def test_a_repeated_edit_that_failed_at_no_cost_fetches_its_link_again(
    deployment: "Deployment", engine: "SandboxEngine", image_server: "ImageServer", path: str
) -> None:
    """It is a new job."""
    deployment.allow_hosts(image_server.url)
    engine.state.knobs.faults.append(Fault(429, headers={"Retry-After": "17"}))
    first = edit(deployment, path, f"{image_server.url}/green.png")

    response = edit(deployment, path, f"{image_server.url}/green.png")

    assert (first.status, response.status) == (429, 200), response.text
    assert image_server.requested == ["/green.png"] * 2


def test_an_sdks_first_request_fetches_its_link_each_time(
    deployment: "Deployment", engine: "SandboxEngine", image_server: "ImageServer", path: str
) -> None:
    """Without a retry, the same body is a new request."""
    deployment.allow_hosts(image_server.url)
    for _ in range(2):
        edit(deployment, path, f"{image_server.url}/green.png", FIRST["retry"])

    assert image_server.requested == ["/green.png"] * 2
    assert len(engine.posted("/edits")) == 2


@pytest.mark.parametrize("channel", ["sqs", "eventbridge"])
def test_a_repeated_edit_by_event_gets_the_event_of_the_finished_job_when_its_link_is_gone(
    deployment: "Deployment", engine: "SandboxEngine", image_server: "ImageServer", channel: str
) -> None:
    """As over HTTP, nothing is fetched for it."""
    deployment.allow_hosts(image_server.url)
    worker = deploy_worker(deployment.gateway)
    body = {"id": "my-key", "request": {"prompt": "a hat", "image": f"{image_server.url}/green.png"}}
    for is_empty in (False, True):
        image_server.is_empty = is_empty
        message = {**body, "kind": "edit"} if channel == "sqs" else event(body, "Image Edit Requested")
        assert worker.deliver(record(message)) == []

    (job,) = worker.jobs()
    assert [detail["keys"] for _kind, detail in worker.reported()] == [[job.images[0].key]] * 2
    assert (image_server.requested, len(engine.posted("/edits"))) == (["/green.png"], 1)
