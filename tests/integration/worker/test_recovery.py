"""Jobs whose message, or whose event, was lost: each is found again."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from image_gateway.event_loop import run
from image_gateway.ids import derived_job_id
from image_gateway.jobs.events import JobEvents
from image_gateway.models.jobs import Job, Status
from sandbox.engines.state import Fault, SandboxState
from tests.integration.sqs_records import Record, event, record
from tests.integration.worker_deployment import WorkerDeployment

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


FOX = {"prompt": "a fox", "size": "64x64"}


def tick(moment: datetime = NOW) -> Record:
    """The message of the hour."""
    return record(event({}, "Scheduled Event", "aws.events", time=moment.isoformat()))


def stored(worker: WorkerDeployment, age: timedelta, number: int = 0, status: Status = "queued") -> str:
    """A job of that age that is in the table and, as its function died then, not in the queue."""
    job_id = derived_job_id(NOW - age, str(number))
    job = Job(id=job_id, kind="generation", owner="token:1", request=FOX, status=status)
    run(worker.gateway.jobs.create(job))
    return job_id


def again(message: Record) -> Record:
    """The same message, handed out once more."""
    return {**message, "attributes": {**message["attributes"], "ApproximateReceiveCount": "2"}}


@pytest.mark.parametrize("age", [timedelta(minutes=90), timedelta(hours=97, minutes=30)], ids=["lost", "forgotten"])
def test_a_job_without_a_message_is_done(worker: WorkerDeployment, age: timedelta) -> None:
    """It died between its record and its message, or waited until SQS forgot it: it runs within two hours."""
    job_id = stored(worker, age)

    assert worker.deliver(tick()) == []
    worker.work_off()

    assert worker.job(job_id).status == "succeeded"


def test_an_inline_job_that_nobody_looks_after_is_ended(worker: WorkerDeployment, openai: SandboxState) -> None:
    """Its function died before it could ask the worker to: it does not stay running."""
    job = Job(id=derived_job_id(NOW - timedelta(minutes=61)), kind="generation", owner="token:1", request=FOX)
    job.engine = "openai"
    run(worker.gateway.jobs.create(job, lease_seconds=-10, holder="the dead"))

    worker.deliver(tick())
    worker.work_off()

    ended = worker.job(job.id)
    assert (ended.status, ended.error and ended.error.code) == ("failed", "interrupted")
    assert openai.record == []


def test_every_hour_is_looked_at_once(worker: WorkerDeployment) -> None:
    """Jobs of all ages are each found by one message of the hour, ended ones by none."""
    ages = [timedelta(minutes=minutes) for minutes in range(7, 300, 11)]
    job_ids = {stored(worker, age, number) for number, age in enumerate(ages)}
    stored(worker, timedelta(minutes=90), 1000, "succeeded")
    found: list[str] = []

    for hour in range(-4, 3):
        worker.deliver(tick(NOW + timedelta(hours=hour)))
        found += [message.body["job"] for message in worker.drain()]

    assert sorted(found) == sorted(job_ids)


def test_looking_finds_jobs_beyond_the_first_page(worker: WorkerDeployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """DynamoDB answers a long hour in parts."""
    job_ids = {stored(worker, timedelta(minutes=90), number) for number in range(25)}
    call = worker.gateway.aws.call

    async def in_parts(service: str, operation: str, **arguments: Any) -> Any:
        return await call(service, operation, **arguments, **({"Limit": 7} if operation == "Query" else {}))

    monkeypatch.setattr(worker.gateway.aws, "call", in_parts)

    worker.deliver(tick())

    assert {message.body["job"] for message in worker.drain()} == job_ids


@pytest.mark.parametrize("moment", [datetime(1970, 1, 2, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)])
def test_an_odd_hour_finds_nothing(worker: WorkerDeployment, moment: datetime) -> None:
    """Whoever may send to the queue may send this; it is done with, too."""
    assert worker.deliver(tick(moment)) == []

    assert worker.drain() == worker.drain("dead") == []


def test_an_end_that_the_bus_was_not_told_is_told_again(
    worker: WorkerDeployment, openai: SandboxState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message of the job comes back, and the event is sent without doing the job again."""
    (message,) = _queued(worker)
    with monkeypatch.context() as broken:
        broken.setattr(JobEvents, "ended", _refuse)
        assert worker.deliver(message) == [message["messageId"]]
    assert worker.reported() == []

    assert worker.deliver(again(message)) == []

    assert [kind for kind, _detail in worker.reported()] == ["Image Job Succeeded"]
    assert len(openai.record) == 1


def test_an_end_that_a_dead_worker_did_not_tell_is_told(worker: WorkerDeployment) -> None:
    """It died after it had recorded the end: the message comes again, and with it the event."""
    (message,) = _queued(worker)
    (job,) = worker.jobs()
    lease = run(worker.gateway.jobs.lease(job.id, "the dead", 60, "openai"))
    assert lease
    lease.job.status = "succeeded"
    run(worker.gateway.jobs.finish(lease.job, "the dead"))

    assert worker.deliver(again(message)) == []

    assert [kind for kind, _detail in worker.reported()] == ["Image Job Succeeded"]


def test_an_engine_that_asks_for_hours_is_given_them(worker: WorkerDeployment, openai: SandboxState) -> None:
    """SQS delays no message by more than 15 minutes, so it goes round without costing an attempt or a call."""
    openai.knobs.faults.append(Fault(503, headers={"Retry-After": "7200"}))
    (first,) = _queued(worker)
    worker.deliver(first)

    for _ in range(4):
        (message,) = worker.drain()
        assert message.delay == 900
        worker.deliver(message.record)

    (job,) = worker.jobs()
    assert (job.status, job.attempts, len(openai.record)) == ("queued", 1, 1)
    assert job.not_before
    assert 7190 <= (job.not_before - datetime.now(UTC)).total_seconds() <= 9000

    job.not_before = datetime.now(UTC)
    run(_replace(worker, job))
    worker.work_off()

    assert (worker.job(job.id).status, worker.job(job.id).attempts) == ("succeeded", 2)


def _queued(worker: WorkerDeployment) -> list[Record]:
    job = Job(id=derived_job_id(datetime.now(UTC)), kind="generation", owner="token:1", request=FOX)
    run(worker.gateway.jobs.create(job))
    run(worker.gateway.queue.send(job.id))
    return [message.record for message in worker.drain()]


async def _refuse(*_given: object) -> bool:
    return False


async def _replace(worker: WorkerDeployment, job: Job) -> None:
    """Let time pass for a job that waits."""
    assert (await worker.gateway.jobs.lease(job.id, "time", 60)) is not None
    assert await worker.gateway.jobs.finish(job, "time")
