"""SIGKILL to the worker's processes in the middle of jobs: real queue, real leases, and processes as Lambda has them.

All of it happens once; the tests look at what came of it. Nobody waits for time to pass: when the jobs' messages have
come back to no avail, because their leases still hold, the leases are let run out.
"""

import asyncio
import base64
import os
import signal
import tempfile
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.backends import get_backend
from moto.s3.models import S3Backend

from sandbox.gateway import Sandbox
from sandbox.template import ACCOUNT, REGION
from tests.integration.sample_images import encoded
from tests.polling import LONG, until

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("killed worker")]

WORKER = "WorkerFunction"


class Gate:
    """Holds the second image of a job back on its way into the bucket, and lets it go lost."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()
        self._put = S3Backend.put_object
        self._images = 0
        self._counting = threading.Lock()

    def put(self, backend: S3Backend, bucket: str, key: str, *rest: Any, **options: Any) -> Any:
        """As `S3Backend.put_object`, with the gate before it."""
        if key.startswith("images/") and not self.opened.is_set():
            with self._counting:
                self._images += 1
                second = self._images == 2
            if second:
                self.reached.set()
                self.opened.wait(120)
                raise ConnectionAbortedError("whoever sent this is dead")
        return self._put(backend, bucket, key, *rest, **options)


@dataclass
class Aftermath:
    """What came of three jobs whose worker was killed.

    Attributes:
        stored_at_death: keys of the images that were in the bucket when the worker died.
        killed: ids of the processes that were killed.
        jobs: each job as its owner sees it at the end, by what it was doing.
        keys: all images in the bucket, by job id.
        while_leased: their statuses when their messages had come back, and their dead worker still had their leases.
        told: how often the account was told of the end of each job.
        asked: how often each engine was asked to make images.
    """

    stored_at_death: list[str] = field(default_factory=list)
    killed: list[int] = field(default_factory=list)
    jobs: dict[str, Any] = field(default_factory=dict)
    while_leased: list[str] = field(default_factory=list)
    keys: dict[str, list[str]] = field(default_factory=dict)
    reported: dict[str, list[str]] = field(default_factory=dict)
    requested: dict[str, int] = field(default_factory=dict)


async def submit(sandbox: Sandbox, path: str, **form: Any) -> str:
    """Have the worker do a request; gives the job's id."""
    headers = {"Prefer": "respond-async"}
    answer = await sandbox.request(
        "POST", f"/api/v1/images/{path}", token=sandbox.user_token, json=form, headers=headers
    )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


async def ended(sandbox: Sandbox, job_id: str) -> Any:
    """The job, as soon as it has ended."""
    while (job := await seen(sandbox, job_id))["status"] in ("queued", "running"):  # noqa: ASYNC110 - another process ends it
        await asyncio.sleep(0.1)
    return job


async def seen(sandbox: Sandbox, job_id: str) -> Any:
    """The job, as its owner sees it."""
    return (await sandbox.request("GET", f"/api/v1/images/jobs/{job_id}", token=sandbox.user_token)).json()


class Deliveries:
    """Of the jobs' messages to the worker: counts those that it is done with, one way or another."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._queue = get_backend("sqs")[ACCOUNT][REGION].queues[sandbox.template.values["JobQueue.QueueName"]]
        self._invoke = sandbox.functions.invoke
        self._ended = 0
        sandbox.functions.invoke = self.invoke  # type: ignore[method-assign]  # with the count beside it

    async def invoke(self, name: str, event: dict[str, Any]) -> Any:
        """As `LambdaService.invoke`."""
        try:
            return await self._invoke(name, event)
        finally:
            self._ended += len(event["Records"]) if name == WORKER else 0

    async def again(self) -> None:
        """Have all messages come back now, and not when their visibility timeout has passed; wait for what follows."""
        messages, ended = list(self._queue._messages), self._ended
        for message in messages:
            message.change_visibility(0)
        await until(lambda: self._ended == ended + len(messages))


def let_leases_run_out(sandbox: Sandbox, job_ids: Iterable[str]) -> None:
    """Have the jobs' leases end now, and not when no invocation can be running any more."""
    for job_id in job_ids:
        boto3.client("dynamodb").update_item(
            TableName=sandbox.settings.table,
            Key={"pk": {"S": f"job#{job_id}"}},
            UpdateExpression="SET lease_until = :now",
            ConditionExpression="attribute_exists(lease_until)",
            ExpressionAttributeValues={":now": {"N": "1"}},
        )


def requested(sandbox: Sandbox, engine: str, ending: str) -> int:
    return sum(one.method == "POST" and one.path.endswith(ending) for one in sandbox.engines[engine].record)


def stored(sandbox: Sandbox) -> list[str]:
    found = boto3.client("s3").list_objects_v2(Bucket=sandbox.settings.bucket, Prefix="images/")
    return [item["Key"] for item in found.get("Contents", [])]


async def kill_in_the_middle(sandbox: Sandbox, gate: Gate) -> Aftermath:
    """Bring one job to between its images, and two to where their engines are at work; then kill the worker."""
    after, deliveries = Aftermath(), Deliveries(sandbox)
    await sandbox.configure(IMAGE_GENERATION_ENGINE="comfyui", IMAGE_GENERATION_MODEL="")
    ids = {"storing": await submit(sandbox, "generations", prompt="a fox", size="64x64", n=2)}
    await until(lambda: gate.reached.is_set() and len(stored(sandbox)) == 1)
    for name in ("comfyui", "openai"):
        sandbox.engines[name].knobs.latency = LONG
    ids["comfyui"] = await submit(sandbox, "generations", prompt="a hen", size="64x64", n=2)
    photo = base64.b64encode(encoded()).decode()
    ids["openai"] = await submit(sandbox, "edit", prompt="a hat", image=photo)
    await until(lambda: requested(sandbox, "comfyui", "/prompt") == 2 and requested(sandbox, "openai", "/edits") == 1)

    after.killed = sandbox.functions.busy_pids(WORKER)
    for process in after.killed:
        os.kill(process, signal.SIGKILL)
    await until(lambda: not sandbox.functions.busy_pids(WORKER))
    after.stored_at_death = stored(sandbox)
    gate.opened.set()
    for name in ("comfyui", "openai"):
        sandbox.engines[name].knobs.latency = 0
    await deliveries.again()
    after.while_leased = [(await seen(sandbox, job_id))["status"] for job_id in ids.values()]
    let_leases_run_out(sandbox, ids.values())
    await deliveries.again()

    after.jobs = {name: await ended(sandbox, job_id) for name, job_id in ids.items()}
    after.keys = {name: [key for key in stored(sandbox) if job_id in key] for name, job_id in ids.items()}
    events = [event["detail"] for event in await sandbox.events()]
    after.reported = {name: [one["status"] for one in events if one["id"] == ids[name]] for name in ids}
    after.requested = {
        "comfyui": requested(sandbox, "comfyui", "/prompt"),
        "openai": requested(sandbox, "openai", "/edits"),
    }
    return after


@pytest.fixture(scope="module")
def aftermath() -> Iterator[Aftermath]:
    """Kill a worker, and wait for what comes of its jobs."""
    gate = Gate()

    async def run() -> Aftermath:
        with tempfile.TemporaryFile() as log:
            async with Sandbox(log=log) as sandbox, asyncio.timeout(240):
                return await kill_in_the_middle(sandbox, gate)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(S3Backend, "put_object", lambda *sent, **options: gate.put(*sent, **options))  # noqa: PLW0108 - a method would not get the backend
        try:
            yield asyncio.run(run())
        finally:
            gate.opened.set()


def test_the_worker_was_killed_at_work(aftermath: Aftermath) -> None:
    """Every process that did the jobs is dead, when one of two images was stored and nothing had ended."""
    assert aftermath.killed
    assert len(aftermath.stored_at_death) == 1
    assert not [process for process in aftermath.killed if Path(f"/proc/{process}").exists()]


def test_a_lease_protects_a_job(aftermath: Aftermath) -> None:
    """As long as the dead worker has it, no other takes the job up: it may be alive."""
    assert aftermath.while_leased == ["running"] * 3


def test_a_job_of_an_engine_that_may_have_been_paid_is_interrupted(aftermath: Aftermath) -> None:
    """The engine is not asked a second time: the job says that it may have cost, and shows nothing."""
    job = aftermath.jobs["openai"]

    assert (job["status"], job["error"]["code"]) == ("failed", "interrupted")
    assert aftermath.requested["openai"] == 1
    assert aftermath.keys["openai"] == []
    assert aftermath.reported["openai"] == ["failed"]


def test_a_run_of_comfyui_is_found_again(aftermath: Aftermath) -> None:
    """The job is taken up by another process, which starts no second run: one set of images, told of once."""
    job = aftermath.jobs["comfyui"]

    assert (job["status"], job["attempts"], len(job["images"])) == ("succeeded", 2, 2)
    assert len(aftermath.keys["comfyui"]) == 2
    assert aftermath.reported["comfyui"] == ["succeeded"]
    assert aftermath.requested["comfyui"] == 2, "one run each for the two jobs of comfyui"


def test_a_job_that_died_between_its_images_has_one_set(aftermath: Aftermath) -> None:
    """The image that was stored is written again in its place, and the one that was lost comes with it."""
    job = aftermath.jobs["storing"]

    assert (job["status"], job["attempts"], len(job["images"])) == ("succeeded", 2, 2)
    assert len(aftermath.keys["storing"]) == 2
    assert set(aftermath.stored_at_death) < set(aftermath.keys["storing"])
    assert aftermath.reported["storing"] == ["succeeded"]
