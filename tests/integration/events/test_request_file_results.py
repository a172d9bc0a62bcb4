"""Results of a request file are written once every line has ended, whatever fails on the way."""

from typing import TYPE_CHECKING

import pytest

from image_gateway.event_loop import run
from sandbox.engines.painter import paint
from sandbox.engines.state import Fault
from tests.aws_clients import aws_client
from tests.integration.sample_images import text
from tests.integration.sqs_records import Record, record, request_line
from tests.integration.worker_deployment import WorkerDeployment

if TYPE_CHECKING:
    from sandbox.engines.state import SandboxState

pytestmark = pytest.mark.timeout(240)


def test_a_long_file_is_continued_by_further_messages(worker: WorkerDeployment, openai: "SandboxState") -> None:
    """Each invocation queues at least ten lines and sends a message for the rest; no line runs twice."""
    message: Record | None = record(worker.upload("requests/a.jsonl", [request_line(n) for n in range(35)]))
    rounds, queued = 0, []
    while message:
        worker.deliver(message, seconds=5)
        rounds += 1
        messages = worker.drain()
        queued += [sent.body["job"] for sent in messages if "job" in sent.body]
        message = next((sent.record for sent in messages if "detail" in sent.body), None)

    assert rounds == 4
    assert len(set(queued)) == len(queued) == 35
    for job_id in queued:
        run(worker.gateway.queue.send(job_id, owner="event:s3"))
    worker.process_queue()
    assert worker.results()["succeeded"] == 35
    assert sum(request.method == "POST" for request in openai.record) == 35


def test_a_file_whose_jobs_could_not_be_queued_is_continued(
    worker: WorkerDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the queue fails, the file's message is returned, and the recorded jobs are queued with its next delivery."""
    message = record(worker.upload("requests/a.jsonl", [request_line()]), "m1")
    settings = worker.gateway.settings
    broken = WorkerDeployment(
        type(worker.gateway)(settings.model_copy(update={"queue_url": settings.queue_url + "x"}), worker.gateway.aws),
        "x",
    )

    assert broken.deliver(message) == ["m1"]
    assert worker.deliver(message) == []
    worker.process_queue()

    assert worker.results()["succeeded"] == 1


@pytest.mark.parametrize("step", ["record_job_end", "_finalize"])
def test_the_next_delivery_writes_a_manifest_that_a_crash_prevented(
    worker: WorkerDeployment, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The last job's holder died before it counted the job, or before it wrote the results."""
    worker.deliver(record(worker.upload("requests/a.jsonl", [request_line()])))
    (message,) = worker.drain()

    async def crash(*_: object) -> None:
        raise RuntimeError

    with monkeypatch.context() as patched:
        patched.setattr(f"image_gateway.batches.tracking.BatchTracker.{step}", crash)
        assert worker.deliver(message.record) == [message.record["messageId"]]
    assert worker.keys("results/") == []
    assert worker.deliver(message.record) == []

    assert worker.results()["succeeded"] == 1


def test_the_manifest_is_written_even_if_the_event_fails(
    worker: WorkerDeployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last job's message is returned because its event could not be sent."""
    worker.deliver(record(worker.upload("requests/a.jsonl", [request_line()])))
    (message,) = worker.drain()

    async def fail(_job: object) -> bool:
        return False

    monkeypatch.setattr(worker.gateway.events, "publish_completion", fail)

    assert worker.deliver(message.record) == [message.record["messageId"]]
    assert worker.results()["succeeded"] == 1


def test_canceled_and_dead_lettered_lines_complete_a_batch(worker: WorkerDeployment) -> None:
    """The results list no images for lines that did not succeed."""
    worker.deliver(record(worker.upload("requests/a.jsonl", [request_line(1), request_line(2)])))
    first, second = worker.drain()
    job = worker.job(first.body["job"])
    job.status = "canceled"
    run(worker.gateway.jobs.end(job, expected_status="queued"))

    worker.deliver(first.record)
    assert worker.keys("results/") == []
    worker.dead_letter(second.record)

    assert sorted(entry["status"] for entry in worker.results()["lines"]) == ["canceled", "failed"]
    assert all(entry["keys"] == [] for entry in worker.results()["lines"])


def test_a_job_that_was_deleted_is_reported_as_failed(worker: WorkerDeployment) -> None:
    """The results have every line, even if its job is not in the table any more."""
    worker.deliver(record(worker.upload("requests/a.jsonl", [request_line(1), request_line(2)])))
    first, second = worker.drain()
    worker.deliver(first.record)
    aws_client("dynamodb").delete_item(
        TableName=worker.gateway.settings.table, Key={"pk": {"S": f"job#{first.body['job']}"}}
    )
    worker.deliver(second.record)

    assert sorted(entry["status"] for entry in worker.results()["lines"]) == ["failed", "succeeded"]


def test_an_unknown_batch_has_no_manifest(worker: WorkerDeployment) -> None:
    """Nothing is written for it."""
    run(worker.gateway.worker_parts.batch_tracker.write_results_if_done("none"))

    assert worker.keys("results/") == []


def test_lines_whose_engine_returns_an_odd_usage_and_thousands_of_images_are_in_the_results(
    worker: WorkerDeployment, openai: "SandboxState"
) -> None:
    """Of each line, the images up to the limit are stored, and its job can be recorded."""
    usage = {"total_tokens": 7, "signature": "//79" * 50_000}
    image = {"b64_json": text(paint("tiny", 16, 16)), "revised_prompt": "a red fox"}
    openai.knobs.faults.append(Fault(200, {"data": [image] * 5_000, "usage": usage}, times=2))
    worker.deliver(record(worker.upload("requests/a.jsonl", [request_line(1), request_line(2)])))

    worker.process_queue()

    results = worker.results()
    assert (results["succeeded"], [len(line["keys"]) for line in results["lines"]]) == (2, [11, 11])
    assert [job.usage for job in worker.jobs()] == [{"total_tokens": 7}] * 2
