"""The worker function, called with SQS's records, against the sandbox's engines over HTTP."""

import asyncio
import base64
import itertools
import json
import logging
import random
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from image_gateway.worker.retry_policy import MAX_ATTEMPTS
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from functions.worker.app import make_handler
from functions.worker.dead_letters import make_handler as make_dead_letters
from image_gateway.access.principals import Principal, Role
from image_gateway.container import Gateway
from image_gateway.engines.protocol import InputImage
from image_gateway.errors import Busy
from image_gateway.event_loop import run
from image_gateway.ids import new_job_id
from image_gateway.models.forms import EditImageForm
from image_gateway.models.jobs import Job
from sandbox.engines.comfyui_workflows import CHECKPOINT
from sandbox.engines.state import Fault, SandboxState
from tests.integration.messages import Context, WorkerDeployment, deploy_worker, event, record
from tests.integration.sample_images import GREEN, RED, data_url, encoded, right_half
from tests.loop_time import LoopTime
from tests.polling import LONG, meanwhile, wait_until

if TYPE_CHECKING:
    from tests.integration.conftest import Deployment

FOX = {"prompt": "a fox", "size": "64x64"}
GENERATION = {"kind": "generation", "request": FOX}


@pytest.fixture
def worker(generating: "Deployment") -> Iterator[WorkerDeployment]:
    """A worker whose deployment generates with the sandbox's openai engine."""
    made = deploy_worker(generating.gateway)
    yield made
    run(made.gateway.aclose())


def requested(state: SandboxState, ending: str = "/images/generations") -> int:
    """How often the engine was asked for images."""
    return sum(one.method == "POST" and one.path.endswith(ending) for one in state.record)


def queued(worker: WorkerDeployment, number: int = 1, **fields: Any) -> list[str]:
    """Jobs that are in the table and in the queue."""
    jobs = [Job(id=new_job_id(), kind="generation", owner="token:1", request=FOX, **fields) for _ in range(number)]
    for job in jobs:
        run(worker.gateway.jobs.create(job))
        run(worker.gateway.queue.send(job.id))
    return [job.id for job in jobs]


def left_behind(worker: WorkerDeployment, engine: str) -> str:
    """A running job whose holder died, and whose lease has run out."""
    (job_id,) = queued(worker)
    assert run(worker.gateway.jobs.lease(job_id, "the dead", -10, engine))
    return job_id


def generate_with(deployment: "Deployment", serve: Callable[..., str], name: str, **fields: Any) -> SandboxState:
    """Have a deployment generate with another engine of the sandbox."""
    state = SandboxState()
    url = serve(import_module(f"sandbox.engines.{name}").create_app(state))
    where = {f"{name.upper()}_BASE_URL": url}
    deployment.configure(IMAGE_GENERATION_ENGINE=name, IMAGE_GENERATION_MODEL="", **where, **fields)
    return state


# Messages.


def test_a_queued_job_is_done(worker: WorkerDeployment) -> None:
    """A message with a job's id makes its images, and the account is told without URL or prompt."""
    (job_id,) = queued(worker)

    worker.work_off()

    job = worker.job(job_id)
    assert (job.status, job.attempts, len(job.images)) == ("succeeded", 1, 1)
    ((kind, detail),) = worker.reported()
    assert (kind, detail["id"], detail["keys"]) == ("Image Job Succeeded", job_id, [job.images[0].key])
    assert "fox" not in json.dumps(detail)
    assert "http" not in json.dumps(detail)


def test_a_request_by_sqs_is_done(worker: WorkerDeployment) -> None:
    """An envelope is a job of `event:sqs`, done in the same invocation."""
    assert worker.deliver(record(GENERATION)) == []

    (job,) = worker.jobs()
    assert (job.status, job.owner, job.channel, job.request["prompt"]) == ("succeeded", "event:sqs", "sqs", "a fox")
    assert worker.drain() == []


@pytest.mark.parametrize("detail", [FOX, {"request": FOX}], ids=["form", "envelope"])
def test_a_request_by_eventbridge_is_done(worker: WorkerDeployment, detail: Any) -> None:
    """The detail is the form, or the envelope; the source is the owner, the event's time that of the job."""
    assert worker.deliver(record(event(detail, source="shop.orders"))) == []

    (job,) = worker.jobs()
    assert (job.status, job.owner, job.channel) == ("succeeded", "event:shop.orders", "eventbridge")
    assert job.images[0].key.startswith("images/2026/01/02/")


def test_everything_delivered_three_times_out_of_order_runs_once(
    worker: WorkerDeployment, openai: SandboxState
) -> None:
    """Queued jobs, envelopes and events: one engine call and one event each, however often and together they come."""
    queued(worker, 5)
    records = [message.record for message in worker.drain()]
    records += [record(GENERATION) for _ in range(5)] + [record(event(FOX)) for _ in range(5)]
    pile = records * 3
    random.Random(7).shuffle(pile)

    again = {message for first in range(0, 45, 10) for message in worker.deliver(*pile[first : first + 10])}
    assert worker.deliver(*(one for one in records if one["messageId"] in again)) == []

    assert [job.status for job in worker.jobs()] == ["succeeded"] * 15
    assert requested(openai) == 15
    assert [kind for kind, _detail in worker.reported()] == ["Image Job Succeeded"] * 15


def test_a_batch_is_done_at_once(worker: WorkerDeployment, generating: "Deployment", openai: SandboxState) -> None:
    """Ten jobs of one batch are at the engine at the same time: they are paid for as one invocation."""
    generating.configure(IMAGE_ENGINE_TIMEOUT=60)
    openai.knobs.latency = LONG
    queued(worker, 10)
    records = [message.record for message in worker.drain()]

    def let_go() -> None:
        wait_until(lambda: openai.in_flight == 10)
        openai.knobs.latency = 0

    with meanwhile(let_go):
        assert worker.deliver(*records) == []

    assert openai.most_in_flight == 10
    assert {job.status for job in worker.jobs()} == {"succeeded"}


def test_the_same_id_is_the_same_job(worker: WorkerDeployment, openai: SandboxState) -> None:
    """A sender's own id, in two messages, makes one job; with another request it fails the second one's."""
    worker.deliver(record({**GENERATION, "id": "order 1"}))
    worker.deliver(record({**GENERATION, "id": "order 1"}))
    worker.deliver(record({"kind": "generation", "id": "order 1", "request": {"prompt": "a hen"}}))

    assert requested(openai) == 1
    assert sorted(job.status for job in worker.jobs()) == ["failed", "succeeded"]


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (record({"kind": "generation", "request": {"n": 3}}), "request.prompt: Field required"),
        (record({"kind": "generation", "request": FOX, "prompt": "x"}), "prompt: Extra inputs"),
        (record(event({"prompt": " ", "n": 99})), "(and 1 more)"),
        (record(event({"prompt": "x"}, "Image Edit Requested")), "request.image: Field required"),
    ],
)
def test_a_request_that_does_not_validate_is_a_failed_job(
    worker: WorkerDeployment, openai: SandboxState, message: Any, words: str
) -> None:
    """Its owner finds it with the reason, and the account is told; nothing is asked or sent round."""
    assert worker.deliver(message, message) == []

    (job,) = worker.jobs()
    assert job.error
    assert (job.status, job.error.code) == ("failed", "invalid_request")
    assert words in job.error.detail
    assert [kind for kind, _detail in worker.reported()] == ["Image Job Failed"]
    assert openai.record == []
    assert worker.drain() == worker.drain("dead") == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("not json", "Not JSON"),
        ("[" * 100_000, "Not JSON"),
        ("[1]", "not a JSON object"),
        ({"request": FOX}, "no kind"),
        ({"kind": "video", "request": FOX}, "no kind"),
        (event(FOX, "Image Job Succeeded"), "detail-type"),
        (event(FOX, source="aws.ec2"), "AWS services"),
        (event(FOX, time="soon"), "malformed"),
        (event(FOX, time="0001-01-01T00:00:00Z"), "malformed"),
        (event([]), "malformed"),
        (event({}, "Object Created", "aws.s3"), "malformed"),
        (event({"bucket": {"name": "other"}, "object": {"key": "requests/a.json"}}, "Object Created", "aws.s3"), "own"),
    ],
)
def test_what_cannot_be_parsed_is_buried_with_its_reason(worker: WorkerDeployment, body: Any, reason: str) -> None:
    """It goes to the dead letters as it came, once, and not round and round."""
    message = record(body)

    assert worker.deliver(message) == []

    (letter,) = worker.drain("dead")
    assert letter.record["body"] == message["body"]
    assert reason in letter.attributes["Reason"]
    assert worker.jobs() == []


def test_without_a_dead_letter_queue_a_message_comes_back(worker: WorkerDeployment) -> None:
    """SQS's own redrive is left to deal with it."""
    alone = WorkerDeployment(
        Gateway(worker.gateway.settings.model_copy(update={"dead_letter_queue_url": ""}), worker.gateway.aws), "x"
    )

    assert alone.deliver(record("not json", "m1")) == ["m1"]


def test_each_message_of_a_batch_fails_alone(worker: WorkerDeployment, caplog: pytest.LogCaptureFixture) -> None:
    """A record that defies handling comes back, named in the log without what it holds; the others are done."""
    broken = record("planted body", "broken")
    del broken["attributes"]

    assert worker.deliver(record(GENERATION), broken, record(GENERATION)) == ["broken"]

    assert [job.status for job in worker.jobs()] == ["succeeded"] * 2
    assert "a message comes back" in caplog.text
    assert "planted" not in str([one.__dict__ for one in caplog.records])


# Edits.


@pytest.fixture
def editor(deployment: "Deployment", editing: Callable[[str], Any]) -> Iterator[tuple[WorkerDeployment, Any]]:
    """A worker whose deployment edits with the sandbox's openai engine, and that engine."""
    engine = editing("openai")
    made = deploy_worker(deployment.gateway)
    yield made, engine
    run(made.gateway.aclose())


def test_an_edit_by_event_is_done(editor: tuple[WorkerDeployment, Any]) -> None:
    """Its images are read by the worker and kept as inputs, not in the table."""
    worker, engine = editor
    images = [data_url(encoded(RED)), data_url(encoded(GREEN))]

    worker.deliver(record({"kind": "edit", "request": {"prompt": "a hat", "image": images, "mask": right_half()}}))

    (job,) = worker.jobs()
    assert (job.status, job.request) == ("succeeded", {"prompt": "a hat"})
    assert job.inputs == [f"inputs/{job.id}/{number}.png" for number in range(2)]
    assert job.mask == f"inputs/{job.id}/mask.png"
    assert [one["name"] for one in engine.state.record[0].files] == ["image[]", "image[]", "mask"]


def test_a_retried_edit_fetches_its_images_once(
    editor: tuple[WorkerDeployment, Any], serve: Callable[..., str], deployment: "Deployment"
) -> None:
    """The second attempt takes the images that the first one kept."""
    fetched = []

    async def answer(request: Request) -> Response:
        fetched.append(request.url.path)
        return Response(encoded())

    url = serve(Starlette(routes=[Route("/red.png", answer)]))
    worker, engine = editor
    settings = worker.gateway.settings.model_copy(
        update={"fetch_allowed_hosts": frozenset([url.removeprefix("http://")])}
    )
    worker.gateway = Gateway(settings, worker.gateway.aws)
    engine.state.knobs.faults.append(Fault(503, headers={"Retry-After": "30"}, path="/edits"))

    worker.deliver(record({"kind": "edit", "request": {"prompt": "a hat", "image": f"{url}/red.png"}}))
    worker.work_off()

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
def test_bad_images_fail_an_edit_by_event(editor: tuple[WorkerDeployment, Any], image: str, code: str) -> None:
    """The job says what is wrong with which image; the engine is not asked."""
    worker, engine = editor

    worker.deliver(record({"kind": "edit", "request": {"prompt": "a hat", "image": image}}))

    (job,) = worker.jobs()
    assert job.error
    assert (job.status, job.error.code, job.error.field) == ("failed", code, "image")
    assert engine.state.record == []


def test_an_edit_by_event_may_use_images_of_its_own_source_only(editor: tuple[WorkerDeployment, Any]) -> None:
    """An image made for the same owner is an input; another owner's does not exist."""
    worker, _engine = editor
    worker.deliver(record(event({"prompt": "a hat", "image": data_url(encoded())}, "Image Edit Requested", "shop")))
    (first,) = worker.jobs()

    for source in ("shop", "thief"):
        worker.deliver(record(event({"prompt": "b", "image": f"{first.id}-0"}, "Image Edit Requested", source)))

    ends = {job.owner: job.status for job in worker.jobs() if job.id != first.id}
    assert ends == {"event:shop": "succeeded", "event:thief": "failed"}


def test_a_queued_edit_of_a_caller_is_done(editor: tuple[WorkerDeployment, Any]) -> None:
    """Images that an HTTP request left as inputs are loaded, with their mask."""
    worker, engine = editor
    image = InputImage(encoded(), "image/png", 64, 64)
    mask = InputImage(base64.b64decode(right_half()), "image/png", 64, 64)
    form = EditImageForm(prompt="a hat", image="x")
    principal = Principal("1", "", Role.USER)
    job = run(worker.gateway.submission.submit(form, principal, images=[image], mask=mask, queue=True))

    worker.work_off()

    assert worker.job(job.id).status == "succeeded"
    assert [one["name"] for one in engine.state.record[0].files] == ["image", "mask"]


def test_a_record_of_another_version_fails_its_job(worker: WorkerDeployment) -> None:
    """A request in the table that is no form any more ends its job instead of staying for ever."""
    job = Job(id=new_job_id(), kind="generation", owner="token:1", request={"prompt": ""})
    run(worker.gateway.jobs.create(job))

    assert worker.deliver(record({"job": job.id})) == []

    found = worker.job(job.id)
    assert found.error
    assert (found.status, found.error.code) == ("failed", "internal_error")


# Retries.


def test_503_twice_then_an_image(worker: WorkerDeployment, openai: SandboxState) -> None:
    """Succeeded at the third attempt; between them the queue waits at least as long as the engine asked for."""
    openai.knobs.faults += [Fault(503, headers={"Retry-After": "20"}), Fault(503, headers={"Retry-After": "40"})]
    (job_id,) = queued(worker)
    waits = []

    for _ in range(3):
        (message,) = worker.drain()
        waits.append(message.delay)
        assert worker.deliver(message.record) == []

    job = worker.job(job_id)
    assert (job.status, job.attempts, job.error) == ("succeeded", 3, None)
    assert waits[0] == 0
    assert 20 <= waits[1] <= 25
    assert 40 <= waits[2] <= 50
    assert worker.drain() == []


def test_an_engine_that_is_down_for_good_fails_the_job(worker: WorkerDeployment, generating: "Deployment") -> None:
    """After so many attempts, ever further apart, the job fails in the engine's words and a dead letter is sent."""
    generating.configure(IMAGES_OPENAI_API_BASE_URL="http://127.0.0.1:9/v1", IMAGES_OPENAI_API_KEY="x")
    (job_id,) = queued(worker)
    waits = []

    while messages := worker.drain():
        waits.append(messages[0].delay)
        worker.deliver(messages[0].record)

    job = worker.job(job_id)
    assert job.error
    assert (job.status, job.attempts, job.error.code) == ("failed", MAX_ATTEMPTS, "engine_unavailable")
    assert waits == sorted(waits)
    assert len(set(waits)) == MAX_ATTEMPTS
    (letter,) = worker.drain("dead")
    assert letter.body == {"job": job_id}
    assert worker.dead_letter(letter.record) == []
    assert worker.job(job_id) == job


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault(400, {"error": {"message": "no", "code": "moderation_blocked"}}), "content_blocked"),
        (Fault(400, {"error": {"message": "no"}}), "engine_rejected"),
        (Fault(502, {"error": {"message": "bad gateway"}}), "engine_unavailable"),
        (Fault(504, {"error": {"message": "late"}}), "engine_timeout"),
        (Fault(0), "engine_unavailable"),
    ],
)
def test_what_may_have_cost_or_is_refused_is_not_tried_again(
    worker: WorkerDeployment, openai: SandboxState, fault: Fault, code: str
) -> None:
    """Refusals, content blocks, 502s and broken connections end the job at once."""
    openai.knobs.faults.append(Fault(**{**vars(fault), "times": -1}))
    (job_id,) = queued(worker)

    worker.work_off()

    job = worker.job(job_id)
    assert job.error
    assert (job.status, job.attempts, job.error.code, requested(openai)) == ("failed", 1, code, 1)


def test_an_engine_that_is_too_slow_is_not_asked_again(
    worker: WorkerDeployment, openai: SandboxState, handlers_time: LoopTime
) -> None:
    """A timeout after the request was sent may have cost money."""
    openai.knobs.latency = LONG
    (job_id,) = queued(worker)

    def run_out_of_time() -> None:
        wait_until(lambda: openai.in_flight == 1)
        handlers_time.advance(5)

    with meanwhile(run_out_of_time):
        worker.work_off()

    job = worker.job(job_id)
    assert job.error
    assert (job.error.code, job.error.may_have_cost, requested(openai)) == ("engine_timeout", True, 1)


# Crashes, leases and time.


def test_a_crash_on_an_engine_that_may_have_been_paid_fails_the_job(
    worker: WorkerDeployment, openai: SandboxState
) -> None:
    """The job of a dead holder ends as interrupted; the engine is not asked again."""
    job_id = left_behind(worker, "openai")

    worker.work_off()

    job = worker.job(job_id)
    assert job.error
    assert (job.status, job.error.code, job.error.may_have_cost) == ("failed", "interrupted", True)
    assert requested(openai) == 0


def test_a_crash_on_comfyui_is_taken_up_and_finds_its_own_run(
    worker: WorkerDeployment, generating: "Deployment", serve: Callable[..., str]
) -> None:
    """The run that the dead holder started is not started twice, and its image is the job's."""
    comfyui = generate_with(generating, serve, "comfyui", **CHECKPOINT.fields("COMFYUI"))
    job_id = left_behind(worker, "comfyui")
    dead = run(worker.gateway.jobs.get(job_id))
    assert dead
    form = run(worker.gateway._job_inputs.load(dead))[0]
    run(worker.gateway.executor.execute(dead, form))
    assert requested(comfyui, "/prompt") == 1

    worker.work_off()

    job = worker.job(job_id)
    assert (job.status, job.attempts, len(job.images)) == ("succeeded", 2, 1)
    assert requested(comfyui, "/prompt") == 1
    assert len(worker.keys("images/")) == 1


def test_an_edit_that_died_where_it_came_in_is_interrupted(worker: WorkerDeployment) -> None:
    """It kept no images to begin again with, also where the engine finds its run again."""
    job = Job(id=new_job_id(), kind="edit", owner="token:1", request={"prompt": "a hat"}, engine="comfyui")
    run(worker.gateway.jobs.create(job, lease_seconds=-10, holder="the dead"))

    assert worker.deliver(record({"job": job.id})) == []

    found = worker.job(job.id)
    assert found.error
    assert (found.status, found.error.code, found.error.may_have_cost) == ("failed", "interrupted", True)


def test_a_worker_whose_time_is_up_leaves_its_run_and_finds_it_again(
    worker: WorkerDeployment,
    generating: "Deployment",
    serve: Callable[..., str],
    handlers_time: LoopTime,
) -> None:
    """The job goes back to the queue, the run goes on at the engine, and its image is the job's."""
    comfyui = generate_with(generating, serve, "comfyui", **CHECKPOINT.fields("COMFYUI"))
    comfyui.knobs.latency = LONG
    (job_id,) = queued(worker)
    (message,) = worker.drain()

    def run_out_of_time() -> None:
        wait_until(lambda: requested(comfyui, "/prompt") == 1 and comfyui.record[-1].path != "/prompt")
        handlers_time.advance(300)

    with meanwhile(run_out_of_time):
        assert worker.deliver(message.record) == []
    assert worker.job(job_id).status == "queued"
    comfyui.knobs.latency = 0

    worker.work_off()

    job = worker.job(job_id)
    assert (job.status, job.attempts, len(job.images)) == ("succeeded", 2, 1)
    assert requested(comfyui, "/prompt") == 1
    assert requested(comfyui, "/interrupt") == 0


def test_a_job_that_keeps_killing_its_holders_fails(
    worker: WorkerDeployment, generating: "Deployment", serve: Callable[..., str]
) -> None:
    """Also where runs are found again there is an end to it."""
    generate_with(generating, serve, "comfyui", **CHECKPOINT.fields("COMFYUI"))
    job_id = left_behind(worker, "comfyui")
    for _ in range(MAX_ATTEMPTS - 1):
        assert run(worker.gateway.jobs.lease(job_id, "another", -10, "comfyui"))

    worker.work_off()

    job = worker.job(job_id)
    assert job.error
    assert (job.status, job.error.code) == ("failed", "interrupted")


def test_a_job_that_another_holds_comes_back_until_it_has_ended(worker: WorkerDeployment, openai: SandboxState) -> None:
    """The message is not lost while the holder lives, and done with when it has finished."""
    (job_id,) = queued(worker)
    (message,) = worker.drain()
    lease = run(worker.gateway.jobs.lease(job_id, "another", 60, "openai"))
    assert lease

    assert worker.deliver(message.record) == [message.record["messageId"]]
    lease.job.status = "succeeded"
    run(worker.gateway.jobs.finish(lease.job, "another"))
    assert worker.deliver(message.record) == []

    assert requested(openai) == 0


def test_too_little_time_leaves_a_job_unharmed(worker: WorkerDeployment, openai: SandboxState) -> None:
    """It goes back to the queue as it was, for an invocation with more time."""
    (job_id,) = queued(worker)
    (message,) = worker.drain()

    assert worker.deliver(message.record, seconds=18) == []

    assert (worker.job(job_id).status, worker.job(job_id).attempts, requested(openai)) == ("queued", 0, 0)
    worker.work_off()
    assert worker.job(job_id).status == "succeeded"


def test_a_timeout_that_no_invocation_has_fails_the_job(worker: WorkerDeployment, generating: "Deployment") -> None:
    """It would go back to the queue for ever; instead the job names the field."""
    generating.configure(IMAGE_ENGINE_TIMEOUT=100)
    settings = worker.gateway.settings.model_copy(update={"function_timeout_seconds": 110})
    worker.gateway = Gateway(settings, worker.gateway.aws)
    (job_id,) = queued(worker)

    worker.work_off()

    job = worker.job(job_id)
    assert job.error
    assert (job.error.code, job.error.field) == ("not_configured", "IMAGE_ENGINE_TIMEOUT")


def test_a_run_that_waits_longer_than_the_worker_can_is_put_back(
    worker: WorkerDeployment, generating: "Deployment", serve: Callable[..., str]
) -> None:
    """ComfyUI's own queue may be long: the job waits for another invocation instead of failing."""
    comfyui = generate_with(generating, serve, "comfyui", **CHECKPOINT.fields("COMFYUI"), IMAGE_ENGINE_TIMEOUT=2)
    comfyui.knobs.latency = 0.9
    job_ids = queued(worker, 4)

    worker.work_off()

    jobs = [worker.job(job_id) for job_id in job_ids]
    assert [(job.status, job.error and job.error.detail) for job in jobs] == [("succeeded", None)] * 4


def test_work_that_outlasts_the_invocation_ends_before_it(
    worker: WorkerDeployment,
    generating: "Deployment",
    openai: SandboxState,
    handlers_time: LoopTime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The job is failed while there is time to say so, and may have cost."""
    generating.configure(IMAGE_ENGINE_TIMEOUT=60)
    monkeypatch.setattr("image_gateway.worker.worker._COMPLETION_SECONDS", 270)
    openai.knobs.latency = LONG
    (job_id,) = queued(worker)

    def run_out_of_time() -> None:
        wait_until(lambda: openai.in_flight == 1)
        handlers_time.advance(30)

    with meanwhile(run_out_of_time):
        worker.work_off()

    job = worker.job(job_id)
    assert job.error
    assert (job.status, job.error.code, job.error.may_have_cost) == ("failed", "engine_timeout", True)


@pytest.mark.parametrize("batch", [10, 3])
def test_jobs_of_an_engine_that_does_one_at_a_time_run_one_after_another(
    worker: WorkerDeployment,
    generating: "Deployment",
    serve: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    batch: int,
) -> None:
    """Ten jobs, in one invocation or in several at once: none overlaps, and none fails for having waited."""
    a1111 = generate_with(generating, serve, "automatic1111", IMAGE_ENGINE_TIMEOUT=1)
    a1111.knobs.latency = 0.15
    monkeypatch.setattr("image_gateway.worker.slots._MAX_LOCK_WAIT_SECONDS", 0.5)
    job_ids = queued(worker, 10)

    worker.work_off(batch=batch)

    jobs = [worker.job(job_id) for job_id in job_ids]
    assert [(job.status, job.attempts) for job in jobs] == [("succeeded", 1)] * 10
    assert requested(a1111, "/txt2img") == 10
    times = sorted((job.started_at, job.finished_at) for job in jobs if job.started_at and job.finished_at)
    assert all(earlier[1] <= later[0] for earlier, later in itertools.pairwise(times))


# Cancellation and failing stores.


def test_a_job_canceled_while_it_runs_stays_canceled(
    worker: WorkerDeployment, generating: "Deployment", openai: SandboxState
) -> None:
    """Its images are not shown, and nobody is told that it succeeded."""
    generating.configure(IMAGE_ENGINE_TIMEOUT=60)
    openai.knobs.latency = LONG
    (job_id,) = queued(worker)
    (message,) = worker.drain()

    def cancel() -> None:
        store = Gateway(worker.gateway.settings, worker.gateway.aws).jobs
        wait_until(lambda: openai.in_flight == 1)
        job = asyncio.run(store.get(job_id))
        assert job
        job.status = "canceled"
        assert asyncio.run(store.end(job, expected_status="running"))
        openai.knobs.latency = 0

    with meanwhile(cancel):
        assert worker.deliver(message.record) == []

    job = worker.job(job_id)
    assert (job.status, job.images) == ("canceled", [])
    assert worker.reported() == []


def test_a_canceled_job_never_runs(worker: WorkerDeployment, openai: SandboxState) -> None:
    """The message of a job that was canceled in the queue is done with."""
    (job_id,) = queued(worker)
    job = worker.job(job_id)
    job.status = "canceled"
    run(worker.gateway.jobs.end(job, expected_status="queued"))

    worker.work_off()

    assert requested(openai) == 0


def test_a_table_that_fails_brings_the_message_back(worker: WorkerDeployment, openai: SandboxState) -> None:
    """Nothing is asked of the engine that could not be recorded."""
    boto3.client("dynamodb").delete_table(TableName=worker.gateway.settings.table)

    assert worker.deliver(record(GENERATION, "m1"), record({"job": new_job_id()}, "m2")) == ["m1", "m2"]

    assert openai.record == []


def test_inputs_that_cannot_be_read_are_tried_again(
    editor: tuple[WorkerDeployment, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bucket that fails before the engine is asked costs an attempt, not the job."""
    worker, engine = editor
    image = InputImage(encoded(), "image/png", 64, 64)
    form = EditImageForm(prompt="a hat", image="x")
    job = run(worker.gateway.submission.submit(form, Principal("1", "", Role.USER), images=[image], queue=True))
    boto3.client("s3").delete_object(Bucket=worker.gateway.settings.bucket, Key=job.inputs[0])

    (message,) = worker.drain()
    assert worker.deliver(message.record) == []
    assert worker.job(job.id).status == "queued"
    run(worker.gateway.images.put_input(job.id, "0.png", encoded(), "image/png"))
    worker.work_off()

    assert (worker.job(job.id).status, worker.job(job.id).attempts) == ("succeeded", 2)
    assert len(engine.state.record) == 1


# Dead letters.


def test_a_dead_letter_fails_its_job_with_the_reason(worker: WorkerDeployment) -> None:
    """A job whose message was given up ends, and the account is told."""
    (job_id,) = queued(worker)

    assert worker.dead_letter(*(message.record for message in worker.drain())) == []

    job = worker.job(job_id)
    assert job.error
    assert (job.status, job.error.code, job.error.may_have_cost) == ("failed", "interrupted", False)
    assert [kind for kind, _detail in worker.reported()] == ["Image Job Failed"]


def test_a_dead_letter_of_a_crashed_job_says_that_it_may_have_cost(worker: WorkerDeployment) -> None:
    """A running job without a living holder fails too."""
    job_id = left_behind(worker, "openai")

    assert worker.dead_letter(record({"job": job_id})) == []

    job = worker.job(job_id)
    assert job.error
    assert (job.status, job.error.may_have_cost) == ("failed", True)


def test_a_dead_letter_waits_for_a_living_holder(worker: WorkerDeployment) -> None:
    """A job that somebody is doing right now is not taken from them; an ended or unknown one is left alone."""
    (job_id,) = queued(worker)
    lease = run(worker.gateway.jobs.lease(job_id, "another", 60, "openai"))
    assert lease

    assert worker.dead_letter(record({"job": job_id}, "m1")) == ["m1"]
    lease.job.fail(Busy("x"))
    run(worker.gateway.jobs.finish(lease.job, "another"))
    assert worker.dead_letter(record({"job": job_id}), record({"job": new_job_id()})) == []


def test_a_dead_letter_of_a_request_fails_the_job_it_became(worker: WorkerDeployment) -> None:
    """A request whose message was given up after its job was recorded is found by the message's id."""
    message = record(GENERATION)
    worker.deliver(message, seconds=10)
    (job,) = worker.jobs()

    assert worker.dead_letter(message) == []

    assert worker.job(job.id).status == "failed"


@pytest.mark.parametrize("attribute", ["Reason", "ERROR_MESSAGE"])
def test_any_other_dead_letter_is_kept(
    worker: WorkerDeployment, caplog: pytest.LogCaptureFixture, attribute: str
) -> None:
    """The body is kept with its reason; the log has the reason alone."""
    messages = [record("planted", "m1", {attribute: "Not JSON"}), record(GENERATION, "m2")]

    assert worker.dead_letter(*messages) == []

    assert worker.document("dead-letters/m1.json") == {
        "reason": "Not JSON",
        "sent_at": "2025-06-15T15:06:40.123000+00:00",
        "body": "planted",
    }
    assert worker.document("dead-letters/m2.json")["reason"] == "It came back too often"
    assert "planted" not in str([one.__dict__ for one in caplog.records])


def test_a_dead_letter_that_cannot_be_kept_comes_back(worker: WorkerDeployment) -> None:
    """Nothing is lost while the bucket does not answer."""
    boto3.client("s3").delete_bucket(Bucket=worker.gateway.settings.bucket)

    assert worker.dead_letter(record("x", "m1")) == ["m1"]


@pytest.mark.parametrize("make", [make_handler, make_dead_letters], ids=["worker", "dead letters"])
def test_addresses_are_in_no_log(
    worker: WorkerDeployment, caplog: pytest.LogCaptureFixture, make: Callable[..., Any]
) -> None:
    """On Lambda the root logger has the level INFO, by which httpx tells each URL: that of a link may be signed."""
    caplog.set_level(logging.INFO)
    caplog.set_level(logging.INFO, logger="httpx")

    handler = make(lambda: worker.gateway)
    handler({"Records": [record(GENERATION)]}, Context())

    assert {found.name for found in caplog.records if found.name.startswith("httpx")} == set()
