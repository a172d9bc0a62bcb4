"""Recovery: jobs whose message, or whose event, was lost are found again every hour."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from image_gateway.event_loop import run
from image_gateway.ids import derived_job_id
from image_gateway.jobs.events import JobEvents
from image_gateway.models.jobs import Job, JobCost, Status
from sandbox.engines.state import Fault, SandboxState
from tests.integration.sqs_records import Record, event, record
from tests.integration.worker_deployment import WorkerDeployment

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
FOX = {"prompt": "a fox", "size": "64x64"}


def hourly_message(moment: datetime = NOW) -> Record:
    """Return the message of the hourly schedule."""
    return record(event({}, "Scheduled Event", "aws.events", time=moment.isoformat()))


def job_without_message(worker: WorkerDeployment, age: timedelta, number: int = 0, status: Status = "queued") -> str:
    """Store a job of this age in the table, without a message in the queue; return its id. An ended one is settled."""
    job_id = derived_job_id(NOW - age, str(number))
    job = Job(id=job_id, kind="generation", owner="token:1", request=FOX, status=status)
    run(worker.gateway.jobs.create(job))
    if job.ended:
        run(worker.gateway.jobs.settle(job, 0, [], announced=None))
    return job_id


def redelivered(message: Record) -> Record:
    """Return the same message as its second delivery."""
    return {**message, "attributes": {**message["attributes"], "ApproximateReceiveCount": "2"}}


@pytest.mark.parametrize("age", [timedelta(minutes=90), timedelta(hours=97, minutes=30)], ids=["lost", "expired"])
def test_a_job_without_a_message_is_queued_again(worker: WorkerDeployment, age: timedelta) -> None:
    """Its function died before it sent the message, or SQS dropped the message after four days."""
    job_id = job_without_message(worker, age)

    assert worker.deliver(hourly_message()) == []
    worker.process_queue()

    assert worker.job(job_id).status == "succeeded"


def test_an_orphaned_inline_job_is_ended(worker: WorkerDeployment, openai: SandboxState) -> None:
    """Its function died before it could queue a message for the job, which does not stay `running`."""
    job = Job(id=derived_job_id(NOW - timedelta(minutes=61)), kind="generation", owner="token:1", request=FOX)
    job.engine = "openai"
    run(worker.gateway.jobs.create(job, lease_seconds=-10, holder="a dead holder"))

    worker.deliver(hourly_message())
    worker.process_queue()

    stored = worker.job(job.id)
    assert (stored.status, stored.error and stored.error.code) == ("failed", "interrupted")
    assert openai.record == []


def test_every_unfinished_job_is_found_by_one_hourly_message(worker: WorkerDeployment) -> None:
    """Jobs of all ages are found once each; finished ones are not."""
    ages = [timedelta(minutes=minutes) for minutes in range(7, 300, 11)]
    job_ids = {job_without_message(worker, age, number) for number, age in enumerate(ages)}
    job_without_message(worker, timedelta(minutes=90), 1000, "succeeded")
    found: list[str] = []

    for hour in range(-4, 3):
        worker.deliver(hourly_message(NOW + timedelta(hours=hour)))
        found += [message.body["job"] for message in worker.drain()]

    assert sorted(found) == sorted(job_ids)


def test_recovery_reads_every_page_of_an_hour(worker: WorkerDeployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """DynamoDB returns a busy hour in several pages."""
    job_ids = {job_without_message(worker, timedelta(minutes=90), number) for number in range(25)}
    call = worker.gateway.aws.call

    async def in_pages(service: str, operation: str, **arguments: Any) -> Any:
        limit: dict[str, Any] = {"Limit": 7} if operation == "Query" else {}
        return await call(service, operation, **{**arguments, **limit})

    monkeypatch.setattr(worker.gateway.aws, "call", in_pages)

    worker.deliver(hourly_message())

    assert {message.body["job"] for message in worker.drain()} == job_ids


def test_recovery_has_a_bounded_number_of_jobs_in_memory(
    worker: WorkerDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour may have hundreds of thousands of jobs. Of each, only the state is read, a page of keys at a time."""
    monkeypatch.setattr("image_gateway.worker.recovery._KEYS_PER_QUERY", 10)
    job_ids = {job_without_message(worker, timedelta(minutes=90), number) for number in range(25)}
    call = worker.gateway.aws.call
    operations: list[tuple[str, int]] = []

    async def recording(service: str, operation: str, **arguments: Any) -> Any:
        response = await call(service, operation, **arguments)
        if operation == "BatchGetItem":
            (items,) = response["Responses"].values()
            assert all(set(item) <= {"pk", "owner", "status", "announced"} for item in items)
            operations.append((operation, len(items)))
        elif operation == "Query":
            assert all(set(item) == {"pk", "listed"} for item in response["Items"])
            operations.append((operation, len(response["Items"])))
        return response

    monkeypatch.setattr(worker.gateway.aws, "call", recording)

    worker.deliver(hourly_message())

    assert {message.body["job"] for message in worker.drain()} == job_ids
    pages = [("Query", 10), ("BatchGetItem", 10)] * 2 + [("Query", 5), ("BatchGetItem", 5)]
    assert operations == [*pages, ("Query", 0)]


def test_an_end_that_was_not_announced_is_found(worker: WorkerDeployment) -> None:
    """Of the jobs that have ended, only this one gets a message."""
    job_without_message(worker, timedelta(minutes=80), 1, "succeeded")
    job = Job(id=derived_job_id(NOW - timedelta(minutes=90), "2"), kind="generation", owner="token:1", request=FOX)
    job.status, job.announced = "succeeded", False
    run(worker.gateway.jobs.create(job))

    worker.deliver(hourly_message())

    assert [message.body["job"] for message in worker.drain()] == [job.id]


def test_an_end_that_was_not_settled_is_found_and_settled(worker: WorkerDeployment) -> None:
    """Its worker died between the two, and its message was lost. Its event is not repeated."""
    job = Job(id=derived_job_id(NOW - timedelta(minutes=90)), kind="generation", owner="token:1", request=FOX)
    job.status, job.cost = "succeeded", JobCost(usd=Decimal("0.1"), basis="price")
    run(worker.gateway.jobs.create(job))

    worker.deliver(hourly_message())
    worker.process_queue()

    assert worker.job(job.id).settled
    assert worker.reported() == []


@pytest.mark.parametrize("moment", [datetime(1970, 1, 2, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)])
def test_an_implausible_hour_finds_nothing(worker: WorkerDeployment, moment: datetime) -> None:
    """Anyone who may send to the queue may send this; the message is dropped."""
    assert worker.deliver(hourly_message(moment)) == []

    assert worker.drain() == worker.drain("dead") == []


def test_an_event_that_could_not_be_sent_is_sent_again(
    worker: WorkerDeployment, openai: SandboxState, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job's message is returned, and its second delivery sends the event without doing the job again."""
    (message,) = _queued_job(worker)
    with monkeypatch.context() as broken:
        broken.setattr(JobEvents, "publish_completion", _fail)
        assert worker.deliver(message) == [message["messageId"]]
    assert worker.reported() == []

    assert worker.deliver(redelivered(message)) == []

    assert [kind for kind, _detail in worker.reported()] == ["Image Job Succeeded"]
    assert len(openai.record) == 1


def test_an_event_that_a_dead_worker_did_not_send_is_sent(worker: WorkerDeployment) -> None:
    """The worker died after it recorded the end; the message's next delivery sends the event."""
    (message,) = _queued_job(worker)
    (job,) = worker.jobs()
    lease = run(worker.gateway.jobs.lease(job.id, "a dead holder", 60, "openai"))
    assert lease
    lease.job.status = "succeeded"
    run(worker.gateway.jobs.finish(lease.job, "a dead holder"))

    assert worker.deliver(redelivered(message)) == []

    assert [kind for kind, _detail in worker.reported()] == ["Image Job Succeeded"]


def test_a_retry_after_hours_is_respected(worker: WorkerDeployment, openai: SandboxState) -> None:
    """SQS delays a message by at most 15 minutes, so that it is queued repeatedly without an attempt or a call."""
    openai.knobs.faults.append(Fault(503, headers={"Retry-After": "7200"}))
    (first,) = _queued_job(worker)
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
    run(_store_waiting_job(worker, job))
    worker.process_queue()

    assert (worker.job(job.id).status, worker.job(job.id).attempts) == ("succeeded", 2)


def _queued_job(worker: WorkerDeployment) -> list[Record]:
    """Queue a job; return its message."""
    job = Job(id=derived_job_id(datetime.now(UTC)), kind="generation", owner="token:1", request=FOX)
    run(worker.gateway.jobs.create(job))
    run(worker.gateway.queue.send(job.id, owner=job.owner))
    return [message.record for message in worker.drain()]


async def _fail(*_arguments: object) -> bool:
    """Fail to send an event."""
    return False


async def _store_waiting_job(worker: WorkerDeployment, job: Job) -> None:
    """Store a changed job that waits for its retry."""
    assert (await worker.gateway.jobs.lease(job.id, "test", 60)) is not None
    assert await worker.gateway.jobs.finish(job, "test")
