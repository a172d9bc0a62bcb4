"""Listing jobs: by owner, by status, in pages."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from image_gateway.ids import new_job_id
from image_gateway.models.jobs import Job
from tests.integration.jobs.queued_generation import JOBS, get, submit

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

    from tests.integration.deployment import ApiResponse, Deployment


def ids(response: "ApiResponse") -> list[str]:
    assert response.status == 200, response.text
    return [job["id"] for job in response.json["jobs"]]


def test_a_list_has_ones_own_jobs_and_an_admins_has_all(queue_deployment: "Deployment") -> None:
    """The newest first."""
    mine, theirs = submit(queue_deployment), submit(queue_deployment, "stranger")

    assert ids(get(queue_deployment, JOBS)) == [mine]
    assert ids(get(queue_deployment, JOBS, "stranger")) == [theirs]
    assert ids(get(queue_deployment, JOBS, "admin")) == [theirs, mine]


def test_an_admin_can_ask_for_one_owners_jobs(queue_deployment: "Deployment") -> None:
    """By the owner that a job tells administrators."""
    mine = submit(queue_deployment)
    submit(queue_deployment, "stranger")
    owner = get(queue_deployment, f"{JOBS}/{mine}", "admin").json["owner"]

    assert ids(get(queue_deployment, f"{JOBS}?owner={owner}", "admin")) == [mine]
    assert ids(get(queue_deployment, f"{JOBS}?owner={owner}")) == [mine]
    assert get(queue_deployment, f"{JOBS}?owner={owner}", "stranger").status == 403


def test_a_list_can_be_of_one_state(queue_deployment: "Deployment") -> None:
    """What is done, or what is left."""
    done = submit(queue_deployment)
    queue_deployment.work()
    left = submit(queue_deployment)

    assert ids(get(queue_deployment, f"{JOBS}?status=succeeded")) == [done]
    assert ids(get(queue_deployment, f"{JOBS}?status=queued")) == [left]
    assert ids(get(queue_deployment, f"{JOBS}?status=failed")) == []


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
        response = get(deployment, f"{JOBS}?limit=100&cursor={cursor}" if cursor else f"{JOBS}?limit=100", "admin")
        found += ids(response)
        cursor = response.json.get("cursor")
        pages += 1

    assert pages == 10
    assert found == sorted((job.id for job in jobs), reverse=True)


@pytest.mark.parametrize("status", ["", "&status=queued"])
def test_a_page_ends_before_it_is_too_long(
    queue_deployment: "Deployment", dynamodb: "DynamoDBClient", status: str
) -> None:
    """Lambda answers 6 MB at most: a page of jobs with long prompts has fewer, and its cursor leads on."""
    owner = get(queue_deployment, f"{JOBS}/{submit(queue_deployment)}", "admin").json["owner"]
    request = {"prompt": '"' * 32_000}
    jobs = [Job(id=new_job_id(), kind="generation", owner=owner, request=request) for _ in range(100)]
    put(queue_deployment, dynamodb, jobs)
    found: list[str] = []
    cursor, pages = "", 0

    while cursor is not None and pages < 10:
        response = get(queue_deployment, f"{JOBS}?limit=100{status}" + (f"&cursor={cursor}" if cursor else ""))
        assert response.status == 200
        assert len(json.dumps(response.text).encode()) < 4_500_000
        found += ids(response)
        cursor = response.json.get("cursor")
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
    response = get(deployment, f"{JOBS}?{query}", "admin")

    assert (response.status, response.json["field"]) == (422, query.partition("=")[0])
