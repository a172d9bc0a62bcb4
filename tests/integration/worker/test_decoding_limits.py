"""Jobs whose input images use up memory or CPU time, beside others."""

from collections.abc import Callable
from urllib.parse import quote

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from functions.worker.app import make_handler
from image_gateway.container import Gateway
from image_gateway.images.decoding.process import end_all
from tests.integration.sample_images import GREEN, data_url, encoded
from tests.integration.sandbox_engine import SandboxEngine
from tests.integration.sqs_records import Record, record
from tests.integration.worker_deployment import Context, WorkerDeployment
from tests.loop_time import LoopTime
from tests.polling import meanwhile, wait_until
from tests.unit.images.decoding.bombs import BOMBS, slow_image
from tests.unit.images.decoding.processes import decoding_processes, is_decoding

INNOCENT_JOBS = 9


class ImageServer:
    """Serves the bombs by their names, a slow image, and a sound one; `before_response` is called for each request."""

    def __init__(self) -> None:
        self.url = ""
        self.requests = 0
        self.before_response: Callable[[], object] = lambda: None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.requests += 1
        self.before_response()
        name = Request(scope).query_params["name"]
        make = {"slow": slow_image, "sound": encoded}.get(name) or BOMBS[name]
        await Response(make())(scope, receive, send)


@pytest.fixture
def images(edit_worker: WorkerDeployment, serve: Callable[..., str]) -> ImageServer:
    """A server whose images the worker may fetch."""
    server = ImageServer()
    server.url = serve(server)
    hosts = frozenset([server.url.removeprefix("http://")])
    settings = edit_worker.gateway.settings.model_copy(update={"fetch_allowed_hosts": hosts})
    edit_worker.gateway = Gateway(settings, edit_worker.gateway.aws)
    return server


def edit(image: str, prompt: str = "a hat") -> Record:
    return record({"kind": "edit", "request": {"prompt": prompt, "image": image}})


@pytest.mark.parametrize(
    "name",
    [
        "tiff: a deflated tile of 46,336 x 46,336 pixels",
        "jpeg: 20,000 scans",
    ],
)
def test_an_image_harms_no_other_job_of_its_batch(
    edit_worker: WorkerDeployment, edit_engine: SandboxEngine, images: ImageServer, name: str
) -> None:
    """The other nine jobs succeed, and nothing was paid for a job whose image is refused."""
    innocent = data_url(encoded(GREEN))
    bomb = f"{images.url}/?name={quote(name)}"

    edit_worker.deliver(edit(bomb, "a bomb"), *(edit(innocent) for _ in range(INNOCENT_JOBS)))

    jobs = edit_worker.jobs()
    assert [job.status for job in jobs if job.request["prompt"] == "a hat"] == ["succeeded"] * INNOCENT_JOBS
    (job,) = [job for job in jobs if job.request["prompt"] == "a bomb"]
    if job.error:
        assert (job.error.code, job.error.field, job.error.may_have_cost) == ("invalid_image", "image", False)
    assert len(edit_engine.state.record) == INNOCENT_JOBS + (job.error is None)


def test_a_job_whose_images_left_too_little_time_is_tried_again(
    edit_worker: WorkerDeployment, edit_engine: SandboxEngine, images: ImageServer
) -> None:
    """The engine, which may take 20 s, is not called until an invocation has time for it. The images are read once."""
    context = Context(seconds=60)
    images.before_response = lambda: setattr(context, "seconds", 25)

    make_handler(lambda: edit_worker.gateway)({"Records": [edit(f"{images.url}/?name=sound")]}, context)

    (job,) = edit_worker.jobs()
    assert (job.status, job.attempts, edit_engine.state.record) == ("queued", 1, [])
    assert job.inputs == [f"inputs/{job.id}/0.png"]
    edit_worker.process_queue()

    (job,) = edit_worker.jobs()
    assert (job.status, job.attempts, len(edit_engine.state.record)) == ("succeeded", 2, 1)
    assert images.requests == 1


def test_a_job_whose_images_are_not_read_in_time_is_tried_again(
    edit_worker: WorkerDeployment, edit_engine: SandboxEngine, event_loop_time: LoopTime, images: ImageServer
) -> None:
    """It is no timeout of the engine, which was not called, and nothing goes on after the invocation."""
    end_all()

    def advance_time() -> None:
        wait_until(is_decoding)
        event_loop_time.advance(95)

    with meanwhile(advance_time):
        edit_worker.deliver(edit(f"{images.url}/?name=slow"), seconds=100)

    (job,) = edit_worker.jobs()
    assert (job.status, job.attempts, edit_engine.state.record) == ("queued", 1, [])
    assert decoding_processes() == set()
