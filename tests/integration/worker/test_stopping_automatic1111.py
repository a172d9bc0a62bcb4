"""Jobs on AUTOMATIC1111 that are canceled or too slow: the server is interrupted while the job holds its slot."""

import asyncio

import pytest

from image_gateway.engines.automatic1111 import stop
from sandbox.engines.state import Fault, SandboxState
from tests.integration.worker.cancellation import cancel
from tests.integration.worker.queued_jobs import count_requests, enqueue_jobs, orphaned_job
from tests.integration.worker_deployment import WorkerDeployment
from tests.loop_time import LoopTime
from tests.polling import LONG, meanwhile, wait_until


def deliver_once(worker: WorkerDeployment) -> None:
    """Deliver what is queued, once."""
    worker.deliver(*(message.record for message in worker.drain()))


def test_a_timeout_interrupts_the_server_before_the_next_job_starts(
    worker: WorkerDeployment, automatic1111: SandboxState, event_loop_time: LoopTime
) -> None:
    """Later jobs neither wait inside the server nor fail because of the slow one."""
    automatic1111.knobs.latency = LONG
    (slow,) = enqueue_jobs(worker)

    def advance_time() -> None:
        wait_until(lambda: count_requests(automatic1111, "/txt2img") == 1)
        event_loop_time.advance(20)

    with meanwhile(advance_time):
        worker.process_queue()
    automatic1111.knobs.latency = 0
    quick = enqueue_jobs(worker, 4)
    worker.process_queue()

    error = worker.job(slow).error
    assert error
    assert (worker.job(slow).status, error.code, error.may_have_cost) == ("failed", "engine_timeout", True)
    assert [(worker.job(job_id).status, worker.job(job_id).attempts) for job_id in quick] == [("succeeded", 1)] * 4
    assert count_requests(automatic1111, "/interrupt") == 1


@pytest.mark.usefixtures("fast_cancel_watch")
def test_a_canceled_job_is_stopped_by_its_holder(worker: WorkerDeployment, automatic1111: SandboxState) -> None:
    """The holder interrupts the server while it holds the slot, so that the next job is not affected."""
    automatic1111.knobs.latency = LONG
    (canceled,) = enqueue_jobs(worker)

    def cancel_running_job() -> None:
        wait_until(lambda: count_requests(automatic1111, "/txt2img") == 1)
        asyncio.run(cancel(worker, canceled))

    with meanwhile(cancel_running_job):
        deliver_once(worker)
    automatic1111.knobs.latency = 0
    (other,) = enqueue_jobs(worker)
    worker.process_queue()

    assert (worker.job(canceled).status, worker.job(other).status) == ("canceled", "succeeded")
    assert count_requests(automatic1111, "/interrupt") == 1
    assert len(worker.keys("images/")) == 1


def test_canceling_an_orphaned_job_does_not_interrupt_another(
    worker: WorkerDeployment, automatic1111: SandboxState
) -> None:
    """The server works on another job by then."""
    automatic1111.knobs.latency = LONG
    orphan = orphaned_job(worker, "automatic1111")
    worker.drain()
    (other,) = enqueue_jobs(worker)

    def cancel_orphan() -> None:
        wait_until(lambda: count_requests(automatic1111, "/txt2img") == 1)
        asyncio.run(cancel(worker, orphan))
        automatic1111.knobs.latency = 0

    with meanwhile(cancel_orphan):
        deliver_once(worker)

    assert (worker.job(orphan).status, worker.job(other).status) == ("canceled", "succeeded")
    assert count_requests(automatic1111, "/interrupt") == 0


def test_a_worker_without_time_does_not_wait_for_the_server_to_become_idle(
    worker: WorkerDeployment, automatic1111: SandboxState, event_loop_time: LoopTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job's end must be recorded in time, so that fewer progress requests are sent."""
    monkeypatch.setattr("image_gateway.worker.round_runner.COMPLETION_SECONDS", 290)
    automatic1111.knobs.latency = LONG
    automatic1111.knobs.faults = [Fault(200, {"state": {"job_count": 1}}, times=-1, path="/progress")]
    (job_id,) = enqueue_jobs(worker)

    def advance_time() -> None:
        wait_until(lambda: count_requests(automatic1111, "/txt2img") == 1)
        event_loop_time.advance(10)
        wait_until(count_progress_requests)
        event_loop_time.advance(5)

    def count_progress_requests() -> int:
        return sum(request.path.endswith("/progress") for request in automatic1111.record)

    with meanwhile(advance_time):
        worker.process_queue()

    error = worker.job(job_id).error
    assert error
    assert (error.code, error.may_have_cost) == ("engine_timeout", True)
    assert count_requests(automatic1111, "/interrupt") == 1
    assert count_progress_requests() < len(stop._POLL_SECONDS)
