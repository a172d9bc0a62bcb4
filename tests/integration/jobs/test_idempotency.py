"""Repeated requests that are the same job: by their `Idempotency-Key`, or as an SDK's retry."""

from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import httpx
import pytest

from functions.generate.app import app as generate_app
from sandbox.engines.state import Fault
from tests.aws_clients import aws_client
from tests.integration.jobs.generation import GENERATIONS, generate

if TYPE_CHECKING:
    from sandbox.engines.state import SandboxState
    from tests.integration.deployment import Deployment


def test_the_same_key_is_the_same_job(queue_deployment: "Deployment", openai: "SandboxState") -> None:
    """Before and after the job has finished."""
    key = {"Idempotency-Key": "my-key"}
    generate(queue_deployment, key)
    generate(queue_deployment, key)
    queue_deployment.process_queue()

    response = generate(queue_deployment, key)

    assert response.status == 200
    assert len(queue_deployment.jobs()) == len(openai.record) == 1


def test_the_same_key_with_another_body_is_refused(queue_deployment: "Deployment") -> None:
    """It is a mistake of the caller."""
    generate(queue_deployment, {"Idempotency-Key": "my-key"})

    response = generate(queue_deployment, {"Idempotency-Key": "my-key"}, n=2)

    assert (response.status, response.json["field"]) == (422, "Idempotency-Key")
    assert len(queue_deployment.jobs()) == 1


def test_the_same_key_of_two_owners_is_two_jobs(queue_deployment: "Deployment") -> None:
    """A key is valid for its owner only."""
    for role in ("user", "stranger"):
        queue_deployment.call(
            "POST", GENERATIONS, {"prompt": "a fox"}, role=role, headers={"Idempotency-Key": "my-key"}
        )

    assert len({job.owner for job in queue_deployment.jobs()}) == 2


@pytest.mark.anyio
@pytest.mark.parametrize("inline_seconds", [0, 24], ids=["queued", "inline"])
async def test_twenty_parallel_requests_with_one_key_are_one_job(
    queue_deployment: "Deployment", openai: "SandboxState", inline_seconds: float
) -> None:
    """The engine is called once, and all requests get the same response."""
    # A gateway for this test's own event loop.
    settings = queue_deployment.gateway.settings.model_copy(
        update={"inline_seconds": inline_seconds, "wait_seconds": 20}
    )
    queue_deployment.gateway = type(queue_deployment.gateway)(settings)
    queue_deployment.activate()
    headers = {"Authorization": f"Bearer {queue_deployment.tokens['user']}", "Idempotency-Key": "my-key"}
    responses: list[httpx.Response] = []
    transport = httpx.ASGITransport(generate_app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", timeout=60) as client:

        async def send() -> None:
            responses.append(await client.post(GENERATIONS, json={"prompt": "a fox"}, headers=headers))

        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(send)
            if not inline_seconds:
                tasks.start_soon(do_first_job, queue_deployment)
    await queue_deployment.gateway.aclose()

    assert {response.status_code for response in responses} == {200}
    assert len({response.json()[0]["id"] for response in responses}) == len(openai.record) == 1


async def do_first_job(deployment: "Deployment") -> None:
    """Wait for the first queued job and run it."""
    sqs, queue_url = aws_client("sqs"), deployment.gateway.settings.queue_url
    await anyio.to_thread.run_sync(lambda: sqs.receive_message(QueueUrl=queue_url, WaitTimeSeconds=20))
    (job,) = (await deployment.gateway.jobs.page(owner=None))[0]
    assert await deployment.gateway.worker_parts.worker.process(job.id, lambda: 900.0)


def test_an_sdk_retry_is_the_same_job(queue_deployment: "Deployment", openai: "SandboxState") -> None:
    """The first request was cut off; the retry finds its job."""
    generate(queue_deployment, {"X-Stainless-Retry-Count": "0"})
    queue_deployment.process_queue()

    response = generate(queue_deployment, {"X-Stainless-Retry-Count": "1"})

    assert response.status == 200
    assert len(queue_deployment.jobs()) == len(openai.record) == 1


def test_two_first_requests_of_an_sdk_are_two_jobs(queue_deployment: "Deployment") -> None:
    """The same body with a retry count of 0 is a new request."""
    for _ in range(2):
        generate(queue_deployment, {"X-Stainless-Retry-Count": "0"})

    assert len(queue_deployment.jobs()) == 2


@pytest.mark.parametrize("headers", [{"X-Stainless-Retry-Count": "1"}, {"Idempotency-Key": "my-key"}])
def test_a_retry_after_a_rejection_without_cost_is_a_new_job(
    queue_deployment: "Deployment", openai: "SandboxState", headers: dict[str, str]
) -> None:
    """An engine that was busy may have time now."""
    queue_deployment.redeploy(queue_url="")
    openai.knobs.faults.append(Fault(429, {"error": {"message": "slow down"}}, {"Retry-After": "17"}, times=-1))
    first = generate(queue_deployment, {**headers, "X-Stainless-Retry-Count": "0"})
    openai.knobs.faults.clear()

    response = generate(queue_deployment, headers)

    assert (first.status, response.status) == (429, 200)
    assert [job.status for job in queue_deployment.jobs()] == ["succeeded", "failed"]


def test_a_retry_after_a_failure_that_may_have_cost_returns_the_first_error(
    queue_deployment: "Deployment", openai: "SandboxState"
) -> None:
    """Nobody pays twice because an SDK retries."""
    queue_deployment.redeploy(queue_url="")
    openai.knobs.faults.append(Fault(500, "broken"))
    first = generate(queue_deployment, {"X-Stainless-Retry-Count": "0"})

    response = generate(queue_deployment, {"X-Stainless-Retry-Count": "1"})

    assert (first.status, response.status) == (502, 502)
    assert len(queue_deployment.jobs()) == 1


def test_jobs_and_keys_expire(queue_deployment: "Deployment") -> None:
    """Their items in the table have a time to live."""
    generate(queue_deployment, {"Idempotency-Key": "my-key"})

    items = aws_client("dynamodb").scan(TableName=queue_deployment.gateway.settings.table)["Items"]

    kinds = {item["pk"]["S"].partition("#")[0] for item in items if "expires_at" in item}
    assert kinds >= {"job", "idempotency"}
