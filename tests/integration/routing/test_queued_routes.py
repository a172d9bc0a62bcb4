"""Routes in the worker: slots, repetitions, dead workers, and routes that change meanwhile."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from image_gateway.event_loop import run
from image_gateway.ids import new_job_id
from image_gateway.jobs.job_item import parse_item
from image_gateway.models.forms import CreateImageForm
from image_gateway.models.jobs import Job
from image_gateway.worker.retry_policy import MAX_ATTEMPTS
from sandbox.engines.comfyui_workflows import CHECKPOINT
from sandbox.engines.openai import create_app
from sandbox.engines.state import SandboxState
from tests.aws_clients import aws_client
from tests.integration.routing.routes import Routes, fail
from tests.integration.sample_images import encoded, text
from tests.integration.sqs_records import record
from tests.integration.worker.queued_jobs import FOX
from tests.integration.worker_deployment import WorkerDeployment, deploy_worker


@pytest.fixture
def worker(routes: Routes) -> WorkerDeployment:
    """The worker of the deployment with routes. Requests are queued."""
    return deploy_worker(routes.deployment.gateway)


def submit(worker: WorkerDeployment, routes: Routes, number: int = 1, **fields: Any) -> list[str]:
    """Queue requests by HTTP; return the ids of their jobs."""
    routes.deployment.gateway = worker.gateway
    ids = []
    for _ in range(number):
        response = routes.deployment.call(
            "POST",
            "/api/v1/images/generations",
            {**FOX, "model": "poster", **fields},
            role="user",
            headers={"Prefer": "respond-async"},
        )
        assert response.status == 202, response.text
        ids.append(response.json["id"])
    return ids


def test_a_queued_job_is_passed_on(worker: WorkerDeployment, routes: Routes) -> None:
    """In the same attempt, to the next target, with a warning."""
    fail(routes.engines["one"], 429)
    (job_id,) = submit(worker, routes)

    worker.process_queue()

    job = worker.job(job_id)
    assert (job.status, job.connection, job.attempts) == ("succeeded", "two", 1)
    assert [(each.connection, each.code) for each in job.tried] == [("one", "engine_rate_limited"), ("two", "")]
    assert job.warnings == ["one was passed over: engine_rate_limited"]
    assert (routes.requests("one"), routes.requests("two")) == (1, 1)


def test_a_queued_job_repeats_the_whole_list(worker: WorkerDeployment, routes: Routes) -> None:
    """Five times in all. Then the first target's error is the job's, and a dead letter raises the alarm."""
    fail(routes.engines["one"], 429)
    fail(routes.engines["two"], 503)
    (job_id,) = submit(worker, routes)

    worker.process_queue()

    job = worker.job(job_id)
    assert job.error
    assert (job.status, job.attempts, job.error.code) == ("failed", MAX_ATTEMPTS, "engine_rate_limited")
    assert "two: engine_unavailable" in job.error.detail
    assert routes.requests("one") <= MAX_ATTEMPTS
    assert len(worker.drain("dead")) == 1


def test_a_target_that_works_again_does_a_repeated_job(worker: WorkerDeployment, routes: Routes) -> None:
    """The next round begins with the first target."""
    fail(routes.engines["one"], 503, times=1)
    fail(routes.engines["two"], 503)
    (job_id,) = submit(worker, routes)

    worker.process_queue()

    job = worker.job(job_id)
    assert (job.status, job.connection, job.attempts) == ("succeeded", "one", 2)


class RecordReader:
    """An engine that reads the records of all jobs whenever it is called."""

    def __init__(self, app: ASGIApp, table: str) -> None:
        self._app = app
        self._table = table
        self.seen: list[tuple[str, str, int | None]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        items = aws_client("dynamodb").scan(TableName=self._table)["Items"]
        for job in [parse_item(item) for item in items if "job" in item]:
            self.seen.append((job.status, job.connection, job.target))
        await self._app(scope, receive, send)


def test_the_record_names_a_target_before_that_is_asked(
    worker: WorkerDeployment, routes: Routes, serve: Callable[..., str]
) -> None:
    """So a worker that dies meanwhile leaves no doubt which one may have been paid."""
    reader = RecordReader(create_app(SandboxState()), worker.gateway.settings.table)
    routes.connect("two", base_url=serve(reader) + "/v1")
    fail(routes.engines["one"], 503)
    submit(worker, routes)

    worker.process_queue()

    assert reader.seen == [("running", "two", 1)]


def die_at(worker: WorkerDeployment, job_id: str, target: int) -> None:
    """Let a worker die while it waits for the answer of a target."""
    plan = run(worker.gateway.router.of_job(worker.job(job_id)))
    assert run(worker.gateway.jobs.lease(job_id, "a dead holder", -10, destination=plan.destinations[target]))


def test_a_worker_that_died_at_a_target_that_charges_leaves_an_interrupted_job(
    worker: WorkerDeployment, routes: Routes
) -> None:
    """No target is called, because the second may have been paid."""
    (job_id,) = submit(worker, routes)
    die_at(worker, job_id, 1)

    worker.process_queue()

    job = worker.job(job_id)
    assert job.error
    assert (job.status, job.error.code, job.error.may_have_cost) == ("failed", "interrupted", True)
    assert job.connection == "two"
    assert (routes.requests("one"), routes.requests("two")) == (0, 0)


def test_a_worker_that_died_at_comfyui_is_replaced_there(worker: WorkerDeployment, routes: Routes) -> None:
    """Its run is found again, and no other target is called."""
    routes.deployment.configure(**CHECKPOINT.fields("COMFYUI"))
    routes.connect("gpu", "comfyui", key="")
    routes.put("poster", "one", {"connection": "gpu"})
    (job_id,) = submit(worker, routes)
    die_at(worker, job_id, 1)

    worker.process_queue()

    job = worker.job(job_id)
    assert (job.status, job.connection, job.attempts) == ("succeeded", "gpu", 2)
    assert (routes.requests("one"), routes.requests("gpu", "/prompt")) == (0, 1)


def test_jobs_are_done_by_the_route_as_it_was_accepted(worker: WorkerDeployment, routes: Routes) -> None:
    """Also those that arrive as messages. A job that is accepted later takes the new route."""
    before = submit(worker, routes, 10)
    request = json.dumps({"kind": "generation", "request": {**FOX, "model": "poster"}})
    job = Job(id=new_job_id(), kind="generation", owner="event:sqs")
    run(
        worker.gateway.worker_parts.job_inputs.attach_request(
            job, CreateImageForm.model_validate({**FOX, "model": "poster"})
        )
    )
    run(worker.gateway.jobs.create(job))
    run(worker.gateway.queue.send(job.id, owner=job.owner))
    routes.put("poster", "two")
    worker.deliver(record(request))
    after = submit(worker, routes, 5)

    worker.process_queue()

    assert {worker.job(job_id).connection for job_id in (*before, job.id)} == {"one"}
    assert {worker.job(job_id).connection for job_id in after} == {"two"}
    # The message that arrived as the last has made a job as well.
    assert (routes.requests("one"), routes.requests("two")) == (11, 6)


def test_lines_of_a_request_file_are_done_by_the_route_as_it_was(worker: WorkerDeployment, routes: Routes) -> None:
    """They were accepted when the file was read. The results name the jobs as usual."""
    line = {"kind": "generation", "request": {**FOX, "model": "poster"}}
    worker.deliver(record(worker.upload("requests/foxes.jsonl", [line] * 3)))
    routes.put("poster", "two")

    worker.process_queue()

    assert [(job.status, job.route, job.connection) for job in worker.jobs()] == [("succeeded", "poster", "one")] * 3


def test_an_edit_by_message_takes_the_route_for_edits(worker: WorkerDeployment, routes: Routes) -> None:
    """A route that does no edits fails the job, at no cost."""
    routes.put("draft", "one", operations=["generation"])
    image = text(encoded())

    for model in ("poster", "draft"):
        request = {"prompt": "a hat", "image": image, "model": model}
        worker.deliver(record(json.dumps({"kind": "edit", "request": request})))

    jobs = {job.request["model"]: job for job in worker.jobs()}
    poster, draft = jobs["poster"], jobs["draft"]
    assert (poster.status, poster.connection) == ("succeeded", "one")
    assert draft.error
    assert (draft.status, draft.error.code, draft.error.may_have_cost) == ("failed", "invalid_request", False)
    assert routes.requests("one", "/images/edits") == 1


def test_a_key_is_not_sent_to_the_server_that_a_connection_had_before(worker: WorkerDeployment, routes: Routes) -> None:
    """A job that was accepted with the old server passes that target over."""
    old = routes.engines["one"]
    (job_id,) = submit(worker, routes)
    routes.connect("one", key="another-key")

    worker.process_queue()

    job = worker.job(job_id)
    assert (job.status, job.connection, old.record) == ("succeeded", "two", [])
    assert job.tried[0].code == "not_configured"


def test_full_servers_are_passed_over(worker: WorkerDeployment, routes: Routes) -> None:
    """Never two jobs at once on a server that takes one, and all jobs are done."""
    for name in ("one", "two"):
        state = routes.connect(name, max_concurrent=1)
        state.knobs.latency = 0.05
    routes.put("poster", "one", "two", strategy="least_busy")
    job_ids = submit(worker, routes, 10)

    worker.process_queue()

    assert {worker.job(job_id).status for job_id in job_ids} == {"succeeded"}
    assert [routes.engines[name].max_in_flight for name in ("one", "two")] == [1, 1]
    assert routes.requests("one") + routes.requests("two") == 10
    assert min(routes.requests("one"), routes.requests("two")) >= 3


def test_a_server_with_slots_overflows_to_one_without_a_limit(worker: WorkerDeployment, routes: Routes) -> None:
    """At once, with a warning."""
    routes.connect("one", max_concurrent=1).knobs.latency = 0.05
    routes.put("poster", "one", "two")
    job_ids = submit(worker, routes, 5)

    worker.process_queue()

    jobs = [worker.job(job_id) for job_id in job_ids]
    assert {job.status for job in jobs} == {"succeeded"}
    assert routes.engines["one"].max_in_flight == 1
    assert routes.requests("two") >= 1
    assert "one was passed over: no_slot" in [warning for job in jobs for warning in job.warnings]


def test_a_queued_job_has_no_connection_yet(worker: WorkerDeployment, routes: Routes) -> None:
    """It is not known which target will do it."""
    (job_id,) = submit(worker, routes)

    shown = routes.deployment.call("GET", f"/api/v1/images/jobs/{job_id}", role="user").json

    assert (shown["route"], shown.get("connection")) == ("poster", None)


def test_a_full_server_is_waited_for_if_the_operator_says_so(worker: WorkerDeployment, routes: Routes) -> None:
    """Without `no_slot`, the next target is for failures only."""
    routes.connect("one", max_concurrent=1).knobs.latency = 0.05
    routes.put("poster", "one", "two", fallback_on=["unreachable"])
    job_ids = submit(worker, routes, 5)

    worker.process_queue()

    assert {worker.job(job_id).connection for job_id in job_ids} == {"one"}


def test_a_cooling_target_is_asked_no_more(worker: WorkerDeployment, routes: Routes) -> None:
    """After three failures. The job's attempts say that it was left alone."""
    fail(routes.engines["one"], 503)
    job_ids = submit(worker, routes, 6)
    for message in worker.drain():
        worker.deliver(message.record)

    jobs = [worker.job(job_id) for job_id in job_ids]
    assert {job.connection for job in jobs} == {"two"}
    assert routes.requests("one") == 3
    assert sorted(job.tried[0].code for job in jobs) == ["cooling"] * 3 + ["engine_unavailable"] * 3
