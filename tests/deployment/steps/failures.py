"""What is given up: dead letters, messages that came back too often, and the hourly recovery of jobs."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from image_gateway.ids import derived_job_id
from image_gateway.images.store import image_folder
from image_gateway.models.jobs import Job
from sandbox.engines.painter import paint
from tests.deployment.deployment import FOX, Deployment
from tests.deployment.step import step

GENERATIONS = "/api/v1/images/generations"
QUEUED = {"Prefer": "respond-async"}


@step
async def a_message_that_is_no_request_is_kept_as_a_dead_letter(deployment: Deployment) -> None:
    """The worker sends it to the dead-letter queue with the reason; the dead-letter function stores it."""
    text = f"not a request {uuid.uuid4()}"
    deployment.sqs.send_message(QueueUrl=deployment.queue, MessageBody=text)

    async def letter() -> dict[str, Any] | None:
        objects = deployment.s3.list_objects_v2(Bucket=deployment.bucket, Prefix="dead-letters/").get("Contents", [])
        letters = [deployment.read_json(item["Key"]) for item in objects]
        return next((letter for letter in letters if letter["body"] == text), None)

    assert (await deployment.until(letter, "the dead letter is stored"))["reason"]


@step
async def a_job_whose_message_came_back_too_often_is_failed(deployment: Deployment) -> None:
    """After five receives, the queue's redrive policy moves it; the dead-letter function fails the job."""
    async with deployment.paused_worker():
        job = await deployment.post(GENERATIONS, {**FOX, "prompt": "a fox without a worker"}, 202, headers=QUEUED)
        await deployment.give_up_messages()
        failed = await deployment.ended(job["id"], "failed")

    assert failed["error"]["code"] == "interrupted"
    assert (await deployment.until_event(job["id"]))["status"] == "failed"


@step
async def a_given_up_job_keeps_the_image_that_it_has_stored(deployment: Deployment) -> None:
    """Its worker died after the image was stored and before the record was written."""
    job_id = await _stored_job(deployment, timedelta(minutes=5), "died")
    image = paint("a stored fox", 64, 64)
    deployment.s3.put_object(Bucket=deployment.bucket, Key=f"{image_folder(job_id)}0.png", Body=image)

    deployment.sqs.send_message(QueueUrl=deployment.dead_letters, MessageBody=json.dumps({"job": job_id}))

    assert len((await deployment.ended(job_id))["images"]) == 1


@step
async def an_end_that_was_not_announced_is_announced_by_a_dead_letter(deployment: Deployment) -> None:
    """The bus had refused the event."""
    job_id = await _stored_job(deployment, timedelta(minutes=5), "not announced")

    deployment.sqs.send_message(QueueUrl=deployment.dead_letters, MessageBody=json.dumps({"job": job_id}))

    assert (await deployment.until_event(job_id))["status"] == "succeeded"


@step
async def a_request_file_whose_jobs_are_given_up_gets_its_results(deployment: Deployment) -> None:
    """The dead-letter function fails the jobs, and writes the results after the last one."""
    name = f"lost-{uuid.uuid4()}"
    async with deployment.paused_worker():
        await deployment.queue_file(name, [FOX, FOX])
        await deployment.give_up_messages()
        results = await deployment.until_object(f"results/{name}-")

    assert (results["total"], results["failed"]) == (2, 2), results


@step
async def lost_jobs_are_found_by_the_hourly_recovery(deployment: Deployment) -> None:
    """A job without a message runs. One whose function died is interrupted. An end is announced."""
    lost = await _stored_job(deployment, timedelta(minutes=90), "queued")
    orphan = await _stored_job(deployment, timedelta(minutes=91), "died")
    unannounced = await _stored_job(deployment, timedelta(minutes=92), "not announced")

    # What EventBridge sends for a schedule. The emulator runs schedules too, but nobody waits for an hour.
    fields = {"id": str(uuid.uuid4()), "source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}
    event = {**fields, "time": datetime.now(UTC).isoformat()}
    deployment.sqs.send_message(QueueUrl=deployment.queue, MessageBody=json.dumps(event))

    await deployment.ended(lost)
    assert (await deployment.ended(orphan, "failed"))["error"]["code"] == "interrupted"
    assert (await deployment.until_event(unannounced))["status"] == "succeeded"


async def _stored_job(deployment: Deployment, age: timedelta, state: Literal["queued", "died", "not announced"]) -> str:
    """Store a job that has no message: queued, run by a function that died, or ended and not announced."""
    job_id = derived_job_id(datetime.now(UTC) - age, str(uuid.uuid4()))
    job = Job(id=job_id, kind="generation", owner="token:lost", request=FOX)
    lease: dict[str, Any] = {}
    if state == "died":
        job.engine = "openai"
        lease = {"lease_seconds": -10, "holder": "a function that died"}
    elif state == "not announced":
        job.status, job.announced = "succeeded", False
    async with deployment.stores() as gateway:
        await gateway.jobs.create(job, **lease)
    return job_id
