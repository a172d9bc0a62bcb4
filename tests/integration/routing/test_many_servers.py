"""Many servers behind one name: their load, what failing ones cost, and what is read for them."""

import asyncio
import ssl
import threading
from collections import Counter
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from image_gateway.aws import Aws
from image_gateway.container import Gateway
from image_gateway.event_loop import run
from image_gateway.models.connection_forms import ConnectionForm
from image_gateway.models.jobs import Job
from image_gateway.models.route_forms import RouteForm
from image_gateway.routing.cooldown import FAILURES
from sandbox.engines.comfyui_workflows import CHECKPOINT
from tests.conftest import AnyLoopTransport
from tests.integration.routing.routes import Routes, fail
from tests.integration.worker.queued_jobs import FOX
from tests.integration.worker_deployment import deploy_worker
from tests.polling import DEADLINE_SECONDS


class Gate:
    """Lets the runs of several servers begin only when each of them has one.

    Args:
        servers: how many servers there are.

    Attributes:
        opened: how often all of them had one.
    """

    def __init__(self, servers: int) -> None:
        self.opened = 0
        self._barrier = threading.Barrier(servers, self._count, timeout=DEADLINE_SECONDS)

    def before(self, app: ASGIApp) -> ASGIApp:
        """Return a server that waits for the others before it accepts a run."""

        async def gated(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http" and scope["method"] == "POST" and scope["path"] == "/prompt":
                await asyncio.to_thread(self._barrier.wait)
            await app(scope, receive, send)

        return gated

    def _count(self) -> None:
        self.opened += 1


def test_four_gpus_share_forty_jobs(routes: Routes) -> None:
    """Never two at once on one, and none is idle while jobs wait: all four have a run, ten times."""
    routes.deployment.configure(**CHECKPOINT.fields("COMFYUI"))
    gpus, gate = [f"gpu-{number}" for number in range(4)], Gate(4)
    for gpu in gpus:
        routes.connect(gpu, "comfyui", through=gate.before, key="", max_concurrent=1)
    routes.put("gpus", *({"connection": gpu} for gpu in gpus), strategy="least_busy")
    worker = deploy_worker(routes.deployment.gateway)
    plan = run(worker.gateway.router.find("gpus", edit=False, allow_prefix=False))
    jobs = [
        Job(id=f"00000000-0000-7000-8000-{number:012}", kind="generation", owner="token:1", request=FOX)
        for number in range(40)
    ]
    for job in jobs:
        job.route, job.catalogue = plan.route, plan.catalogue
        run(worker.gateway.jobs.create(job))
        run(worker.gateway.queue.send(job.id, owner=job.owner))

    worker.process_queue(batch=40)

    assert {worker.job(job.id).status for job in jobs} == {"succeeded"}
    assert gate.opened == 10
    assert [routes.requests(gpu, "/prompt") for gpu in gpus] == [10] * 4
    assert max_concurrent_runs(worker.job(job.id) for job in jobs) == dict.fromkeys(gpus, 1)


def max_concurrent_runs(jobs: Any) -> Counter[str]:
    """Return how many jobs ran at once on each connection, at most, by their attempts' times."""
    changes: dict[str, list[tuple[float, int]]] = {}
    for job in jobs:
        (attempt,) = job.tried
        end = job.finished_at.timestamp()
        changes.setdefault(attempt.connection, []).extend([(end - attempt.milliseconds / 1000, 1), (end, -1)])
    most: Counter[str] = Counter()
    for connection, steps in changes.items():
        running = 0
        for _, step in sorted(steps):
            running += step
            most[connection] = max(most[connection], running)
    return most


@pytest.mark.parametrize("failure", ["429", "503", "refused", "key"])
def test_a_failing_server_is_noticed_by_no_caller(routes: Routes, failure: str) -> None:
    """It is called until its cooldown begins. The images of both servers are those that were delivered."""
    match failure:
        case "refused":
            routes.connect("one", base_url="http://127.0.0.1:9/v1")
        case "key":
            routes.engines["one"].knobs.key = "another key"
        case status:
            fail(routes.engines["one"], int(status))
    form = {**FOX, "model": "poster"}

    answers = [routes.deployment.call("POST", "/api/v1/images/generations", form, role="user") for _ in range(8)]

    assert {answer.status for answer in answers} == {200}
    assert len(routes.deployment.stored()) == routes.requests("two") == 8
    assert routes.requests("one") == (0 if failure == "refused" else FAILURES)
    tried = [job.tried[0].code for job in routes.deployment.jobs()]
    assert tried.count("cooling") == 8 - FAILURES


class CountingTransport(httpx.AsyncBaseTransport):
    """Passes requests to AWS on, and counts them by operation. Those to S3 have no header for it."""

    def __init__(self, tls: ssl.SSLContext, reads: Counter[str]) -> None:
        self._transport = AnyLoopTransport(tls)
        self._reads = reads

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._reads[request.headers.get("x-amz-target", "").partition(".")[2] or "GetObject"] += 1
        return await self._transport.handle_async_request(request)

    async def aclose(self) -> None:
        await self._transport.aclose()


def test_many_connections_are_read_with_one_parameter_and_one_object(routes: Routes, tls: ssl.SSLContext) -> None:
    """However many routes a process serves after that."""

    def fill(draft: Any) -> None:
        for number in range(30):
            url = f"https://server-{number}.example/v1"
            connection = {"engine": "openai", "base_url": url, "key": f"key-{number}"}
            draft.put_connection(f"server-{number}", ConnectionForm.model_validate(connection))
        for number in range(20):
            draft.put_workflow(f"workflow-{number}", f"{number:064x}")
        for number in range(40):
            targets = [{"connection": f"server-{(number + n) % 30}", "model": "gpt-image-2"} for n in range(3)]
            draft.put_route(f"route-{number}", RouteForm.model_validate({"targets": targets}))

    settings = routes.deployment.gateway.settings.model_copy(update={"config_ttl_seconds": 60})
    run(routes.deployment.gateway.config_parts.updates.update_catalogue(fill))
    reads: Counter[str] = Counter()
    gateway = Gateway(settings, Aws(lambda: CountingTransport(tls, reads)))

    plans = [run(gateway.router.find(f"route-{number}", edit=False, allow_prefix=False)) for number in range(40)]

    assert {len(plan.destinations) for plan in plans} == {3}
    assert all(destination.problem is None for plan in plans for destination in plan.destinations)
    assert reads == {"GetParameter": 1, "GetObject": 1}
    run(gateway.aws.aclose())
