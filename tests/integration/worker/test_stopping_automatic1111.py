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


def deliver(worker: WorkerDeployment) -> None:
    """Deliver what is queued, once."""
    worker.deliver(*(message.record for message in worker.drain()))


def test_a_job_that_is_too_slow_is_no_burden_for_the_next(
    worker: WorkerDeployment, a1111: SandboxState, handlers_time: LoopTime
) -> None:
    """The server is free when its place is: those after it neither wait inside the server nor fail for it."""
    a1111.knobs.latency = LONG
    (slow,) = enqueue_jobs(worker)

    def run_out_of_time() -> None:
        wait_until(lambda: count_requests(a1111, "/txt2img") == 1)
        handlers_time.advance(20)

    with meanwhile(run_out_of_time):
        worker.work_off()
    a1111.knobs.latency = 0
    quick = enqueue_jobs(worker, 4)
    worker.work_off()

    error = worker.job(slow).error
    assert error
    assert (worker.job(slow).status, error.code, error.may_have_cost) == ("failed", "engine_timeout", True)
    assert [(worker.job(one).status, worker.job(one).attempts) for one in quick] == [("succeeded", 1)] * 4
    assert count_requests(a1111, "/interrupt") == 1


@pytest.mark.usefixtures("soon")
def test_a_canceled_job_is_stopped_by_its_holder(worker: WorkerDeployment, a1111: SandboxState) -> None:
    """It interrupts the server while it still has the place, so the next job is whole."""
    a1111.knobs.latency = LONG
    (canceled,) = enqueue_jobs(worker)

    def cancel_it() -> None:
        wait_until(lambda: count_requests(a1111, "/txt2img") == 1)
        asyncio.run(cancel(worker, canceled))

    with meanwhile(cancel_it):
        deliver(worker)
    a1111.knobs.latency = 0
    (other,) = enqueue_jobs(worker)
    worker.work_off()

    assert (worker.job(canceled).status, worker.job(other).status) == ("canceled", "succeeded")
    assert count_requests(a1111, "/interrupt") == 1
    assert len(worker.keys("images/")) == 1


def test_canceling_a_job_whose_holder_died_hits_nobody_else(worker: WorkerDeployment, a1111: SandboxState) -> None:
    """The server is at another job by then."""
    a1111.knobs.latency = LONG
    dead = orphaned_job(worker, "automatic1111")
    worker.drain()
    (other,) = enqueue_jobs(worker)

    def cancel_the_dead() -> None:
        wait_until(lambda: count_requests(a1111, "/txt2img") == 1)
        asyncio.run(cancel(worker, dead))
        a1111.knobs.latency = 0

    with meanwhile(cancel_the_dead):
        deliver(worker)

    assert (worker.job(dead).status, worker.job(other).status) == ("canceled", "succeeded")
    assert count_requests(a1111, "/interrupt") == 0


def test_a_worker_whose_time_is_up_does_not_wait_for_a_server_to_rest(
    worker: WorkerDeployment, a1111: SandboxState, handlers_time: LoopTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job's end has to be recorded while there is time: the server is not asked for as long as it may take."""
    monkeypatch.setattr("image_gateway.worker.worker._COMPLETION_SECONDS", 290)
    a1111.knobs.latency = LONG
    a1111.knobs.faults = [Fault(200, {"state": {"job_count": 1}}, times=-1, path="/progress")]
    (job_id,) = enqueue_jobs(worker)

    def run_out_of_time() -> None:
        wait_until(lambda: count_requests(a1111, "/txt2img") == 1)
        handlers_time.advance(10)
        wait_until(looks)
        handlers_time.advance(5)

    def looks() -> int:
        return sum(one.path.endswith("/progress") for one in a1111.record)

    with meanwhile(run_out_of_time):
        worker.work_off()

    error = worker.job(job_id).error
    assert error
    assert (error.code, error.may_have_cost) == ("engine_timeout", True)
    assert count_requests(a1111, "/interrupt") == 1
    assert looks() < len(stop._WAITS)
