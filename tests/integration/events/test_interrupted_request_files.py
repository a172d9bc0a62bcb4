"""Request files that take a while: told of twice, gone or given up before all is queued, and thousands of lines."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from image_gateway.container import Gateway
from image_gateway.event_loop import run
from image_gateway.ids import job_time
from image_gateway.models.jobs import Job
from tests.integration.sqs_records import Record, record, request_line
from tests.integration.worker_deployment import WorkerDeployment, deploy_worker

if TYPE_CHECKING:
    from sandbox.engines.state import SandboxState
    from tests.integration.deployment import Deployment

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def worker(openai_deployment: "Deployment") -> Iterator[WorkerDeployment]:
    """A worker whose deployment generates with the sandbox's openai engine."""
    made = deploy_worker(openai_deployment.gateway)
    yield made
    run(made.gateway.aclose())


def begun(worker: WorkerDeployment, lines: int) -> tuple[Record, list[Record]]:
    """The message that a file, whose first ten lines are queued, goes on with, and those of these lines' jobs."""
    created = worker.upload("requests/a.jsonl", [request_line(number) for number in range(1, lines + 1)])
    assert worker.deliver(record(created), seconds=5) == []
    messages = worker.drain()
    (rest,) = [one.record for one in messages if "detail" in one.body]
    return rest, [one.record for one in messages if "job" in one.body]


@pytest.mark.parametrize("change", ["removed", "overwritten"])
def test_a_file_that_is_gone_before_all_is_queued(worker: WorkerDeployment, change: str) -> None:
    """What was queued is done and told; the rest failed, with a code of its own and what to do."""
    rest, queued = begun(worker, 25)
    if change == "removed":
        boto3.client("s3").delete_object(Bucket=worker.gateway.settings.bucket, Key="requests/a.jsonl")
    else:
        worker.upload("requests/a.jsonl", [request_line()])

    assert worker.deliver(rest) == []
    (letter,) = worker.drain("dead")
    assert worker.dead_letter(record(letter.record["body"], "m1", letter.attributes)) == []
    assert worker.keys("results/") == []
    worker.deliver(*queued)

    found = worker.results()
    assert (found["total"], found["succeeded"], found["failed"]) == (25, 10, 15)
    assert len(worker.jobs()) == 10
    lost = found["lines"][10:]
    assert [one["line"] for one in lost] == list(range(11, 26))
    assert {one["error"]["code"] for one in lost} == {"not_queued"}
    assert all("gone" in one["error"]["detail"] and "another file" in one["error"]["detail"] for one in lost)
    assert all(one["keys"] == [] and "job" not in one for one in lost)
    assert worker.keys("dead-letters/") == ["dead-letters/m1.json"]


def test_a_file_whose_message_is_given_up(worker: WorkerDeployment) -> None:
    """It came back too often: with its last queued job, before or afterwards, the results are there, once."""
    rest, queued = begun(worker, 25)
    worker.deliver(*queued)

    assert worker.dead_letter(rest, rest) == []

    found = worker.results()
    assert (found["succeeded"], found["failed"]) == (10, 15)
    assert "too often" in found["lines"][-1]["error"]["detail"]
    # What comes late queues no more of it.
    assert worker.deliver(rest) == []
    assert worker.drain() == []


def test_a_line_that_is_recorded_and_perhaps_not_queued_fails(worker: WorkerDeployment) -> None:
    """Its worker died between the two: nobody would do it, so it ends, and its event is told. One that runs goes on."""
    rest, queued = begun(worker, 25)
    worker.deliver(*queued)
    recorded, running = [
        Job.model_validate({"id": job_id, "kind": "generation", "owner": "event:s3", "batch": batch, "line": number})
        for number in (11, 12)
        for batch, job_id in [ids(worker, number)]
    ]
    run(worker.gateway.jobs.create(recorded))
    run(worker.gateway.jobs.create(running, lease_seconds=60, holder="a"))
    worker.reported()

    assert worker.dead_letter(rest) == []

    ended = worker.job(recorded.id)
    assert (ended.status, ended.error and ended.error.code) == ("failed", "not_queued")
    assert [(kind, detail["line"]) for kind, detail in worker.reported()] == [("Image Job Failed", 11)]
    assert worker.keys("results/") == []
    running.status = "succeeded"
    run(worker.gateway.jobs.finish(running, "a"))
    worker.deliver(record({"job": running.id}))
    assert [one["status"] for one in worker.results()["lines"][9:13]] == ["succeeded", "failed", "succeeded", "failed"]


def ids(worker: WorkerDeployment, number: int) -> tuple[str, str]:
    """The id of the batch, and that of the job that its line of this number is to become."""
    (key,) = [key for key in worker.keys("inputs/") if key.endswith("lines.json")]
    return key.split("/")[1], worker.document(key)["lines"][number - 1]["job"]


def test_a_file_that_was_never_begun_is_only_kept(worker: WorkerDeployment) -> None:
    """There is nothing of it to tell."""
    created = worker.upload("requests/a.jsonl", [request_line()])

    assert worker.dead_letter(record(created, "m1")) == []

    assert worker.keys("results/") == []
    assert worker.keys("dead-letters/") == ["dead-letters/m1.json"]


def test_a_file_that_is_told_of_twice_is_one_batch(worker: WorkerDeployment, openai: "SandboxState") -> None:
    """S3 may tell of a version again, at another time and by another event: jobs and results are those of the first."""
    created = worker.upload("requests/a.jsonl", [request_line(1), request_line(2)])
    later = {**created, "time": "2026-01-03T00:00:00Z", "id": "another"}

    worker.deliver(record(created))
    worker.process_queue()
    worker.deliver(record(later))
    worker.process_queue()

    assert worker.results()["succeeded"] == 2
    assert sum(one.method == "POST" for one in openai.record) == 2
    assert {f"{job_time(job.id):%Y-%m-%d}" for job in worker.jobs()} == {"2026-01-02"}


def test_3000_lines_are_queued_by_several_invocations(worker: WorkerDeployment) -> None:
    """Each takes what it has time for; every line is queued once, and the last that ends is known as the last."""
    # With connections that are kept, as on Lambda.
    worker = WorkerDeployment(Gateway(worker.gateway.settings), worker.name)
    message: Record | None = record(worker.upload("requests/a.jsonl", [request_line(n) for n in range(1, 3001)]))
    rounds, queued = 0, list[Any]()
    while message:
        assert worker.deliver(message, seconds=19) == []
        rounds += 1
        messages = worker.drain()
        queued += [one.body["job"] for one in messages if "job" in one.body]
        message = next((one.record for one in messages if "detail" in one.body), None)

    assert rounds > 1
    assert len(set(queued)) == len(queued) == 3000

    progress = worker.gateway._batch_store
    batch = run(progress.get(worker.job(queued[0]).batch or ""))
    assert batch is not None
    assert batch.queued == batch.jobs == 3000
    for first in range(1, 3000, 100):
        assert not run(progress.mark_ended(batch, range(first, first + 99))).done
    assert run(progress.mark_ended(batch, range(100, 3001, 100))).done
    run(worker.gateway.aclose())
