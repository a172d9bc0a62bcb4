"""Request files that take several invocations: announced twice, removed or dead-lettered meanwhile, or very long."""

from typing import TYPE_CHECKING, Any

import pytest

from image_gateway.event_loop import run
from image_gateway.ids import job_time
from image_gateway.models.jobs import Job
from tests.aws_clients import aws_client
from tests.integration.sqs_records import Record, record, request_line
from tests.integration.worker_deployment import WorkerDeployment

if TYPE_CHECKING:
    from sandbox.engines.state import SandboxState

pytestmark = pytest.mark.timeout(240)


def start_file(worker: WorkerDeployment, lines: int) -> tuple[Record, list[Record]]:
    """Deliver a file's event; return the message for the rest of the file, and those of its first ten jobs."""
    created = worker.upload("requests/a.jsonl", [request_line(number) for number in range(1, lines + 1)])
    assert worker.deliver(record(created), seconds=5) == []
    messages = worker.drain()
    (rest,) = [message.record for message in messages if "detail" in message.body]
    return rest, [message.record for message in messages if "job" in message.body]


@pytest.mark.parametrize("change", ["removed", "overwritten"])
def test_a_file_that_is_gone_before_all_lines_are_queued(worker: WorkerDeployment, change: str) -> None:
    """Queued lines are processed; the rest fail with `not_queued`, and the error says what to do."""
    rest, queued = start_file(worker, 25)
    if change == "removed":
        aws_client("s3").delete_object(Bucket=worker.gateway.settings.bucket, Key="requests/a.jsonl")
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
    assert [entry["line"] for entry in lost] == list(range(11, 26))
    assert {entry["error"]["code"] for entry in lost} == {"not_queued"}
    assert all(
        "does not exist" in entry["error"]["detail"] and "another file" in entry["error"]["detail"] for entry in lost
    )
    assert all(entry["keys"] == [] and "job" not in entry for entry in lost)
    assert worker.keys("dead-letters/") == ["dead-letters/m1.json"]


def test_a_file_whose_message_is_dead_lettered_has_its_results(worker: WorkerDeployment) -> None:
    """The results are written once, before or after the last queued job ended."""
    rest, queued = start_file(worker, 25)
    worker.deliver(*queued)

    assert worker.dead_letter(rest, rest) == []

    found = worker.results()
    assert (found["succeeded"], found["failed"]) == (10, 15)
    assert "too often" in found["lines"][-1]["error"]["detail"]
    # A late delivery of the message queues no more lines.
    assert worker.deliver(rest) == []
    assert worker.drain() == []


def test_a_recorded_line_that_may_not_be_queued_fails(worker: WorkerDeployment) -> None:
    """Its worker died between the two steps; the job fails with an event. A running job continues."""
    rest, queued = start_file(worker, 25)
    worker.deliver(*queued)
    recorded, running = [
        Job.model_validate({"id": job_id, "kind": "generation", "owner": "event:s3", "batch": batch, "line": number})
        for number in (11, 12)
        for batch, job_id in [batch_and_job_id(worker, number)]
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
    assert [entry["status"] for entry in worker.results()["lines"][9:13]] == [
        "succeeded",
        "failed",
        "succeeded",
        "failed",
    ]


def batch_and_job_id(worker: WorkerDeployment, number: int) -> tuple[str, str]:
    """Return the id of the batch, and the id that the job of this line has or will have."""
    (key,) = [key for key in worker.keys("inputs/") if key.endswith("lines.json")]
    return key.split("/")[1], worker.document(key)["lines"][number - 1]["job"]


def test_a_dead_lettered_file_that_was_never_started_is_only_stored(worker: WorkerDeployment) -> None:
    """There are no results to write."""
    created = worker.upload("requests/a.jsonl", [request_line()])

    assert worker.dead_letter(record(created, "m1")) == []

    assert worker.keys("results/") == []
    assert worker.keys("dead-letters/") == ["dead-letters/m1.json"]


def test_a_file_that_is_announced_twice_is_one_batch(worker: WorkerDeployment, openai: "SandboxState") -> None:
    """S3 may send another event of a version later: jobs and results are those of the first event."""
    created = worker.upload("requests/a.jsonl", [request_line(1), request_line(2)])
    later = {**created, "time": "2026-01-03T00:00:00Z", "id": "another"}

    worker.deliver(record(created))
    worker.process_queue()
    worker.deliver(record(later))
    worker.process_queue()

    assert worker.results()["succeeded"] == 2
    assert sum(request.method == "POST" for request in openai.record) == 2
    assert {f"{job_time(job.id):%Y-%m-%d}" for job in worker.jobs()} == {"2026-01-02"}


def test_300_lines_are_queued_by_several_invocations(worker: WorkerDeployment) -> None:
    """Each line is queued once, and the last job to end is recognized."""
    message: Record | None = record(worker.upload("requests/a.jsonl", [request_line(n) for n in range(1, 301)]))
    rounds, queued = 0, list[Any]()
    while message:
        assert worker.deliver(message, seconds=25, step_seconds=1) == []
        rounds += 1
        messages = worker.drain()
        queued += [sent.body["job"] for sent in messages if "job" in sent.body]
        message = next((sent.record for sent in messages if "detail" in sent.body), None)

    assert 2 < rounds < 10
    assert len(set(queued)) == len(queued) == 300

    progress = worker.gateway.worker_parts.batch_store
    batch = run(progress.get(worker.job(queued[0]).batch or ""))
    assert batch is not None
    assert batch.queued == batch.jobs == 300
    for first in range(1, 300, 100):
        assert not run(progress.mark_ended(batch, range(first, first + 99))).done
    assert run(progress.mark_ended(batch, range(100, 301, 100))).done
