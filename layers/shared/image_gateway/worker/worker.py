"""Processes queued jobs, one per message. The jobs of one batch of messages run concurrently.

A job's lease lasts as long as the invocation of its holder can. So an expired lease means that the holder died. On an
engine that finds its own run again, the job is attempted again. On any other engine it fails as `interrupted`, because
the engine may have been paid and must not be paid twice.
"""

import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

from image_gateway.aws import Remaining
from image_gateway.config.timeouts import timeout_problem
from image_gateway.engines import REGISTRY
from image_gateway.errors import Busy, InvalidRequest, NotConfigured
from image_gateway.jobs.job_queue import MAX_DELAY_SECONDS, JobQueue
from image_gateway.jobs.store import JobStore
from image_gateway.models.jobs import KINDS, Job, utc_now
from image_gateway.routing.destination import Destination
from image_gateway.routing.plan import Plan
from image_gateway.routing.round import Round
from image_gateway.routing.rounds import Rounds
from image_gateway.routing.router import Router
from image_gateway.worker.attempt_runner import AttemptRunner
from image_gateway.worker.completion import GRACE_SECONDS, MARGIN_SECONDS, JobCompletion
from image_gateway.worker.retry_policy import (
    MAX_ATTEMPTS,
    is_lost,
    is_round_retryable,
    leaves_a_run,
    retry_after,
    retry_delay,
)
from image_gateway.worker.round_runner import COMPLETION_SECONDS, RoundRunner
from image_gateway.worker.slots import Reservation, Slots

logger = logging.getLogger(__name__)

_MAX_LEASING_SECONDS = 60.0
"""How long a job is leased again while it is not known whether the table has its lease."""


class Worker:
    """Leases jobs, runs them, and completes them or puts them back into the queue.

    Args:
        max_invocation_seconds: the function's timeout.
        jobs: where jobs are stored.
        queue: where jobs that must wait are queued.
        router: decides where jobs go.
        rounds: order the targets of routes.
        attempts: runs the attempts.
        completion: completes jobs.
        slots: limits the jobs that run concurrently.
    """

    def __init__(
        self,
        *,
        max_invocation_seconds: float,
        jobs: JobStore,
        queue: JobQueue,
        router: Router,
        rounds: Rounds,
        attempts: AttemptRunner,
        completion: JobCompletion,
        slots: Slots,
    ) -> None:
        self._max_invocation_seconds = max_invocation_seconds
        self._jobs = jobs
        self._queue = queue
        self._router = router
        self._rounds = rounds
        self._attempts = attempts
        self._completion = completion
        self._slots = slots

    async def process(self, job_id: str, remaining: Remaining, *, redelivered: bool = False) -> bool:
        """Process the message of a job.

        Args:
            job_id: the job's id.
            remaining: returns the seconds that the invocation has left.
            redelivered: whether the message was received before. Its receiver may have died before it published the
                completion, so the completion is published again.

        Returns:
            True if the message is processed. False if it must be redelivered, because another worker holds the job or
            the completion could not be published.

        Raises:
            StorageUnavailable: the table, the bucket or the queue failed; the message must be redelivered.
        """
        job = await self._jobs.get(job_id)
        if job is None:
            return True
        if not job.ended:
            processed = await self._start(job, remaining)
        else:
            processed = await self._completion.announce(job, redelivered=redelivered)
        await self._completion.record_in_batch(job, remaining)
        return processed

    async def _start(self, job: Job, remaining: Remaining) -> bool:
        """Run a job if it is due, if the time suffices and if it gets a slot. Otherwise queue it again."""
        if job.left_to_newer_version:
            logger.warning("a job has an unknown status", extra={"job_id": job.id, "status": job.status})
            return True
        if job.not_before and (early := (job.not_before - utc_now()).total_seconds()) > 0:
            await self._queue.send(job.id, owner=job.owner, delay_seconds=early)
            return True
        if job.kind not in KINDS:
            problem = f"The deployed version does not know requests of the kind {job.kind}"
            return await self._completion.fail(job, NotConfigured(problem), remaining)
        try:
            # Without the configuration this invocation can do nothing else, so it waits for it.
            plan = await self._router.of_job(job, lambda: remaining() - COMPLETION_SECONDS)
        except (InvalidRequest, NotConfigured) as error:
            return await self._completion.fail(job, error, remaining)
        round_ = await self._rounds.begin(self._with_problems(plan), max_age_seconds=0)
        try:
            return await self._run_at_one_of(await round_.usable(), job, round_, remaining)
        finally:
            # The job may have been put back, or be another worker's, before its destination was called.
            await round_.give_up()

    async def _run_at_one_of(
        self, usable: Sequence[Destination], job: Job, round_: Round, remaining: Remaining
    ) -> bool:
        """Run a job at the first of some destinations that has a slot. Otherwise queue it again, or fail it."""
        if not usable:
            return await self._completion.fail(job, round_.failed[0][1], remaining)
        required = max(destination.max_seconds for destination in usable) + MARGIN_SECONDS
        if remaining() < required:
            await self._queue.send(job.id, owner=job.owner)
            return True
        async with AsyncExitStack() as held:
            try:
                slot = self._slots.hold(job, *usable, max_wait_seconds=remaining() - required)
                memory = await held.enter_async_context(slot)
            except Busy as busy:
                await self._queue.send(job.id, owner=job.owner, delay_seconds=busy.retry_after or 0)
                return True
            await round_.start(memory.destination)
            runner = RoundRunner(jobs=self._jobs, attempts=self._attempts, slots=self._slots, round_=round_, held=held)
            return await self._run(job.id, runner, memory, remaining, required)

    def _with_problems(self, plan: Plan) -> Plan:
        """Return a plan whose destinations have problems where this worker cannot run jobs."""
        destinations = [replace(each, problem=each.problem or self._problem(each)) for each in plan.destinations]
        return replace(plan, destinations=tuple(destinations))

    def _problem(self, destination: Destination) -> NotConfigured | None:
        if destination.engine not in REGISTRY:
            return NotConfigured(f"The deployed version does not know the engine {destination.engine}")
        if problem := timeout_problem(destination.config, self._max_invocation_seconds):
            return NotConfigured(problem, field="IMAGE_ENGINE_TIMEOUT")
        return None

    async def _run(
        self, job_id: str, runner: RoundRunner, memory: Reservation, remaining: Remaining, required: float
    ) -> bool:
        """Lease a job and attempt it. Afterwards put it back into the queue or complete it."""
        leasing_ends = remaining() - _MAX_LEASING_SECONDS
        lease = await self._jobs.lease(
            job_id,
            runner.holder,
            remaining() + GRACE_SECONDS,
            destination=memory.destination,
            spare=lambda: min(remaining() - required, remaining() - leasing_ends),
        )
        if lease is None:
            return await self._completion.has_ended(job_id)
        job, round_ = lease.job, runner.round
        if is_lost(lease):
            called = await self._attempts.may_have_called(job)
            if called or job.attempts > MAX_ATTEMPTS:
                return await self._completion.complete_lost(lease, runner.holder, remaining, called=called)
        error = await runner.run(job, memory, remaining)
        retryable = error is not None and is_round_retryable(round_, error, job.engine)
        if error is not None and retryable and job.attempts < MAX_ATTEMPTS:
            # What another engine makes would be paid for a second time.
            job.pinned = job.pinned or lease.interrupted_engine is not None or leaves_a_run(error, job.engine)
            await self._put_back(job, runner.holder, retry_after(round_), remaining)
            return True
        if error is not None and leaves_a_run(error, job.engine):
            # No later attempt finds the run, which may go on and cost something.
            error.may_have_cost = True
            job.fail(error)
        processed = await self._completion.complete(job, runner.holder, remaining)
        if error is not None and retryable:
            await self._queue.dead_letter_job(job.id, f"{error.code} at each of {MAX_ATTEMPTS} attempts")
        return processed

    async def _put_back(self, job: Job, holder: str, seconds: float | None, remaining: Remaining) -> None:
        """Return a job to the queue, after a delay; `seconds` is what engines ask for."""
        delay = retry_delay(job.attempts, seconds)
        job.reopen("queued")
        job.uncertain_usd = None
        # A delay that is longer than SQS supports is stored with the job.
        job.not_before = utc_now() + timedelta(seconds=delay) if delay > MAX_DELAY_SECONDS else None
        if await self._completion.record(job, holder, remaining):
            await self._queue.send(job.id, owner=job.owner, delay_seconds=delay)
