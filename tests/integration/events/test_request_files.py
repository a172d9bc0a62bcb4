"""Request files in the bucket, which S3's events announce: their lines, and files that are refused."""

import json
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from image_gateway.batches import ingestion
from image_gateway.event_loop import run
from tests.aws_clients import aws_client
from tests.integration.sample_images import data_url, encoded
from tests.integration.sqs_records import record, request_line
from tests.integration.worker_deployment import WorkerDeployment

if TYPE_CHECKING:
    from sandbox.engines.state import SandboxState
    from tests.integration.deployment import Deployment

pytestmark = pytest.mark.timeout(240)


def test_60_lines_of_which_six_are_invalid(worker: WorkerDeployment, openai: "SandboxState") -> None:
    """54 succeed, and 6 are reported by number in one results document, though every message comes three times."""
    invalid = {
        number: "nonsense" if number % 20 else {"kind": "generation", "request": {}} for number in range(10, 61, 10)
    }
    created = worker.upload("requests/summer/foxes.jsonl", [invalid.get(n, request_line(n)) for n in range(1, 61)])

    worker.deliver(record(created), record(created), record(created))
    worker.process_queue(batch=20)

    found = worker.results()
    assert {name: found[name] for name in ("total", "succeeded", "failed", "canceled", "invalid")} == {
        "total": 60, "succeeded": 54, "failed": 0, "canceled": 0, "invalid": 6,
    }  # fmt: skip
    assert [entry["line"] for entry in found["lines"]] == list(range(1, 61))
    assert [entry["line"] for entry in found["lines"] if entry["status"] == "invalid"] == list(invalid)
    assert {entry["error"]["detail"] for entry in found["lines"] if entry["status"] == "invalid"} == {
        "Not JSON", "request.prompt: Field required",
    }  # fmt: skip
    assert sum(request.method == "POST" for request in openai.record) == 54
    assert worker.keys("results/") == [f"results/summer/foxes-{found['batch']}.json"]
    assert "http" not in json.dumps(found)
    assert len(worker.keys("images/")) == 54


def test_a_json_file_is_a_single_request(worker: WorkerDeployment) -> None:
    """It may be indented and have a byte order mark; the results repeat its id."""
    data = b"\xef\xbb\xbf" + json.dumps(request_line(id="order 7"), indent=2).encode()

    worker.deliver(record(worker.upload("requests/one.json", data)))
    worker.process_queue()

    (reported,) = worker.results()["lines"]
    (job,) = worker.jobs()
    assert (job.status, job.owner, job.channel, job.line) == ("succeeded", "event:s3", "s3", 1)
    assert reported == {
        "line": 1, "id": "order 7", "job": job.id, "status": "succeeded", "keys": [job.images[0].key],
        "cost": {"usd": "0.000000", "basis": "unknown"},
    }  # fmt: skip


def test_a_line_may_be_an_edit(worker: WorkerDeployment, openai_deployment: "Deployment") -> None:
    """Its images are stored in the bucket."""
    gateway = openai_deployment.gateway
    configured = run(gateway.configs.read()).config
    openai_deployment.configure(
        ENABLE_IMAGE_EDIT=True,
        IMAGE_EDIT_ENGINE="openai",
        IMAGE_EDIT_MODEL="gpt-image-2",
        IMAGES_EDIT_OPENAI_API_BASE_URL=configured.IMAGES_OPENAI_API_BASE_URL,
        IMAGES_EDIT_OPENAI_API_KEY="planted-engine-key",
    )
    edit = {"kind": "edit", "request": {"prompt": "a hat", "image": data_url(encoded())}}

    worker.deliver(record(worker.upload("requests/edits.jsonl", [edit, request_line()])))
    worker.process_queue()

    assert [entry["status"] for entry in worker.results()["lines"]] == ["succeeded", "succeeded"]


def test_blank_lines_and_carriage_returns_are_ignored(worker: WorkerDeployment) -> None:
    """Line numbers are those of an editor; only the line that is not UTF-8 is invalid."""
    good = json.dumps(request_line()).encode()

    worker.deliver(record(worker.upload("requests/a.jsonl", b"\r\n" + good + b"\r\n\n\xff\xfe\n" + good + b"\n")))
    worker.process_queue()

    assert [(entry["line"], entry["status"]) for entry in worker.results()["lines"]] == [
        (2, "succeeded"), (4, "invalid"), (5, "succeeded"),
    ]  # fmt: skip


@pytest.mark.parametrize("data", [b"", b"\n\n", b"nonsense\n"])
def test_a_file_without_requests_has_its_manifest_immediately(worker: WorkerDeployment, data: bytes) -> None:
    """No message is queued."""
    assert worker.deliver(record(worker.upload("requests/a.jsonl", data))) == []

    assert worker.results()["total"] == worker.results()["invalid"] == len(data.split())
    assert worker.drain() == []


def test_an_invalid_single_request_is_a_failed_job(worker: WorkerDeployment) -> None:
    """An event is sent, and the results have the reason."""
    created = record(worker.upload("requests/a.json", json.dumps(request_line(request={})).encode()))

    worker.deliver(created, created)
    worker.process_queue()

    (job,) = worker.jobs()
    assert (job.status, job.error and job.error.detail) == ("failed", "request.prompt: Field required")
    assert [kind for kind, _detail in worker.reported()] == ["Image Job Failed"]
    (reported,) = worker.results()["lines"]
    assert (reported["status"], reported["error"]["code"]) == ("failed", "invalid_request")


@pytest.mark.parametrize(("data", "reason"), [(b"\xff\xfe", "Not UTF-8"), (b"[]", "object"), (b"{}", "no kind")])
def test_a_json_file_that_is_no_request_is_dead_lettered(worker: WorkerDeployment, data: bytes, reason: str) -> None:
    """The dead letter and the results have the reason."""
    assert worker.deliver(record(worker.upload("requests/a.json", data))) == []

    (letter,) = worker.drain("dead")
    assert reason in letter.attributes["Reason"]
    assert reason in worker.results()["lines"][0]["error"]["detail"]
    assert worker.jobs() == []


def test_a_file_with_too_many_lines_is_not_read_to_its_end(worker: WorkerDeployment) -> None:
    """It takes no more memory than an allowed file."""
    upload = worker.upload("requests/a.jsonl", ["1"] * 1_000_000)

    tracemalloc.start()
    worker.deliver(record(upload))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    (letter,) = worker.drain("dead")
    assert "over 10000 lines" in letter.attributes["Reason"]
    assert peak < 100_000_000


@pytest.mark.parametrize(
    ("limit", "reason"), [("MAX_FILE_BYTES", "larger than 1 bytes"), ("MAX_LINES", "over 1 lines")]
)
def test_a_file_over_a_limit_is_dead_lettered(
    worker: WorkerDeployment, monkeypatch: pytest.MonkeyPatch, limit: str, reason: str
) -> None:
    """None of its lines becomes a job."""
    monkeypatch.setattr(ingestion, limit, 1)

    worker.deliver(record(worker.upload("requests/a.jsonl", [request_line(), request_line()])))

    (letter,) = worker.drain("dead")
    assert reason in letter.attributes["Reason"]
    assert worker.jobs() == []
    assert worker.drain() == []


def test_a_missing_or_overwritten_file_is_dead_lettered(worker: WorkerDeployment) -> None:
    """The event names a version of the file that does not exist any more."""
    removed = worker.upload("requests/a.jsonl", [request_line()])
    aws_client("s3").delete_object(Bucket=worker.gateway.settings.bucket, Key="requests/a.jsonl")
    overwritten = worker.upload("requests/b.jsonl", [request_line()])
    worker.upload("requests/b.jsonl", [request_line(2)])

    assert worker.deliver(record(removed), record(overwritten)) == []

    assert [("does not exist" in letter.attributes["Reason"]) for letter in worker.drain("dead")] == [True, True]
    assert worker.jobs() == []


@pytest.mark.parametrize("key", ["requests/a.txt", "images/a.json"])
def test_other_files_are_dead_lettered(worker: WorkerDeployment, key: str) -> None:
    """Only `.json` and `.jsonl` files under `requests/` are read."""
    worker.deliver(record(worker.upload(key, [request_line()])))

    assert len(worker.drain("dead")) == 1
