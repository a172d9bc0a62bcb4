"""The ledger finds each kind of loss: every check can fail."""

from typing import Any

import pytest

from image_gateway.models.jobs import Job, JobError, JobImage
from tests.chaos.ledger import Ledger
from tests.chaos.meter import PaidImage
from tests.chaos.outcome import Findings
from tests.chaos.requests import Sent

KEY = "images/2026/01/02/job-1/0.png"
PAID = PaidImage("openai", "chaos-1", "digest-1")


def job(status: str = "succeeded", job_id: str = "job-1", marker: str = "chaos-1", **fields: Any) -> Job:
    images = [JobImage(key=KEY, content_type="image/png")] if status == "succeeded" else []
    request = {"prompt": f"{marker} a fox", "n": 1}
    return Job.model_validate(
        {"id": job_id, "kind": "generation", "owner": "event:sqs", "status": status, "request": request}
        | {"images": images, "settled": True, **fields}
    )


def error(code: str, *, may_have_cost: bool = True) -> JobError:
    return JobError(status=502, code=code, title="", detail="", may_have_cost=may_have_cost)


def event(job_id: str = "job-1", status: str = "succeeded") -> dict[str, Any]:
    return {"id": job_id, "status": status}


def findings(*jobs: Job, **fields: Any) -> Findings:
    """Return the findings of a run with one request and one paid image; by default it is delivered."""
    found = list(jobs) or [job()]
    defaults: dict[str, Any] = {
        "paid": [PAID],
        "sent": [Sent("chaos-1", "sqs", "generation", accepted=True)],
        "jobs": found,
        "stored": {KEY: PAID.digest},
        "events": [event(item.id, item.status) for item in found],
    }
    return Findings(**{**defaults, **fields})


def problems(found: Findings) -> dict[str, int]:
    """Return how many problems of each kind the ledger reports."""
    return {name: len(lines) for name, lines in Ledger(found).problems.items() if lines}


def test_a_delivered_image_balances_the_ledger() -> None:
    """Its image is in the bucket under the key of a job that succeeded."""
    ledger = Ledger(findings())

    assert ledger.balanced
    assert ledger.summary() == (
        "1 images paid, 1 delivered, 0 accounted for, 0 lost, 0 paid twice, 0 stuck, 0 unannounced, "
        "0 broken promises, 0 wrong charges, 0 failed functions, "
        "0.000000 dollars charged, 0.000000 of them uncertain, slots free"
    )


@pytest.mark.parametrize(("code", "interrupted"), [("interrupted", {"job-1"}), ("engine_timeout", set())])
def test_an_image_of_a_job_that_may_have_cost_is_accounted_for(code: str, interrupted: set[str]) -> None:
    """The job's process was killed, or the engine was too slow, and the job says that it may have cost."""
    ledger = Ledger(findings(job("failed", error=error(code)), interrupted=interrupted))

    assert (ledger.delivered, ledger.accounted, ledger.balanced) == (0, 1, True)


def test_an_image_of_a_canceled_job_is_accounted_for() -> None:
    """The caller did not want it any more."""
    ledger = Ledger(findings(job("canceled", error=error("canceled")), canceled={"job-1"}))

    assert (ledger.accounted, ledger.balanced) == (1, True)


def test_an_image_is_accounted_for_if_the_job_says_that_it_was_not_stored() -> None:
    """A job that was completed from its stored images names the number of missing ones."""
    warnings = ["1 of 2 images were not stored"]
    found = findings(job(warnings=warnings), interrupted={"job-1"}, stored={KEY: "another image"})

    assert (Ledger(found).accounted, problems(found)) == (1, {})


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        pytest.param(findings(job("failed", error=error("interrupted"))), {"lost": 1}, id="no kill"),
        pytest.param(
            findings(job("failed", error=error("storage_unavailable")), interrupted={"job-1"}),
            {"lost": 1},
            id="given up although only storage failed",
        ),
        pytest.param(
            findings(job("failed", error=error("interrupted", may_have_cost=False)), interrupted={"job-1"}),
            {"lost": 1},
            id="the job denies that it may have cost",
        ),
        pytest.param(findings(stored={KEY: "another image"}), {"lost": 1}, id="another image is stored"),
        pytest.param(findings(paid=[PAID, PAID]), {"paid twice": 1}, id="two images for one"),
        pytest.param(
            findings(paid=[PAID, PaidImage("comfyui", "", "digest-2")]), {"lost": 1}, id="an image for no request"
        ),
        pytest.param(findings(job("queued"), paid=[]), {"stuck": 1}, id="queued for ever"),
        pytest.param(findings(queued=["a message"]), {"stuck": 1}, id="a message is left"),
        pytest.param(findings(events=[]), {"unannounced": 1}, id="no event"),
        pytest.param(findings(events=[event(status="failed")]), {"unannounced": 1}, id="an event with another end"),
        pytest.param(
            findings(events=[event(), event("job-2")]), {"unannounced": 1}, id="an event about a job that is not there"
        ),
        pytest.param(
            findings(sent=[Sent("chaos-2", "sqs", "generation", accepted=True)]),
            {"broken promises": 1},
            id="an accepted request without a job",
        ),
        pytest.param(
            findings(
                job("failed", error=error("interrupted")),
                paid=[],
                sent=[Sent("chaos-1", "images", "generation", accepted=True, delivered=True)],
            ),
            {"broken promises": 1},
            id="a response with images of a failed job",
        ),
        pytest.param(findings(canceled={"job-1"}), {"broken promises": 1}, id="a canceled job that succeeds"),
        pytest.param(findings(stored={}, paid=[]), {"broken promises": 1}, id="an image that is not in the bucket"),
        pytest.param(
            findings(files={"requests/a.jsonl": ["chaos-1"]}), {"broken promises": 1}, id="a file without results"
        ),
        pytest.param(
            findings(
                files={"requests/a.jsonl": ["chaos-1"]},
                results=[
                    {"file": "requests/a.jsonl", "lines": [{"line": 1, "job": "job-1", "status": "failed"}]},
                ],
            ),
            {"broken promises": 1},
            id="results that differ from the job",
        ),
        pytest.param(findings(failures=["Worker: a defect"]), {"failed functions": 1}, id="a function that fails"),
    ],
)
def test_a_problem_is_found(found: Findings, expected: dict[str, int]) -> None:
    """Each problem is reported once, under its kind, and the ledger is not balanced."""
    assert problems(found) == expected
    assert not Ledger(found).balanced


def test_a_held_slot_is_found() -> None:
    """A lock that nobody released is in the summary."""
    ledger = Ledger(findings(held=["lock#engine"]))

    assert not ledger.balanced
    assert ledger.summary().endswith("1 slots held")


def test_a_request_in_the_dead_letters_is_not_lost() -> None:
    """A message that was delivered too often is kept in the bucket."""
    sent = [Sent("chaos-1", "sqs", "generation", accepted=True), Sent("chaos-2", "sqs", "generation", accepted=True)]

    assert problems(findings(sent=sent, kept=["{'prompt': 'chaos-2 a fox'}"])) == {}


def test_repeated_events_are_counted() -> None:
    """They are allowed, and the number of them is reported."""
    assert Ledger(findings(events=[event(), event()])).repeats() == 1
