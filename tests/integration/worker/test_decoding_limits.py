"""Jobs whose input images use up memory or CPU time, beside others."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from image_gateway.container import Gateway
from image_gateway.event_loop import run
from image_gateway.images.decoding.process import end_all
from tests.integration.sample_images import GREEN, data_url, encoded
from tests.integration.sandbox_engine import SandboxEngine
from tests.integration.sqs_records import Record, record
from tests.integration.worker_deployment import WorkerDeployment, deploy_worker
from tests.loop_time import LoopTime
from tests.polling import meanwhile, wait_until
from tests.unit.images.decoding.bombs import BOMBS, slow_image
from tests.unit.images.decoding.processes import decoding_processes, is_decoding

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

INNOCENT_JOBS = 9


@pytest.fixture
def engine(use_edit_engine: Callable[[str], SandboxEngine]) -> SandboxEngine:
    return use_edit_engine("openai")


@pytest.fixture
def edit_worker(deployment: "Deployment", engine: SandboxEngine) -> Iterator[WorkerDeployment]:
    """A worker whose deployment edits with the sandbox's openai engine."""
    worker = deploy_worker(deployment.gateway)
    yield worker
    run(worker.gateway.aclose())


@pytest.fixture
def bomb_url(edit_worker: WorkerDeployment, serve: Callable[..., str]) -> str:
    """The URL of a server that serves the bombs by their names."""

    async def respond(request: Request) -> Response:
        name = request.query_params["name"]
        return Response(slow_image() if name == "slow" else BOMBS[name]())

    url = serve(Starlette(routes=[Route("/", respond)]))
    hosts = frozenset([url.removeprefix("http://")])
    settings = edit_worker.gateway.settings.model_copy(update={"fetch_allowed_hosts": hosts})
    edit_worker.gateway = Gateway(settings, edit_worker.gateway.aws)
    return url


def edit(image: str, prompt: str = "a hat") -> Record:
    return record({"kind": "edit", "request": {"prompt": prompt, "image": image}})


@pytest.mark.parametrize(
    "name",
    [
        "tiff: a tile of 46,336 x 46,336 pixels",
        "jpeg: 2,000 scans",
        "jpeg: a million segments",
        "webp: 50 megapixels of one color",
    ],
)
def test_an_image_harms_no_other_job_of_its_batch(
    edit_worker: WorkerDeployment, engine: SandboxEngine, bomb_url: str, name: str
) -> None:
    """The other nine jobs succeed, and nothing was paid for a job whose image is refused."""
    innocent = data_url(encoded(GREEN))
    bomb = f"{bomb_url}/?name={quote(name)}"

    edit_worker.deliver(edit(bomb, "a bomb"), *(edit(innocent) for _ in range(INNOCENT_JOBS)))

    jobs = edit_worker.jobs()
    assert [job.status for job in jobs if job.request["prompt"] == "a hat"] == ["succeeded"] * INNOCENT_JOBS
    (job,) = [job for job in jobs if job.request["prompt"] == "a bomb"]
    if job.error:
        assert (job.error.code, job.error.field, job.error.may_have_cost) == ("invalid_image", "image", False)
    assert len(engine.state.record) == INNOCENT_JOBS + (job.error is None)


def test_a_job_whose_images_left_too_little_time_is_tried_again(
    edit_worker: WorkerDeployment, engine: SandboxEngine
) -> None:
    """The engine is not asked until an invocation has time for it, and the images are read once."""
    # The engine may take 20 s, and a job is started with 35 s. Each look at the clock takes 3 s here.
    edit_worker.deliver(edit(data_url(encoded())), seconds=36, step_seconds=3)

    (job,) = edit_worker.jobs()
    assert (job.status, job.attempts, engine.state.record) == ("queued", 1, [])
    assert job.inputs == [f"inputs/{job.id}/0.png"]
    edit_worker.process_queue()

    (job,) = edit_worker.jobs()
    assert (job.status, job.attempts, len(engine.state.record)) == ("succeeded", 2, 1)


def test_a_job_whose_images_are_not_read_in_time_is_tried_again(
    edit_worker: WorkerDeployment, engine: SandboxEngine, event_loop_time: LoopTime, bomb_url: str
) -> None:
    """It is no timeout of the engine, which was not asked, and nothing goes on after the invocation."""
    end_all()

    def advance_time() -> None:
        wait_until(is_decoding)
        event_loop_time.advance(95)

    with meanwhile(advance_time):
        edit_worker.deliver(edit(f"{bomb_url}/?name=slow"), seconds=100)

    (job,) = edit_worker.jobs()
    assert (job.status, job.attempts, engine.state.record) == ("queued", 1, [])
    assert decoding_processes() == set()
