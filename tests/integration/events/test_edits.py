"""Edits that the worker runs: where their input images come from."""

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from image_gateway.access.principals import Principal, Role
from image_gateway.container import Gateway
from image_gateway.engines.protocol import InputImage
from image_gateway.event_loop import run
from image_gateway.jobs.submission import LoadInputs
from image_gateway.models.forms import EditImageForm
from sandbox.engines.state import Fault
from tests.aws_clients import aws_client
from tests.integration.sample_images import GREEN, RED, data_url, encoded, right_half
from tests.integration.sqs_records import event, record
from tests.integration.worker_deployment import WorkerDeployment

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment


def inputs(image: InputImage, mask: InputImage | None = None) -> LoadInputs:
    """Return the function that returns these inputs of an edit."""

    async def load() -> tuple[tuple[InputImage, ...], InputImage | None]:
        return (image,), mask

    return load


STORED_INPUTS = ("0.png", "1.png", "mask.png", "request.json")


def test_an_edit_by_event_is_done(edit_worker: tuple[WorkerDeployment, Any]) -> None:
    """The worker reads the images and stores them as inputs in the bucket, not in the table."""
    worker, engine = edit_worker
    images = [data_url(encoded(RED)), data_url(encoded(GREEN))]

    worker.deliver(record({"kind": "edit", "request": {"prompt": "a hat", "image": images, "mask": right_half()}}))

    (job,) = worker.jobs()
    assert (job.status, job.request) == ("succeeded", {"prompt": "a hat"})
    assert worker.keys(f"inputs/{job.id}/") == [f"inputs/{job.id}/{name}" for name in STORED_INPUTS]
    assert [file["name"] for file in engine.state.record[0].files] == ["image[]", "image[]", "mask"]


def test_a_retried_edit_fetches_its_images_once(
    edit_worker: tuple[WorkerDeployment, Any], serve: Callable[..., str], deployment: "Deployment"
) -> None:
    """The second attempt uses the images that the first one stored."""
    fetched: list[str] = []

    async def respond(request: Request) -> Response:
        fetched.append(request.url.path)
        return Response(encoded())

    url = serve(Starlette(routes=[Route("/red.png", respond)]))
    worker, engine = edit_worker
    settings = worker.gateway.settings.model_copy(
        update={"fetch_allowed_hosts": frozenset([url.removeprefix("http://")])}
    )
    worker.gateway = Gateway(settings, worker.gateway.aws)
    engine.state.knobs.faults.append(Fault(503, headers={"Retry-After": "30"}, path="/edits"))

    worker.deliver(record({"kind": "edit", "request": {"prompt": "a hat", "image": f"{url}/red.png"}}))
    worker.process_queue()

    (job,) = worker.jobs()
    assert (job.status, job.attempts) == ("succeeded", 2)
    assert fetched == ["/red.png"]
    run(worker.gateway.aclose())


@pytest.mark.parametrize(
    ("image", "code"),
    [
        ("not an image", "invalid_image"),
        ("7f7a5e96-0498-4a50-a4fb-0758362b89ef-0", "not_found"),
        ("http://127.0.0.1/x", "invalid_url"),
    ],
)
def test_invalid_images_fail_an_edit_by_event(edit_worker: tuple[WorkerDeployment, Any], image: str, code: str) -> None:
    """The job names the field and the reason; the engine is not called."""
    worker, engine = edit_worker

    worker.deliver(record({"kind": "edit", "request": {"prompt": "a hat", "image": image}}))

    (job,) = worker.jobs()
    assert job.error
    assert (job.status, job.error.code, job.error.field) == ("failed", code, "image")
    assert engine.state.record == []


def test_an_edit_by_event_may_use_only_images_of_its_own_source(edit_worker: tuple[WorkerDeployment, Any]) -> None:
    """An image of the same owner is an input; one of another owner is not found."""
    worker, _engine = edit_worker
    worker.deliver(record(event({"prompt": "a hat", "image": data_url(encoded())}, "Image Edit Requested", "shop")))
    (first,) = worker.jobs()

    for source in ("shop", "thief"):
        worker.deliver(record(event({"prompt": "b", "image": f"{first.id}-0"}, "Image Edit Requested", source)))

    statuses = {job.owner: job.status for job in worker.jobs() if job.id != first.id}
    assert statuses == {"event:shop": "succeeded", "event:thief": "failed"}


def test_a_queued_edit_over_http_is_done(edit_worker: tuple[WorkerDeployment, Any]) -> None:
    """The inputs and the mask that the HTTP request stored are loaded."""
    worker, engine = edit_worker
    image = InputImage(encoded(), "image/png", 64, 64)
    mask = InputImage(base64.b64decode(right_half()), "image/png", 64, 64)
    form = EditImageForm(prompt="a hat", image="x")
    principal = Principal("1", "", Role.USER)
    job = run(worker.gateway.submission.submit(form, principal, load_inputs=inputs(image, mask=mask), queue=True))

    worker.process_queue()

    assert worker.job(job.id).status == "succeeded"
    assert [file["name"] for file in engine.state.record[0].files] == ["image", "mask"]


def test_inputs_that_cannot_be_read_are_retried(
    edit_worker: tuple[WorkerDeployment, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bucket that fails before the engine is called costs an attempt, not the job."""
    worker, engine = edit_worker
    image = InputImage(encoded(), "image/png", 64, 64)
    form = EditImageForm(prompt="a hat", image="x")
    principal = Principal("1", "", Role.USER)
    job = run(worker.gateway.submission.submit(form, principal, load_inputs=inputs(image), queue=True))
    aws_client("s3").delete_object(Bucket=worker.gateway.settings.bucket, Key=job.inputs[0])

    (message,) = worker.drain()
    assert worker.deliver(message.record) == []
    assert worker.job(job.id).status == "queued"
    run(worker.gateway.images.put_input(job.id, "0.png", encoded(), "image/png"))
    worker.process_queue()

    assert (worker.job(job.id).status, worker.job(job.id).attempts) == ("succeeded", 2)
    assert len(engine.state.record) == 1
