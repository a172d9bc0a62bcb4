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
    """Return the ids of the listed jobs."""
    assert response.status == 200, response.text
    return [job["id"] for job in response.json["jobs"]]


def test_users_list_their_own_jobs_and_admins_list_all(queue_deployment: "Deployment") -> None:
    """The newest is first."""
    own, strangers = submit(queue_deployment), submit(queue_deployment, "stranger")

    assert ids(get(queue_deployment, JOBS)) == [own]
    assert ids(get(queue_deployment, JOBS, "stranger")) == [strangers]
    assert ids(get(queue_deployment, JOBS, "admin")) == [strangers, own]


def test_an_admin_can_list_the_jobs_of_one_owner(queue_deployment: "Deployment") -> None:
    """A user may name only itself as `owner`."""
    own = submit(queue_deployment)
    submit(queue_deployment, "stranger")
    owner = get(queue_deployment, f"{JOBS}/{own}", "admin").json["owner"]

    assert ids(get(queue_deployment, f"{JOBS}?owner={owner}", "admin")) == [own]
    assert ids(get(queue_deployment, f"{JOBS}?owner={owner}")) == [own]
    assert get(queue_deployment, f"{JOBS}?owner={owner}", "stranger").status == 403


def test_jobs_can_be_listed_by_status(queue_deployment: "Deployment") -> None:
    """The status of finished and of queued jobs is selected."""
    done = submit(queue_deployment)
    queue_deployment.process_queue()
    waiting = submit(queue_deployment)

    assert ids(get(queue_deployment, f"{JOBS}?status=succeeded")) == [done]
    assert ids(get(queue_deployment, f"{JOBS}?status=queued")) == [waiting]
    assert ids(get(queue_deployment, f"{JOBS}?status=failed")) == []


def put_jobs(deployment: "Deployment", dynamodb: "DynamoDBClient", jobs: list[Job]) -> None:
    """Put jobs into the table."""
    table = deployment.gateway.settings.table
    puts = [{"PutRequest": {"Item": deployment.gateway.jobs._item(job)}} for job in jobs]
    with ThreadPoolExecutor(4) as pool:
        batches = [puts[start : start + 25] for start in range(0, len(puts), 25)]
        list(pool.map(lambda batch: dynamodb.batch_write_item(RequestItems={table: batch}), batches))


def test_a_thousand_jobs_are_listed_in_pages(deployment: "Deployment", dynamodb: "DynamoDBClient") -> None:
    """Every job is listed once, newest first; the last page has no cursor."""
    jobs = [Job(id=new_job_id(), kind="generation", owner="event:s3") for _ in range(1_000)]
    put_jobs(deployment, dynamodb, jobs)

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
def test_a_page_of_long_prompts_is_shorter_than_the_limit(
    queue_deployment: "Deployment", dynamodb: "DynamoDBClient", status: str
) -> None:
    """Lambda's limit is 6 MB: the page has fewer jobs than requested, and its cursor continues the list."""
    owner = get(queue_deployment, f"{JOBS}/{submit(queue_deployment)}", "admin").json["owner"]
    request = {"prompt": '"' * 32_000}
    jobs = [Job(id=new_job_id(), kind="generation", owner=owner, request=request) for _ in range(100)]
    put_jobs(queue_deployment, dynamodb, jobs)
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
def test_an_invalid_list_parameter_is_named(deployment: "Deployment", query: str) -> None:
    """It is a 422."""
    response = get(deployment, f"{JOBS}?{query}", "admin")

    assert (response.status, response.json["field"]) == (422, query.partition("=")[0])
