"""Does queued jobs, one message each, as many at once as a batch holds.

A holder's lease lasts as long as its invocation can, so a job whose lease ran out has lost its holder. On an engine
that finds its own run again it is taken up once more; on any other it fails as `interrupted`, because the engine may
have been paid and must not be paid twice.
"""

import asyncio
import logging
import random
import uuid
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta

from image_gateway.batches.tracking import BatchTracker
from image_gateway.config.engine_choice import engine_for_job
from image_gateway.config.merge import max_engine_seconds, timeout_problem
from image_gateway.config.store import ConfigStore
from image_gateway.engines import REGISTRY
from image_gateway.errors import Busy, EngineTimeout, GatewayError, Interrupted, NotConfigured, StorageUnavailable
from image_gateway.jobs.attempt import finish_with_retries, run_attempt
from image_gateway.jobs.events import JobEvents
from image_gateway.jobs.execution import JobExecutor
from image_gateway.jobs.input_loading import JobInputs
from image_gateway.jobs.job_queue import MAX_DELAY_SECONDS, JobQueue
from image_gateway.jobs.store import JobStore, Lease
from image_gateway.models.jobs import Job, utc_now
from image_gateway.worker.cancel_watch import CancelWatch
from image_gateway.worker.slots import Slots

logger = logging.getLogger(__name__)

ATTEMPTS = 5
"""How often a job is tried whose engine is away or asks to slow down."""
MARGIN_SECONDS = 15.0
"""What a job needs beyond its engine's timeout: to store its images and its end."""
_TO_END_SECONDS = 8.0
_TO_STOP_SECONDS = 5.0
_FIRST_DELAY = 2.0
_LONGEST_WAIT = 86_400.0
_PLACE_DELAY = 5.0
_GRACE_SECONDS = 2.0

Remaining = Callable[[], float]
"""Seconds that the invocation has left."""


class Worker:
    """Takes jobs up, does them, and ends them or puts them back.

    Args:
        longest_seconds: how long an invocation can take.
        jobs: where jobs are kept.
        queue: where those go that must wait.
        configs: the configuration of the deployment.
        inputs: what jobs work with.
        executor: what does them.
        events: who is told of their end.
        batches: count those that are lines of a request file.
        places: on engines, and in memory.
        watch: has jobs that are canceled stopped.
        sleep: waits, in seconds.
    """

    def __init__(
        self,
        *,
        longest_seconds: float,
        jobs: JobStore,
        queue: JobQueue,
        configs: ConfigStore,
        inputs: JobInputs,
        executor: JobExecutor,
        events: JobEvents,
        batches: BatchTracker,
        slots: Slots,
        cancel_watch: CancelWatch,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._longest = longest_seconds
        self._jobs = jobs
        self._queue = queue
        self._configs = configs
        self._inputs = inputs
        self._executor = executor
        self._events = events
        self._batches = batches
        self._slots = slots
        self._cancel_watch = cancel_watch
        self._sleep = sleep

    async def process(self, job_id: str, remaining: Remaining, *, again: bool = False) -> bool:
        """Do what there is to do for one message.

        Args:
            job_id: the job it names.
            remaining: seconds that the invocation has left.
            again: the message has come before, and who got it may have died before telling of the job's end.

        Returns:
            True when the message is done with; False when it must come back, since another holds the job right now.

        Raises:
            StorageUnavailable: the table, the bucket or the queue does not answer; the message must come back.
        """
        job = await self._jobs.get(job_id)
        if job is None:
            return True
        if not job.ended:
            done = await self._work(job, remaining)
        else:
            done = not again or await self._events.publish_completion(job)
        await self._batches.record_job_end(job)
        return done

    async def give_up(self, job_id: str, error: GatewayError, *, again: bool = False) -> bool:
        """End a job as failed, wherever it is, unless it has ended; answers and raises as `process`."""
        job = await self._jobs.get(job_id)
        if job is None:
            return True
        error.may_have_cost = job.attempts > 0
        if not job.ended:
            done = await self._fail(job, error)
        else:
            done = not again or await self._events.publish_completion(job)
        await self._batches.record_job_end(job)
        return done

    async def _work(self, job: Job, remaining: Remaining) -> bool:
        if job.not_before and (early := (job.not_before - utc_now()).total_seconds()) > 0:
            await self._queue.send(job.id, delay_seconds=early)
            return True
        config = (await self._configs.read()).config
        name = engine_for_job(job, config)
        needed = max_engine_seconds(config) + MARGIN_SECONDS
        if said := timeout_problem(config, self._longest):
            return await self._fail(job, NotConfigured(said, field="IMAGE_ENGINE_TIMEOUT"))
        if remaining() < needed:
            await self._queue.send(job.id)
            return True
        async with AsyncExitStack() as held:
            try:
                max_wait, lease = remaining() - needed, remaining() + _GRACE_SECONDS
                await held.enter_async_context(
                    self._slots.hold(job, name, config, max_wait_seconds=max_wait, lease_seconds=lease)
                )
            except Busy:
                await self._queue.send(job.id, delay_seconds=_PLACE_DELAY * random.uniform(1.0, 2.0))  # noqa: S311 - jitter, no secret
                return True
            return await self._do(job.id, name, remaining)

    async def _do(self, job_id: str, name: str, remaining: Remaining) -> bool:
        holder = uuid.uuid4().hex
        lease = await self._jobs.lease(job_id, holder, remaining() + _GRACE_SECONDS, name)
        if lease is None:
            return await self._has_ended(job_id)
        job = lease.job
        if _is_lost(lease):
            job.fail(Interrupted("The function ended while the engine was at work", may_have_cost=True))
            return await self._end(job, holder)
        error = await self._attempt(job, remaining() - _TO_END_SECONDS)
        again = error is not None and _may_be_tried_again(error, name)
        if error is not None and again and job.attempts < ATTEMPTS:
            await self._put_back(job, holder, error)
            return True
        reported = await self._end(job, holder)
        if error is not None and again:
            await self._queue.dead_letter_job(job.id, f"{error.code} at each of {ATTEMPTS} attempts")
        return reported

    async def _attempt(self, job: Job, seconds: float) -> GatewayError | None:
        """Do a job once; gives why it failed. Whatever that is, the job's status says so."""
        try:
            # An engine that is given up may have to be brought to rest; for that, too, there is not time without end.
            async with asyncio.timeout(seconds + _TO_STOP_SECONDS), asyncio.timeout(seconds):
                return await self._make(job)
        except GatewayError as error:
            job.fail(error)
            return error
        except TimeoutError:
            # An engine that finds its run again has lost nothing by this.
            late = EngineTimeout(
                "The engine and its queue took longer than the worker has",
                may_have_cost=not REGISTRY[job.engine].resumes_runs,
            )
            job.fail(late)
            return late
        except ValueError as error:
            logger.error("a job's request cannot be read", extra={"job_id": job.id, "error": type(error).__name__})  # noqa: TRY400 - its message may hold what a caller sent
            defect = GatewayError("The gateway failed; its log tells more under this job's id")
            job.fail(defect)
            return defect

    async def _make(self, job: Job) -> GatewayError | None:
        async with self._cancel_watch.over(job):
            form, images, mask = await self._inputs.load(job)
            # To load images takes time, in which the job may have been canceled.
            if images or REGISTRY[job.engine].can_stop:
                await self._cancel_watch.look(job)
            return await run_attempt(self._executor, job, form, images, mask)

    async def _put_back(self, job: Job, holder: str, error: GatewayError) -> None:
        delay = _delay(job.attempts, error.retry_after)
        job.status, job.error = "queued", None
        # SQS delays no message longer, so the job itself says when.
        job.not_before = utc_now() + timedelta(seconds=delay) if delay > MAX_DELAY_SECONDS else None
        if await finish_with_retries(self._jobs, job, holder, self._sleep):
            await self._queue.send(job.id, delay_seconds=delay)

    async def _end(self, job: Job, holder: str) -> bool:
        """Record a job's end and tell of it; False where the bus was not told, so that the message must come back."""
        if await finish_with_retries(self._jobs, job, holder, self._sleep):
            return await self._events.publish_completion(job)
        logger.warning("a job ended otherwise meanwhile", extra={"job_id": job.id, "outcome": job.status})
        return True

    async def _fail(self, job: Job, error: GatewayError) -> bool:
        holder = uuid.uuid4().hex
        lease = await self._jobs.lease(job.id, holder, MARGIN_SECONDS, job.engine)
        if lease is None:
            return await self._has_ended(job.id)
        lease.job.fail(error)
        return await self._end(lease.job, holder)

    async def _has_ended(self, job_id: str) -> bool:
        job = await self._jobs.get(job_id)
        return job is None or job.ended


def _is_lost(lease: Lease) -> bool:
    """Whether a job's last holder died with an engine's work that cannot be found again."""
    if lease.interrupted_engine is None:
        return False
    entry = REGISTRY.get(lease.interrupted_engine)
    # An edit that was done where it came in keeps no images to begin again with.
    nothing_left = lease.job.kind == "edit" and not lease.job.inputs
    return entry is None or not entry.resumes_runs or nothing_left or lease.job.attempts > ATTEMPTS


def _may_be_tried_again(error: GatewayError, engine: str) -> bool:
    """Whether nothing would be paid for twice and a later attempt may succeed.

    That is: refused connections, 429 and 503 of the engine; our own stores; a run that an engine has not begun, or that
    it will be asked for again, since its answer or its images were lost on their way.
    """
    resumes = REGISTRY[engine].resumes_runs
    if error.may_have_cost and not (resumes and error.outstanding):
        return False
    if error.code == EngineTimeout.code:
        return resumes
    return error.code in ("engine_rate_limited", "engine_unavailable", StorageUnavailable.code, Busy.code)


def _delay(attempts: int, retry_after: float | None) -> float:
    """Seconds before the next attempt: what the engine asks for, else twice as long every time, with some spread."""
    wait = retry_after if retry_after is not None else _FIRST_DELAY * 2**attempts
    return float(min(wait * random.uniform(1.0, 1.25), _LONGEST_WAIT))  # noqa: S311 - jitter, no secret
