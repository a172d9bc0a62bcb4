"""The jobs function: reading, listing and canceling jobs, and images by id."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from image_gateway.event_loop import run
from image_gateway.ids import new_job_id
from image_gateway.models.jobs import Job, JobError

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from tests.integration.conftest import Answer, Deployment

IMAGES = "/api/v1/images"
JOBS = f"{IMAGES}/jobs"


def submit(deployment: "Deployment", role: str = "user", **fields: Any) -> str:
    """Queue a job; gives its id."""
    form = {"prompt": "a fox", "size": "64x64", **fields}
    answer = deployment.call("POST", f"{IMAGES}/generations", form, role=role, headers={"Prefer": "respond-async"})
    assert answer.status == 202, answer.text
    return str(answer.json["id"])


def get(deployment: "Deployment", path: str, role: str = "user") -> "Answer":
    return deployment.call("GET", path, role=role)


# Reading.


def test_a_queued_job_is_described_to_its_owner(queued: "Deployment") -> None:
    """What was asked for, and no images yet."""
    job = submit(queued)

    answer = get(queued, f"{JOBS}/{job}")

    assert answer.status == 200
    assert {name: value for name, value in answer.json.items() if name != "created_at"} == {
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


def test_a_job_that_succeeded_has_fresh_urls(queued: "Deployment") -> None:
    """Images are as the result answers them, with the times and the model."""
    job = submit(queued, zoom=3)
    queued.work()

    answer = get(queued, f"{JOBS}/{job}").json

    assert (answer["status"], answer["model"], answer["attempts"]) == ("succeeded", "gpt-image-2", 1)
    assert answer["created_at"] <= answer["started_at"] <= answer["finished_at"]
    assert httpx.get(answer["images"][0]["url"]).status_code == 200
    assert any("zoom" in warning for warning in answer["warnings"])


def test_a_failed_job_tells_its_error(queued: "Deployment") -> None:
    """As its result would be answered."""
    job = submit(queued, size="65x65")
    queued.work()

    answer = get(queued, f"{JOBS}/{job}").json
    result = get(queued, f"{JOBS}/{job}/result")

    assert answer["status"] == "failed"
    assert answer["error"] == {name: result.json[name] for name in ("code", "title", "status", "detail")}
    assert result.status == answer["error"]["status"]


def test_an_admin_sees_whose_a_job_is_and_not_what_was_asked(queued: "Deployment") -> None:
    """A prompt is its owner's; the owner is for administrators."""
    job = submit(queued)

    answer = get(queued, f"{JOBS}/{job}", "admin").json

    assert answer["owner"].startswith("token:")
    assert "request" not in answer


def test_an_admin_is_not_told_in_passing_what_quotes_a_prompt(queued: "Deployment") -> None:
    """Engines quote prompts: others' warnings are left out, and errors say where an administrator finds the words."""
    job = submit(queued, size="65x65", zoom=3)
    queued.work()

    mine, others = (get(queued, f"{JOBS}/{job}", role).json for role in ("user", "admin"))
    result = get(queued, f"{JOBS}/{job}/result", "admin").json

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
    answer = deployment.call(method, path.format(job))

    assert (answer.status, answer.json["code"]) == (404, "not_found")


@pytest.mark.parametrize(
    "image", ["00000000-0000-7000-8000-000000000000-0", "00000000-0000-7000-8000-000000000000-99999", "x-0", "-0"]
)
def test_what_is_no_image_leads_nowhere(deployment: "Deployment", image: str) -> None:
    """404 as well."""
    assert get(deployment, f"{IMAGES}/{image}").status == 404


def test_somebody_elses_job_is_one_that_does_not_exist(queued: "Deployment") -> None:
    """The same status and words, whatever is asked; nothing is canceled."""
    job = submit(queued)
    queued.work()
    none = "00000000-0000-7000-8000-000000000000"

    for method, path in [
        ("GET", JOBS + "/{}"),
        ("GET", JOBS + "/{}/result"),
        ("DELETE", JOBS + "/{}"),
        ("GET", IMAGES + "/{}-0"),
    ]:
        theirs, unknown = (queued.call(method, path.format(one), role="stranger") for one in (job, none))
        assert theirs.status == unknown.status == 404
        assert theirs.json["detail"] == unknown.json["detail"]


# Listing.


def ids(answer: "Answer") -> list[str]:
    assert answer.status == 200, answer.text
    return [job["id"] for job in answer.json["jobs"]]


def test_a_list_has_ones_own_jobs_and_an_admins_has_all(queued: "Deployment") -> None:
    """The newest first."""
    mine, theirs = submit(queued), submit(queued, "stranger")

    assert ids(get(queued, JOBS)) == [mine]
    assert ids(get(queued, JOBS, "stranger")) == [theirs]
    assert ids(get(queued, JOBS, "admin")) == [theirs, mine]


def test_an_admin_can_ask_for_one_owners_jobs(queued: "Deployment") -> None:
    """By the owner that a job tells administrators."""
    mine = submit(queued)
    submit(queued, "stranger")
    owner = get(queued, f"{JOBS}/{mine}", "admin").json["owner"]

    assert ids(get(queued, f"{JOBS}?owner={owner}", "admin")) == [mine]
    assert ids(get(queued, f"{JOBS}?owner={owner}")) == [mine]
    assert get(queued, f"{JOBS}?owner={owner}", "stranger").status == 403


def test_a_list_can_be_of_one_state(queued: "Deployment") -> None:
    """What is done, or what is left."""
    done = submit(queued)
    queued.work()
    left = submit(queued)

    assert ids(get(queued, f"{JOBS}?status=succeeded")) == [done]
    assert ids(get(queued, f"{JOBS}?status=queued")) == [left]
    assert ids(get(queued, f"{JOBS}?status=failed")) == []


def put(deployment: "Deployment", dynamodb: "DynamoDBClient", jobs: list[Job]) -> None:
    """Put jobs into the table."""
    table = deployment.gateway.settings.table
    puts = [{"PutRequest": {"Item": deployment.gateway.jobs._item(job)}} for job in jobs]
    with ThreadPoolExecutor(4) as pool:
        batches = [puts[start : start + 25] for start in range(0, len(puts), 25)]
        list(pool.map(lambda batch: dynamodb.batch_write_item(RequestItems={table: batch}), batches))


def test_a_thousand_jobs_are_paged(deployment: "Deployment", dynamodb: "DynamoDBClient") -> None:
    """Every job once, the newest first, and no cursor after the last."""
    jobs = [Job(id=new_job_id(), kind="generation", owner="event:s3") for _ in range(1_000)]
    put(deployment, dynamodb, jobs)

    found: list[str] = []
    cursor, pages = "", 0
    while cursor is not None:
        answer = get(deployment, f"{JOBS}?limit=100&cursor={cursor}" if cursor else f"{JOBS}?limit=100", "admin")
        found += ids(answer)
        cursor = answer.json.get("cursor")
        pages += 1

    assert pages == 10
    assert found == sorted((job.id for job in jobs), reverse=True)


@pytest.mark.parametrize("status", ["", "&status=queued"])
def test_a_page_ends_before_it_is_too_long(queued: "Deployment", dynamodb: "DynamoDBClient", status: str) -> None:
    """Lambda answers 6 MB at most: a page of jobs with long prompts has fewer, and its cursor leads on."""
    owner = get(queued, f"{JOBS}/{submit(queued)}", "admin").json["owner"]
    request = {"prompt": '"' * 32_000}
    jobs = [Job(id=new_job_id(), kind="generation", owner=owner, request=request) for _ in range(100)]
    put(queued, dynamodb, jobs)
    found: list[str] = []
    cursor, pages = "", 0

    while cursor is not None and pages < 10:
        answer = get(queued, f"{JOBS}?limit=100{status}" + (f"&cursor={cursor}" if cursor else ""))
        assert answer.status == 200
        assert len(json.dumps(answer.text).encode()) < 4_500_000
        found += ids(answer)
        cursor = answer.json.get("cursor")
        pages += 1

    assert pages == 4
    assert found[:-1] == sorted((job.id for job in jobs), reverse=True)


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=101",
        "limit=x",
        "status=lost",
        "cursor=garbage",
        "cursor=",
        "cursor=" + "W1tb" * 100,
        "owner=",
        "owner=x",
    ],
)
def test_what_no_list_can_be_made_of_is_refused(deployment: "Deployment", query: str) -> None:
    """422, naming the parameter."""
    answer = get(deployment, f"{JOBS}?{query}", "admin")

    assert (answer.status, answer.json["field"]) == (422, query.partition("=")[0])


# Images by id.


def test_an_images_address_does_not_age(queued: "Deployment") -> None:
    """It leads to a URL signed now, and nobody keeps where."""
    job = submit(queued, n=2)
    queued.work()

    for role in ("user", "admin"):
        answer = get(queued, f"{IMAGES}/{job}-1", role)
        assert (answer.status, answer.headers["cache-control"]) == (302, "no-store")
        assert httpx.get(answer.headers["location"]).content[:4] == b"\x89PNG"
    assert get(queued, f"{IMAGES}/{job}-2").status == 404


def test_a_failure_that_no_engine_caused_is_answered_too(deployment: "Deployment") -> None:
    """A job that a dead letter ended has its reason as its result."""
    reason = JobError(status=502, code="interrupted", title="Interrupted", detail="it broke", may_have_cost=True)
    job = Job(id=new_job_id(), kind="generation", owner="event:sqs", status="failed", error=reason)
    run(deployment.gateway.jobs.create(job))

    answer = get(deployment, f"{JOBS}/{job.id}/result", "admin")

    assert (answer.status, answer.json["detail"], answer.headers["x-should-retry"]) == (502, "it broke", "false")
