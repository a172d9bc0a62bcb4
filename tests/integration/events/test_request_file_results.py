"""Results of a request file are written once every line has ended, whatever fails on the way."""

from typing import TYPE_CHECKING

import boto3
import pytest

from image_gateway.event_loop import run
from tests.integration.sqs_records import Record, line, record
from tests.integration.worker_deployment import WorkerDeployment

if TYPE_CHECKING:
    from sandbox.engines.state import SandboxState


pytestmark = pytest.mark.timeout(240)


def test_a_long_file_is_continued_by_further_messages(worker: WorkerDeployment, openai: "SandboxState") -> None:
    """Each invocation queues at least ten lines; the rest follows, and no line runs twice."""
    message: Record | None = record(worker.upload("requests/a.jsonl", [line(n) for n in range(35)]))
    rounds, queued = 0, []
    while message:
        worker.deliver(message, seconds=5)
        rounds += 1
        messages = worker.drain()
        queued += [one.body["job"] for one in messages if "job" in one.body]
        message = next((one.record for one in messages if "detail" in one.body), None)

    assert rounds == 4
    assert len(set(queued)) == len(queued) == 35
    for job_id in queued:
        run(worker.gateway.queue.send(job_id))
    worker.work_off()
    assert worker.results()["succeeded"] == 35
    assert sum(one.method == "POST" for one in openai.record) == 35


def test_a_file_whose_jobs_were_not_all_queued_is_finished(
    worker: WorkerDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A queue that fails brings the file's message back, and what was recorded is queued then."""
    message = record(worker.upload("requests/a.jsonl", [line()]), "m1")
    settings = worker.gateway.settings
    broken = WorkerDeployment(
        type(worker.gateway)(settings.model_copy(update={"queue_url": settings.queue_url + "x"}), worker.gateway.aws),
        "x",
    )

    assert broken.deliver(message) == ["m1"]
    assert worker.deliver(message) == []
    worker.work_off()

    assert worker.results()["succeeded"] == 1


@pytest.mark.parametrize("step", ["record_job_end", "_finalize"])
def test_a_manifest_that_a_crash_prevented_is_written_when_a_message_comes_again(
    worker: WorkerDeployment, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The last job ended and its holder died before it was counted, or before the manifest: its message comes back."""
    worker.deliver(record(worker.upload("requests/a.jsonl", [line()])))
    (message,) = worker.drain()

    async def die(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(f"image_gateway.batches.tracking.BatchTracker.{step}", die)
        assert worker.deliver(message.record) == [message.record["messageId"]]
    assert worker.keys("results/") == []
    assert worker.deliver(message.record) == []

    assert worker.results()["succeeded"] == 1


def test_results_do_not_wait_for_the_event(worker: WorkerDeployment, monkeypatch: pytest.MonkeyPatch) -> None:
    """The bus is not told of the last job's end, so that its message comes back; the results are there all the same."""
    worker.deliver(record(worker.upload("requests/a.jsonl", [line()])))
    (message,) = worker.drain()

    async def untold(_job: object) -> bool:
        return False

    monkeypatch.setattr(worker.gateway.events, "ended", untold)

    assert worker.deliver(message.record) == [message.record["messageId"]]
    assert worker.results()["succeeded"] == 1


def test_canceled_and_given_up_lines_complete_a_batch(worker: WorkerDeployment) -> None:
    """Whoever ends the last job, the manifest comes; it shows no images of what did not succeed."""
    worker.deliver(record(worker.upload("requests/a.jsonl", [line(1), line(2)])))
    first, second = worker.drain()
    job = worker.job(first.body["job"])
    job.status = "canceled"
    run(worker.gateway.jobs.end(job, expected_status="queued"))

    worker.deliver(first.record)
    assert worker.keys("results/") == []
    worker.dead_letter(second.record)

    assert sorted(one["status"] for one in worker.results()["lines"]) == ["canceled", "failed"]
    assert all(one["keys"] == [] for one in worker.results()["lines"])


def test_a_job_that_is_forgotten_is_told_as_failed(worker: WorkerDeployment) -> None:
    """A manifest names every line, also one whose job is not in the table any more."""
    worker.deliver(record(worker.upload("requests/a.jsonl", [line(1), line(2)])))
    first, second = worker.drain()
    worker.deliver(first.record)
    boto3.client("dynamodb").delete_item(
        TableName=worker.gateway.settings.table, Key={"pk": {"S": f"job#{first.body['job']}"}}
    )
    worker.deliver(second.record)

    assert sorted(one["status"] for one in worker.results()["lines"]) == ["failed", "succeeded"]


def test_a_batch_that_was_never_opened_is_nothing_to_complete(worker: WorkerDeployment) -> None:
    """Nothing is written for it."""
    run(worker.gateway._batch_tracker.write_results_if_done("none"))

    assert worker.keys("results/") == []
