"""Reading a job, its result and its images by id."""

from typing import TYPE_CHECKING

import httpx
import pytest

from image_gateway.event_loop import run
from image_gateway.ids import new_job_id
from image_gateway.models.jobs import Job, JobError
from tests.integration.jobs.queued_generation import IMAGES, JOBS, get, submit

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment


def test_a_queued_job_is_described_to_its_owner(queue_deployment: "Deployment") -> None:
    """What was asked for, and no images yet."""
    job = submit(queue_deployment)

    response = get(queue_deployment, f"{JOBS}/{job}")

    assert response.status == 200
    assert {name: value for name, value in response.json.items() if name != "created_at"} == {
        "id": job,
        "kind": "generation",
        "status": "queued",
        "engine": "openai",
        "model": "gpt-image-2",
        "attempts": 0,
        "request": {"prompt": "a fox", "size": "64x64"},
        "images": [],
        "warnings": [],
    }


def test_a_job_that_succeeded_has_fresh_urls(queue_deployment: "Deployment") -> None:
    """Images are as the result answers them, with the times and the model."""
    job = submit(queue_deployment, zoom=3)
    queue_deployment.work()

    response = get(queue_deployment, f"{JOBS}/{job}").json

    assert (response["status"], response["model"], response["attempts"]) == ("succeeded", "gpt-image-2", 1)
    assert response["created_at"] <= response["started_at"] <= response["finished_at"]
    assert httpx.get(response["images"][0]["url"]).status_code == 200
    assert any("zoom" in warning for warning in response["warnings"])


def test_a_failed_job_tells_its_error(queue_deployment: "Deployment") -> None:
    """As its result would be answered."""
    job = submit(queue_deployment, size="65x65")
    queue_deployment.work()

    response = get(queue_deployment, f"{JOBS}/{job}").json
    result = get(queue_deployment, f"{JOBS}/{job}/result")

    assert response["status"] == "failed"
    assert response["error"] == {name: result.json[name] for name in ("code", "title", "status", "detail")}
    assert result.status == response["error"]["status"]


def test_an_admin_sees_whose_a_job_is_and_not_what_was_asked(queue_deployment: "Deployment") -> None:
    """A prompt is its owner's; the owner is for administrators."""
    job = submit(queue_deployment)

    response = get(queue_deployment, f"{JOBS}/{job}", "admin").json

    assert response["owner"].startswith("token:")
    assert "request" not in response


def test_an_admin_is_not_told_in_passing_what_quotes_a_prompt(queue_deployment: "Deployment") -> None:
    """Engines quote prompts: others' warnings are left out, and errors say where an administrator finds the words."""
    job = submit(queue_deployment, size="65x65", zoom=3)
    queue_deployment.work()

    mine, others = (get(queue_deployment, f"{JOBS}/{job}", role).json for role in ("user", "admin"))
    result = get(queue_deployment, f"{JOBS}/{job}/result", "admin").json

    assert others["warnings"] == []
    assert {**others["error"], "detail": mine["error"]["detail"]} == mine["error"]
    assert "in the job's result" in others["error"]["detail"]
    assert result["detail"] == mine["error"]["detail"]


UNKNOWN = [
    "x",
    "%20",
    "..",
    "%00",
    "%F0%9F%A6%8A",
    "x" * 5_000,
    "00000000-0000-0000-0000-000000000000",
    "00000000-0000-7000-8000-00000000000G",
    "generations",
]


@pytest.mark.parametrize("job", UNKNOWN, ids=lambda job: job[:40])
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", JOBS + "/{}"), ("GET", JOBS + "/{}/result"), ("DELETE", JOBS + "/{}"), ("GET", IMAGES + "/{}")],
)
def test_what_is_no_id_leads_nowhere(deployment: "Deployment", method: str, path: str, job: str) -> None:
    """404, never a 500, and DynamoDB is not asked what it would refuse."""
    response = deployment.call(method, path.format(job))

    assert (response.status, response.json["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "image", ["00000000-0000-7000-8000-000000000000-0", "00000000-0000-7000-8000-000000000000-99999", "x-0", "-0"]
)
def test_what_is_no_image_leads_nowhere(deployment: "Deployment", image: str) -> None:
    """404 as well."""
    assert get(deployment, f"{IMAGES}/{image}").status == 404


def test_somebody_elses_job_is_one_that_does_not_exist(queue_deployment: "Deployment") -> None:
    """The same status and words, whatever is asked; nothing is canceled."""
    job = submit(queue_deployment)
    queue_deployment.work()
    none = "00000000-0000-7000-8000-000000000000"

    for method, path in [
        ("GET", JOBS + "/{}"),
        ("GET", JOBS + "/{}/result"),
        ("DELETE", JOBS + "/{}"),
        ("GET", IMAGES + "/{}-0"),
    ]:
        theirs, unknown = (queue_deployment.call(method, path.format(one), role="stranger") for one in (job, none))
        assert theirs.status == unknown.status == 404
        assert theirs.json["detail"] == unknown.json["detail"]


def test_an_images_address_does_not_age(queue_deployment: "Deployment") -> None:
    """It leads to a URL signed now, and nobody keeps where."""
    job = submit(queue_deployment, n=2)
    queue_deployment.work()

    for role in ("user", "admin"):
        response = get(queue_deployment, f"{IMAGES}/{job}-1", role)
        assert (response.status, response.headers["cache-control"]) == (302, "no-store")
        assert httpx.get(response.headers["location"]).content[:4] == b"\x89PNG"
    assert get(queue_deployment, f"{IMAGES}/{job}-2").status == 404


def test_a_failure_that_no_engine_caused_is_answered_too(deployment: "Deployment") -> None:
    """A job that a dead letter ended has its reason as its result."""
    reason = JobError(status=502, code="interrupted", title="Interrupted", detail="it broke", may_have_cost=True)
    job = Job(id=new_job_id(), kind="generation", owner="event:sqs", status="failed", error=reason)
    run(deployment.gateway.jobs.create(job))

    response = get(deployment, f"{JOBS}/{job.id}/result", "admin")

    assert (response.status, response.json["detail"], response.headers["x-should-retry"]) == (502, "it broke", "false")
