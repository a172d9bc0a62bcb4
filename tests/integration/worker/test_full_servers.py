"""Jobs for a server whose slots another worker holds."""

import time

import pytest

from image_gateway.container import Gateway
from image_gateway.event_loop import run
from image_gateway.slots.occupancy import LEASE_SECONDS, Holder
from image_gateway.slots.store import SlotStore, Taken
from sandbox.engines.state import SandboxState
from tests.counting_aws import CountingAws
from tests.integration.worker.queued_jobs import count_requests, enqueue_jobs
from tests.integration.worker_deployment import WorkerDeployment


def other_holder(started: float = 0) -> Holder:
    """Another worker, whose job started so many seconds ago."""
    now = time.time()
    return Holder("other", "token:1", "its-job", now - started, now - started, 1, now + LEASE_SECONDS)


@pytest.fixture
def counting_aws(worker: WorkerDeployment) -> CountingAws:
    """The worker's AWS."""
    counting = CountingAws(worker.gateway.aws)
    worker.gateway = Gateway(worker.gateway.settings, counting)
    return counting


@pytest.fixture
def store(worker: WorkerDeployment) -> SlotStore:
    """The slots as another worker sees them."""
    return SlotStore(worker.gateway.aws, worker.gateway.settings)


@pytest.fixture
def server(worker: WorkerDeployment, automatic1111: SandboxState, store: SlotStore) -> str:
    """The name of a server whose only slot another worker holds, for a job that has run for 5 s."""
    name = f"automatic1111#{run(worker.gateway.configs.read()).config.AUTOMATIC1111_BASE_URL}"
    holder = other_holder(started=5)
    assert isinstance(run(store.take(name, 1, holder)), Taken)
    run(store.release(name, "other", 65))
    assert isinstance(run(store.take(name, 1, holder)), Taken)
    return name


def test_ten_jobs_for_a_full_server_go_back_to_the_queue(
    worker: WorkerDeployment, automatic1111: SandboxState, counting_aws: CountingAws, server: str, store: SlotStore
) -> None:
    """That costs one write, and a read for each job. They come back when the slot is free, for one attempt each."""
    job_ids = enqueue_jobs(worker, 10)
    records = [message.record for message in worker.drain()]
    counting_aws.operations.clear()

    assert worker.deliver(*records) == []

    messages = worker.drain()
    assert {name: counting_aws.calls[name] for name in ("UpdateItem", "PutItem", "GetItem", "SendMessage")} == {
        "UpdateItem": 1, "PutItem": 0, "GetItem": 10, "SendMessage": 10,
    }  # fmt: skip
    assert all(0.8 * 60 <= message.delay <= 1.25 * 60 for message in messages)
    assert {message.group for message in messages} == {"token:1"}
    assert {(worker.job(job_id).status, worker.job(job_id).attempts) for job_id in job_ids} == {("queued", 0)}
    assert automatic1111.record == []

    run(store.release(server, "other", 65))
    worker.gateway = Gateway(worker.gateway.settings, counting_aws)
    worker.deliver(*(message.record for message in messages))
    assert {(worker.job(job_id).status, worker.job(job_id).attempts) for job_id in job_ids} == {("succeeded", 1)}
    assert (count_requests(automatic1111, "/txt2img"), automatic1111.max_in_flight) == (10, 1)
    assert worker.drain() == []


def test_the_slot_of_a_worker_is_free_after_its_last_job(
    worker: WorkerDeployment, automatic1111: SandboxState, store: SlotStore
) -> None:
    """Whether jobs succeed or fail: another worker takes the slot at once."""
    enqueue_jobs(worker, 2)
    worker.process_queue()

    name = f"automatic1111#{run(worker.gateway.configs.read()).config.AUTOMATIC1111_BASE_URL}"
    taken = run(store.take(name, 1, other_holder()))
    assert isinstance(taken, Taken)
    assert [each.id for each in taken.occupancy.holders] == ["other"]
