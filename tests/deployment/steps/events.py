"""Requests by SQS, EventBridge and files in the bucket, and the events about their ends."""

import json
import uuid
from typing import Any

from tests.deployment.deployment import FOX, Deployment
from tests.deployment.step import body, step


@step
async def a_message_in_the_queue_becomes_a_job(deployment: Deployment) -> None:
    """Sent twice with one id, it is one job, whose owner is `event:sqs`."""
    prompt = f"a fox by SQS {uuid.uuid4()}"
    envelope = json.dumps({"kind": "generation", "id": prompt, "request": {**FOX, "prompt": prompt}})
    for _ in range(2):
        deployment.sqs.send_message(QueueUrl=deployment.queue, MessageBody=envelope, MessageGroupId="a customer")

    job = await _job_of(deployment, "event:sqs", prompt)
    assert (await deployment.until_event(job["id"]))["keys"]
    assert deployment.requests_of(prompt) == 1


@step
async def an_event_on_the_bus_becomes_a_job(deployment: Deployment) -> None:
    """Its end comes back as an event on the same bus."""
    prompt = f"a fox by EventBridge {uuid.uuid4()}"
    entry: Any = {
        "Source": "shop",
        "DetailType": "Image Generation Requested",
        "Detail": json.dumps({"request": {**FOX, "prompt": prompt}}),
    }
    assert deployment.events.put_events(Entries=[entry])["FailedEntryCount"] == 0

    job = await _job_of(deployment, "event:shop", prompt)
    announced = await deployment.until_event(job["id"])
    assert (announced["channel"], announced["owner"], announced["status"]) == ("eventbridge", "event:shop", "succeeded")


@step
async def a_request_file_gets_its_results(deployment: Deployment) -> None:
    """The bucket announces the file. An invalid line is reported, and the others become jobs."""
    name = f"coast-{uuid.uuid4()}"
    lines = [{"kind": "generation", "id": str(number), "request": FOX} for number in range(3)]
    content = "\n".join([*(json.dumps(line) for line in lines), "not JSON"])

    deployment.s3.put_object(Bucket=deployment.bucket, Key=f"requests/{name}.jsonl", Body=content.encode())

    results = await deployment.until_object(f"results/{name}-")
    assert {key: results[key] for key in ("total", "succeeded", "invalid")} == {
        "total": 4,
        "succeeded": 3,
        "invalid": 1,
    }
    for line in results["lines"][:3]:
        assert deployment.s3.head_object(Bucket=deployment.bucket, Key=line["keys"][0])["ContentLength"]


@step
async def a_request_file_whose_jobs_are_canceled_gets_its_results(deployment: Deployment) -> None:
    """The function that cancels the last one tells the worker, which writes the results."""
    name = f"unwanted-{uuid.uuid4()}"
    async with deployment.paused_worker():
        await deployment.queue_file(name, [FOX, FOX])
        queued = await deployment.request("GET", "/api/v1/images/jobs?owner=event:s3&status=queued")
        for job in body(queued)["jobs"]:
            body(await deployment.request("DELETE", f"/api/v1/images/jobs/{job['id']}"))

    results = await deployment.until_object(f"results/{name}-")
    assert (results["total"], results["canceled"]) == (2, 2), results


async def _job_of(deployment: Deployment, owner: str, prompt: str) -> dict[str, Any]:
    """Wait for the job of a prompt, and for its end. Administrators see no prompts: the engine has recorded it."""

    async def job() -> dict[str, Any] | None:
        listed = body(await deployment.request("GET", f"/api/v1/images/jobs?owner={owner}&status=succeeded"))["jobs"]
        return listed[0] if listed and deployment.requests_of(prompt) else None

    return await deployment.until(job, f"a job of {owner} succeeds")
