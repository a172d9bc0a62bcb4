"""Requests that are the same request: by their key, or as an SDK's own retry."""

from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import boto3
import httpx
import pytest

from functions.generate.app import app as generate_app
from sandbox.engines.state import Fault
from tests.integration.jobs.generation import GENERATIONS, generate

if TYPE_CHECKING:
    from sandbox.engines.state import SandboxState
    from tests.integration.deployment import Deployment


def test_the_same_key_is_the_same_job(queue_deployment: "Deployment", openai: "SandboxState") -> None:
    """Before and after its end."""
    key = {"Idempotency-Key": "my-key"}
    generate(queue_deployment, key)
    generate(queue_deployment, key)
    queue_deployment.work()

    response = generate(queue_deployment, key)

    assert response.status == 200
    assert len(queue_deployment.jobs()) == len(openai.record) == 1


def test_the_same_key_with_another_body_is_refused(queue_deployment: "Deployment") -> None:
    """A mistake of the caller's."""
    generate(queue_deployment, {"Idempotency-Key": "my-key"})

    response = generate(queue_deployment, {"Idempotency-Key": "my-key"}, n=2)

    assert (response.status, response.json["field"]) == (422, "Idempotency-Key")
    assert len(queue_deployment.jobs()) == 1


def test_keys_of_two_owners_are_two_jobs(queue_deployment: "Deployment") -> None:
    """A key is its owner's."""
    for role in ("user", "stranger"):
        queue_deployment.call(
            "POST", GENERATIONS, {"prompt": "a fox"}, role=role, headers={"Idempotency-Key": "my-key"}
        )

    assert len({job.owner for job in queue_deployment.jobs()}) == 2


@pytest.mark.anyio
@pytest.mark.parametrize("inline_seconds", [0, 24], ids=["queued", "inline"])
async def test_one_key_from_twenty_requests_at_once_is_one_job(
    queue_deployment: "Deployment", openai: "SandboxState", inline_seconds: float
) -> None:
    """One of them makes it, the engine is asked once, and all get the same answer."""
    # A gateway of this test's own event loop.
    settings = queue_deployment.gateway.settings.model_copy(
        update={"inline_seconds": inline_seconds, "wait_seconds": 20}
    )
    queue_deployment.gateway = type(queue_deployment.gateway)(settings)
    queue_deployment.take_over()
    headers = {"Authorization": f"Bearer {queue_deployment.tokens['user']}", "Idempotency-Key": "my-key"}
    responses: list[httpx.Response] = []
    transport = httpx.ASGITransport(generate_app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", timeout=60) as client:

        async def ask() -> None:
            responses.append(await client.post(GENERATIONS, json={"prompt": "a fox"}, headers=headers))

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(ask)
            if not inline_seconds:
                tasks.start_soon(work_once, queue_deployment)
    await queue_deployment.gateway.aclose()

    assert {response.status_code for response in responses} == {200}
    assert len({response.json()[0]["id"] for response in responses}) == len(openai.record) == 1


async def work_once(deployment: "Deployment") -> None:
    """Do the first job that is queued, when there is one."""
    sqs, queue_url = boto3.client("sqs"), deployment.gateway.settings.queue_url
    await anyio.to_thread.run_sync(lambda: sqs.receive_message(QueueUrl=queue_url, WaitTimeSeconds=20))
    (job,) = (await deployment.gateway.jobs.page(owner=None))[0]
    assert await deployment.gateway.worker.process(job.id, lambda: 900.0)


def test_an_sdks_own_retry_is_the_same_job(queue_deployment: "Deployment", openai: "SandboxState") -> None:
    """The first request was cut off; the second one finds its job."""
    generate(queue_deployment, {"X-Stainless-Retry-Count": "0"})
    queue_deployment.work()

    response = generate(queue_deployment, {"X-Stainless-Retry-Count": "1"})

    assert response.status == 200
    assert len(queue_deployment.jobs()) == len(openai.record) == 1


def test_an_sdks_next_request_is_another_job(queue_deployment: "Deployment") -> None:
    """Two first requests with the same body are meant to be two."""
    for _ in range(2):
        generate(queue_deployment, {"X-Stainless-Retry-Count": "0"})

    assert len(queue_deployment.jobs()) == 2


@pytest.mark.parametrize("headers", [{"X-Stainless-Retry-Count": "1"}, {"Idempotency-Key": "my-key"}])
def test_a_retry_of_what_was_turned_away_is_a_new_job(
    queue_deployment: "Deployment", openai: "SandboxState", headers: dict[str, str]
) -> None:
    """An engine that was busy may have time now; the old error helps nobody."""
    queue_deployment.redeploy(queue_url="")
    openai.knobs.faults.append(Fault(429, {"error": {"message": "slow down"}}, {"Retry-After": "17"}, times=-1))
    first = generate(queue_deployment, {**headers, "X-Stainless-Retry-Count": "0"})
    openai.knobs.faults.clear()

    response = generate(queue_deployment, headers)

    assert (first.status, response.status) == (429, 200)
    assert [job.status for job in queue_deployment.jobs()] == ["succeeded", "failed"]


def test_a_retry_of_what_may_have_cost_is_the_old_error(queue_deployment: "Deployment", openai: "SandboxState") -> None:
    """Nobody pays twice for an SDK that tries again."""
    queue_deployment.redeploy(queue_url="")
    openai.knobs.faults.append(Fault(500, "broken"))
    first = generate(queue_deployment, {"X-Stainless-Retry-Count": "0"})

    response = generate(queue_deployment, {"X-Stainless-Retry-Count": "1"})

    assert (first.status, response.status) == (502, 502)
    assert len(queue_deployment.jobs()) == 1


def test_keys_are_forgotten_by_the_table(queue_deployment: "Deployment") -> None:
    """Job and key have a time to live."""
    generate(queue_deployment, {"Idempotency-Key": "my-key"})

    items = boto3.client("dynamodb").scan(TableName=queue_deployment.gateway.settings.table)["Items"]

    kinds = {item["pk"]["S"].partition("#")[0] for item in items if "expires_at" in item}
    assert kinds >= {"job", "idempotency"}
