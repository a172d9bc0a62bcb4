"""Reading a job, its result and its images by id."""

from typing import TYPE_CHECKING

import pytest

from image_gateway.event_loop import run
from image_gateway.ids import new_job_id
from image_gateway.models.jobs import Job, JobError
from tests import web
from tests.integration.jobs.queued_generation import IMAGES, JOBS, get, submit

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment


def test_the_owner_of_a_queued_job_sees_its_request(queue_deployment: "Deployment") -> None:
    """The job has the parameters of its request and no images yet."""
    job = submit(queue_deployment)

    response = get(queue_deployment, f"{JOBS}/{job}")

    assert response.status == 200
    assert {name: value for name, value in response.json.items() if name != "created_at"} == {
        "id": job,
        "kind": "generation",
        "status": "queued",
        "engine": "openai",
        "model": "gpt-image-2",
        "connection": "openai",
        "attempts": 0,
        "request": {"prompt": "a fox", "size": "64x64"},
        "images": [],
        "warnings": [],
    }


def test_a_succeeded_job_has_new_presigned_urls(queue_deployment: "Deployment") -> None:
    """Images have the same fields as in the result; the job has its times and the model."""
    job = submit(queue_deployment, zoom=3)
    queue_deployment.process_queue()

    response = get(queue_deployment, f"{JOBS}/{job}").json

    assert (response["status"], response["model"], response["attempts"]) == ("succeeded", "gpt-image-2", 1)
    assert response["created_at"] <= response["started_at"] <= response["finished_at"]
    assert web.get(response["images"][0]["url"]).status_code == 200
    assert any("zoom" in warning for warning in response["warnings"])


def test_a_failed_job_contains_its_error(queue_deployment: "Deployment") -> None:
    """It is the same error as that of its result."""
    job = submit(queue_deployment, size="65x65")
    queue_deployment.process_queue()

    response = get(queue_deployment, f"{JOBS}/{job}").json
    result = get(queue_deployment, f"{JOBS}/{job}/result")

    assert response["status"] == "failed"
    assert response["error"] == {name: result.json[name] for name in ("code", "title", "status", "detail")}
    assert result.status == response["error"]["status"]


def test_an_admin_sees_the_owner_and_not_the_request(queue_deployment: "Deployment") -> None:
    """The prompt is shown to the owner only; the owner is shown to administrators only."""
    job = submit(queue_deployment)

    response = get(queue_deployment, f"{JOBS}/{job}", "admin").json

    assert response["owner"].startswith("token:")
    assert "request" not in response


def test_an_admin_sees_no_warning_or_error_text_that_may_quote_the_prompt(queue_deployment: "Deployment") -> None:
    """Warnings are left out, and the error says that its text is in the job's result."""
    job = submit(queue_deployment, size="65x65", zoom=3)
    queue_deployment.process_queue()

    owners, admins = (get(queue_deployment, f"{JOBS}/{job}", role).json for role in ("user", "admin"))
    result = get(queue_deployment, f"{JOBS}/{job}/result", "admin").json

    assert admins["warnings"] == []
    assert {**admins["error"], "detail": owners["error"]["detail"]} == owners["error"]
    assert "in the job's result" in admins["error"]["detail"]
    assert result["detail"] == owners["error"]["detail"]


INVALID_IDS = [
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


@pytest.mark.parametrize("job", INVALID_IDS, ids=lambda job: job[:40])
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", JOBS + "/{}"), ("GET", JOBS + "/{}/result"), ("DELETE", JOBS + "/{}"), ("GET", IMAGES + "/{}")],
)
def test_an_invalid_job_id_is_not_found(deployment: "Deployment", method: str, path: str, job: str) -> None:
    """It is a 404, never a 500, even if DynamoDB would reject the key."""
    response = deployment.call(method, path.format(job))

    assert (response.status, response.json["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "image", ["00000000-0000-7000-8000-000000000000-0", "00000000-0000-7000-8000-000000000000-99999", "x-0", "-0"]
)
def test_an_invalid_image_id_is_not_found(deployment: "Deployment", image: str) -> None:
    """It is a 404."""
    assert get(deployment, f"{IMAGES}/{image}").status == 404


def test_a_job_of_another_owner_is_not_found(queue_deployment: "Deployment") -> None:
    """Status and error text are those of an unknown job for every route; nothing is canceled."""
    job = submit(queue_deployment)
    queue_deployment.process_queue()
    unknown_id = "00000000-0000-7000-8000-000000000000"

    for method, path in [
        ("GET", JOBS + "/{}"),
        ("GET", JOBS + "/{}/result"),
        ("DELETE", JOBS + "/{}"),
        ("GET", IMAGES + "/{}-0"),
    ]:
        other_owners, unknown = (
            queue_deployment.call(method, path.format(job_id), role="stranger") for job_id in (job, unknown_id)
        )
        assert other_owners.status == unknown.status == 404
        assert other_owners.json["detail"] == unknown.json["detail"]


def test_an_image_route_redirects_to_a_new_presigned_url(queue_deployment: "Deployment") -> None:
    """The redirect must not be cached."""
    job = submit(queue_deployment, n=2)
    queue_deployment.process_queue()

    for role in ("user", "admin"):
        response = get(queue_deployment, f"{IMAGES}/{job}-1", role)
        assert (response.status, response.headers["cache-control"]) == (302, "no-store")
        assert web.get(response.headers["location"]).content[:4] == b"\x89PNG"
    assert get(queue_deployment, f"{IMAGES}/{job}-2").status == 404


def test_the_result_of_an_interrupted_job_is_its_error(deployment: "Deployment") -> None:
    """The error that a dead letter gave the job is its result."""
    reason = JobError(status=502, code="interrupted", title="Interrupted", detail="it broke", may_have_cost=True)
    job = Job(id=new_job_id(), kind="generation", owner="event:sqs", status="failed", error=reason)
    run(deployment.gateway.jobs.create(job))

    response = get(deployment, f"{JOBS}/{job.id}/result", "admin")

    assert (response.status, response.json["detail"], response.headers["x-should-retry"]) == (502, "it broke", "false")
