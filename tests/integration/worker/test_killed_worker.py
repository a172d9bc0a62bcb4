"""SIGKILL to the worker's processes while jobs run: with a real queue, real leases, and processes as on Lambda.

The worker is killed once, and every test checks the outcome. No test waits for time to pass: when the jobs' messages
have been redelivered without effect, because the leases are still valid, the leases are made to expire. The same is
done with the slot that the worker held.
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

import pytest
from moto.backends import get_backend
from moto.s3.models import S3Backend

from sandbox.gateway import Sandbox
from sandbox.template import ACCOUNT, REGION
from tests.aws_clients import aws_client
from tests.integration.sample_images import encoded
from tests.polling import LONG, until

pytestmark = [pytest.mark.timeout(300), pytest.mark.xdist_group("killed worker")]

WORKER = "WorkerFunction"
ENGINES = ("comfyui", "openai", "automatic1111")


class Gate:
    """Holds back the second image of a job on its way into the bucket, and fails it when opened."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.opened = threading.Event()
        self._put = S3Backend.put_object
        self._images = 0
        self._counting = threading.Lock()

    def put(self, backend: S3Backend, bucket: str, key: str, *rest: Any, **options: Any) -> Any:
        """Store an object as `S3Backend.put_object` does, after the gate."""
        if key.startswith("images/") and not self.opened.is_set():
            with self._counting:
                self._images += 1
                is_second = self._images == 2
            if is_second:
                self.reached.set()
                self.opened.wait(120)
                raise ConnectionAbortedError("the sender of this request is dead")
        return self._put(backend, bucket, key, *rest, **options)


@dataclass
class Outcome:
    """The outcome of four jobs whose worker was killed.

    Attributes:
        stored_at_death: keys of the images that were in the bucket when the worker died.
        killed: ids of the processes that were killed.
        slots_at_death: the jobs that had a slot of a server when the worker died, by what they were doing.
        next: the job that then got the slot.
        jobs: each finished job as its owner sees it, by what it was doing.
        keys: the keys of each job's images in the bucket.
        while_leased: the jobs' statuses after redelivery, while the dead worker's leases were still valid.
        reported: the statuses of each job's events.
        requested: the number of image requests to each engine.
    """

    stored_at_death: list[str] = field(default_factory=list)
    killed: list[int] = field(default_factory=list)
    slots_at_death: list[str] = field(default_factory=list)
    next: Any = None
    jobs: dict[str, Any] = field(default_factory=dict)
    while_leased: list[str] = field(default_factory=list)
    keys: dict[str, list[str]] = field(default_factory=dict)
    reported: dict[str, list[str]] = field(default_factory=dict)
    requested: dict[str, int] = field(default_factory=dict)


async def submit(sandbox: Sandbox, path: str, **form: Any) -> str:
    """Queue a request for the worker; return the job's id."""
    headers = {"Prefer": "respond-async"}
    response = await sandbox.request(
        "POST", f"/api/v1/images/{path}", token=sandbox.user_token, json=form, headers=headers
    )
    assert response.status_code == 202, response.text
    return str(response.json()["id"])


async def finished_job(sandbox: Sandbox, job_id: str) -> Any:
    """Wait until the job has finished; return it."""
    while (job := await read_job(sandbox, job_id))["status"] in ("queued", "running"):  # noqa: ASYNC110 - another process finishes it
        await asyncio.sleep(0.1)
    return job


async def read_job(sandbox: Sandbox, job_id: str) -> Any:
    """Return the job as its owner sees it."""
    return (await sandbox.request("GET", f"/api/v1/images/jobs/{job_id}", token=sandbox.user_token)).json()


class Deliveries:
    """Deliveries of the jobs' messages to the worker, counted when an invocation has ended."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._queue = get_backend("sqs")[ACCOUNT][REGION].queues[sandbox.template.values["JobQueue.QueueName"]]
        self._invoke = sandbox.functions.invoke
        self._invoked = 0
        self._handled = 0
        sandbox.functions.invoke = self.invoke  # type: ignore[method-assign]  # to count as well

    async def invoke(self, name: str, event: dict[str, Any]) -> Any:
        """Invoke a function as `LambdaService.invoke` does."""
        messages = len(event["Records"]) if name == WORKER else 0
        self._invoked += messages
        try:
            return await self._invoke(name, event)
        finally:
            self._handled += messages

    async def redeliver(self) -> None:
        """Redeliver all messages now, before their visibility timeout; wait until they are handled."""
        await until(lambda: self._handled == self._invoked)
        messages, handled = list(self._queue._messages), self._handled
        for message in messages:
            message.change_visibility(0)
        await until(lambda: self._handled >= handled + len(messages))


def expire_leases(sandbox: Sandbox, job_ids: Iterable[str]) -> None:
    """Let the jobs' leases expire now, before the end of the longest possible invocation."""
    for job_id in job_ids:
        aws_client("dynamodb").update_item(
            TableName=sandbox.settings.table,
            Key={"pk": {"S": f"job#{job_id}"}},
            UpdateExpression="SET lease_until = :now",
            ConditionExpression="attribute_exists(lease_until)",
            ExpressionAttributeValues={":now": {"N": "1"}},
        )


def slot_holders(sandbox: Sandbox) -> dict[str, Any]:
    """Return the holders of the slots of the automatic1111 server, as they are in the table."""
    item = aws_client("dynamodb").get_item(TableName=sandbox.settings.table, Key=slots_key(sandbox))["Item"]
    return dict(item["holders"]["M"])


def slots_key(sandbox: Sandbox) -> dict[str, Any]:
    return {"pk": {"S": f"slots#automatic1111#{sandbox.engine_urls['automatic1111']}"}}


def expire_slots(sandbox: Sandbox) -> None:
    """Let the slots' leases and probations end now, and not after about a minute."""
    for holder in slot_holders(sandbox):
        aws_client("dynamodb").update_item(
            TableName=sandbox.settings.table,
            Key=slots_key(sandbox),
            UpdateExpression="SET holders.#holder.lease_until = :now, holders.#holder.suspected_at = :now",
            ExpressionAttributeNames={"#holder": holder},
            ExpressionAttributeValues={":now": {"N": "1"}},
        )


def count_requests(sandbox: Sandbox, engine: str, ending: str) -> int:
    """Return the number of POST requests that an engine received on paths with this ending."""
    return sum(request.method == "POST" and request.path.endswith(ending) for request in sandbox.engines[engine].record)


def stored_images(sandbox: Sandbox) -> list[str]:
    """Return the keys of all images in the bucket."""
    found = aws_client("s3").list_objects_v2(Bucket=sandbox.settings.bucket, Prefix="images/")
    return [item["Key"] for item in found.get("Contents", [])]


async def kill_while_jobs_run(sandbox: Sandbox, gate: Gate) -> Outcome:
    """Bring one job to between its images, and three to where their engines work; then kill the worker."""
    outcome, deliveries = Outcome(), Deliveries(sandbox)
    await sandbox.configure(IMAGE_GENERATION_ENGINE="comfyui", IMAGE_GENERATION_MODEL="")
    ids = {"storing": await submit(sandbox, "generations", prompt="a fox", size="64x64", n=2)}
    await until(lambda: gate.reached.is_set() and len(stored_images(sandbox)) == 1)
    for name in ENGINES:
        sandbox.engines[name].knobs.latency = LONG
    ids["comfyui"] = await submit(sandbox, "generations", prompt="a hen", size="64x64", n=2)
    photo = base64.b64encode(encoded()).decode()
    ids["openai"] = await submit(sandbox, "edit", prompt="a hat", image=photo)
    await until(
        lambda: count_requests(sandbox, "comfyui", "/prompt") == 2 and count_requests(sandbox, "openai", "/edits") == 1
    )
    await sandbox.configure(IMAGE_GENERATION_ENGINE="automatic1111")
    ids["automatic1111"] = await submit(sandbox, "generations", prompt="an owl", size="64x64")
    await until(lambda: count_requests(sandbox, "automatic1111", "/txt2img") == 1)
    await sandbox.configure(IMAGE_GENERATION_ENGINE="comfyui")

    outcome.killed = sandbox.functions.busy_pids(WORKER)
    for process in outcome.killed:
        os.kill(process, signal.SIGKILL)
    await until(lambda: not sandbox.functions.busy_pids(WORKER))
    outcome.stored_at_death = stored_images(sandbox)
    holders = [holder["M"]["job_id"]["S"] for holder in slot_holders(sandbox).values()]
    outcome.slots_at_death = [name for name, job_id in ids.items() if job_id in holders]
    gate.opened.set()
    for name in ENGINES:
        sandbox.engines[name].knobs.latency = 0
    await deliveries.redeliver()
    outcome.while_leased = [(await read_job(sandbox, job_id))["status"] for job_id in ids.values()]
    expire_leases(sandbox, ids.values())
    expire_slots(sandbox)
    await deliveries.redeliver()

    outcome.jobs = {name: await finished_job(sandbox, job_id) for name, job_id in ids.items()}
    outcome.keys = {name: [key for key in stored_images(sandbox) if job_id in key] for name, job_id in ids.items()}
    events = [event["detail"] for event in await sandbox.events()]
    outcome.reported = {name: [event["status"] for event in events if event["id"] == ids[name]] for name in ids}
    await sandbox.configure(IMAGE_GENERATION_ENGINE="automatic1111")
    outcome.next = await finished_job(sandbox, await submit(sandbox, "generations", prompt="an elk", size="64x64"))
    outcome.requested = {
        "comfyui": count_requests(sandbox, "comfyui", "/prompt"),
        "openai": count_requests(sandbox, "openai", "/edits"),
        "automatic1111": count_requests(sandbox, "automatic1111", "/txt2img"),
    }
    return outcome


@pytest.fixture(scope="module")
def outcome() -> Iterator[Outcome]:
    """Kill a worker, and wait for the outcome of its jobs."""
    gate = Gate()

    async def run() -> Outcome:
        with tempfile.TemporaryFile() as log:
            async with Sandbox(log=log) as sandbox, asyncio.timeout(240):
                return await kill_while_jobs_run(sandbox, gate)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(S3Backend, "put_object", lambda *sent, **options: gate.put(*sent, **options))  # noqa: PLW0108 - a bound method would not receive the backend
        try:
            yield asyncio.run(run())
        finally:
            gate.opened.set()


def test_the_worker_was_killed_while_jobs_ran(outcome: Outcome) -> None:
    """All its processes are dead; one of two images was stored, and no job had finished."""
    assert outcome.killed
    assert len(outcome.stored_at_death) == 1
    assert not [process for process in outcome.killed if Path(f"/proc/{process}").exists()]


def test_a_leased_job_is_not_taken_over(outcome: Outcome) -> None:
    """While the dead worker's lease is valid, no other worker takes the job: its holder may be alive."""
    assert outcome.while_leased == ["running"] * 4


def test_a_job_on_an_engine_that_charges_is_interrupted(outcome: Outcome) -> None:
    """The engine is not called again: the job may have cost, and has no images."""
    job = outcome.jobs["openai"]

    assert (job["status"], job["error"]["code"]) == ("failed", "interrupted")
    assert outcome.requested["openai"] == 1
    assert outcome.keys["openai"] == []
    assert outcome.reported["openai"] == ["failed"]


def test_the_slot_of_a_killed_worker_is_taken_when_its_lease_has_run_out(outcome: Outcome) -> None:
    """Its job is interrupted and not sent again. The next job gets the slot, and succeeds at its first attempt."""
    job = outcome.jobs["automatic1111"]

    assert outcome.slots_at_death == ["automatic1111"]
    assert (job["status"], job["error"]["code"]) == ("failed", "interrupted")
    assert (outcome.next["status"], outcome.next["attempts"]) == ("succeeded", 1)
    assert outcome.requested["automatic1111"] == 2


def test_a_run_on_comfyui_is_found_again(outcome: Outcome) -> None:
    """Another process takes the job over and starts no second run: there is one set of images and one event."""
    job = outcome.jobs["comfyui"]

    assert (job["status"], job["attempts"], len(job["images"])) == ("succeeded", 2, 2)
    assert len(outcome.keys["comfyui"]) == 2
    assert outcome.reported["comfyui"] == ["succeeded"]
    assert outcome.requested["comfyui"] == 2, "one run each for the two jobs of comfyui"


def test_a_job_killed_between_its_images_has_one_set_of_images(outcome: Outcome) -> None:
    """The stored image is written again under the same key, and the lost one is added."""
    job = outcome.jobs["storing"]

    assert (job["status"], job["attempts"], len(job["images"])) == ("succeeded", 2, 2)
    assert len(outcome.keys["storing"]) == 2
    assert set(outcome.stored_at_death) < set(outcome.keys["storing"])
    assert outcome.reported["storing"] == ["succeeded"]
