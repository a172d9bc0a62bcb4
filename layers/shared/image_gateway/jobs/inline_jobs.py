"""Inline jobs: executed in the function that has the request, which waits for them."""

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence

from image_gateway.aws import Remaining, may_be_done, time_limit
from image_gateway.engines.protocol import InputImage
from image_gateway.errors import GatewayError, StorageUnavailable
from image_gateway.jobs.announcement import Announcements
from image_gateway.jobs.attempt import finish_with_retries, run_attempt
from image_gateway.jobs.execution import ImageContents, JobExecutor
from image_gateway.jobs.idempotency import Claim
from image_gateway.jobs.job_queue import JobQueue
from image_gateway.jobs.repeated_requests import create_job
from image_gateway.jobs.route_attempts import run_round, start_next
from image_gateway.jobs.store import JobStore
from image_gateway.jobs.withdrawal import Withdrawal
from image_gateway.models.forms import CreateImageForm, EditImageForm
from image_gateway.models.jobs import Job
from image_gateway.routing.destination import Destination
from image_gateway.routing.plan import Plan
from image_gateway.routing.rounds import Rounds
from image_gateway.settings import Settings

logger = logging.getLogger(__name__)

_START_TOLERANCE_SECONDS = 2.0
"""How long a request may take before its job starts, and still leave enough time for the longest engine timeout."""
_RECORD_SECONDS = 1.0
"""Seconds of the time for storing an inline job that are reserved for its record."""
_MIN_ANNOUNCING_SECONDS = 1.0
"""How long the announcement and the settlement of a job may take, even if no time is left."""
_MAX_ANNOUNCING_SECONDS = 5.0
"""How long a caller waits for them at most: on a busy budget, they would take longer."""


class InlineJobs:
    """Runs jobs inline.

    Args:
        settings: how long an inline job and the function may take, and whether there is a queue.
        jobs: the job records.
        queue: reaches the worker, which ends a job whose function has died.
        rounds: order the targets of routes.
        executor: executes jobs.
        announcements: publishes completions.
        withdrawal: fails jobs that may not have been stored.
        sleep: waits, in seconds.
        clock: returns monotonic seconds.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        jobs: JobStore,
        queue: JobQueue,
        rounds: Rounds,
        executor: JobExecutor,
        announcements: Announcements,
        withdrawal: Withdrawal,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._jobs = jobs
        self._queue = queue
        self._rounds = rounds
        self._executor = executor
        self._announcements = announcements
        self._withdrawal = withdrawal
        self._sleep = sleep
        self._clock = clock

    def fits(self, plan: Plan, n: int, spent: float) -> bool:
        """Whether a job ends within the request, even if all engines take as long as their timeouts allow.

        Args:
            plan: where the job may go.
            n: how many images it makes.
            spent: seconds since the request was received.
        """
        # A server with limited concurrency has slots, which only the worker assigns.
        if any(destination.max_concurrent is not None for destination in plan.usable):
            return False
        queues = [each.config.IMAGE_ENGINE_TIMEOUT * n for each in plan.usable if each.entry.has_own_queue]
        seconds = plan.max_seconds + sum(queues)
        limit = self._settings.inline_seconds
        return seconds <= limit and seconds + spent <= limit + _START_TOLERANCE_SECONDS

    async def run(
        self,
        job: Job,
        plan: Plan,
        form: CreateImageForm | EditImageForm,
        images: Sequence[InputImage],
        *,
        mask: InputImage | None,
        claim: Claim | None,
        scopes: Sequence[str],
        contents: ImageContents | None,
        remaining: Remaining,
        storing: Remaining,
    ) -> Job:
        """Store and execute a job. Its input images are not stored, which saves a write for each.

        So if this function dies, an edit ends as interrupted, even on an engine that can find its run again.

        Args:
            job: the new job.
            plan: where it may go.
            form: its request.
            images: the images to edit.
            mask: their mask.
            claim: identifies repetitions of the request.
            scopes: whose limits count.
            contents: where given, the encoded images are added to it.
            remaining: returns the seconds that are left for a response in time.
            storing: returns the seconds that are left for storing the images.

        Returns:
            The job, which has ended, or the earlier job of the same request.

        Raises:
            BudgetExceeded, LimitExceeded: a limit refuses the job.
            StorageUnavailable: the job could not be stored; nothing was paid.
        """
        holder = uuid.uuid4().hex
        lease_seconds = self._settings.function_timeout_seconds
        lease_ends = self._clock() + lease_seconds
        round_ = await self._rounds.begin(plan)
        destination = await start_next(round_, job)
        created = False
        try:
            earlier = await self._create(job, claim, scopes, holder, lease_seconds)
            created = earlier is None
        finally:
            if not created:
                await round_.give_up()
        if earlier:
            return earlier
        scheduling = asyncio.create_task(self._schedule_recovery(job, lease_seconds))

        async def attempt(destination: Destination) -> GatewayError | None:
            return await run_attempt(
                self._executor,
                job,
                destination,
                form,
                images,
                mask=mask,
                contents=contents,
                remaining=lambda: storing() - _RECORD_SECONDS,
            )

        async def choose(usable: list[Destination]) -> Destination | None:
            return usable[0] if storing() > usable[0].max_seconds else None

        async def move() -> bool:
            return await self._jobs.move(job, holder, lease_ends - self._clock())

        await run_round(round_, job, destination, attempt=attempt, choose=choose, move=move, clock=self._clock)
        self._announcements.expect(job)
        try:
            # While there is time for a response, it does not wait for the record: the worker can complete it.
            in_time = remaining() > 0
            recorded = await finish_with_retries(
                self._jobs,
                job,
                holder,
                lambda: min(remaining(), storing()) if in_time else storing(),
                self._sleep,
            )
            if not recorded or await self._announce(job, remaining):
                # Nothing is left for the worker, so the caller does not wait for a queue that does not respond.
                scheduling.cancel()
            return job if recorded else await self._jobs.get(job.id) or job
        except StorageUnavailable:
            # The images are stored, and the caller gets them. The worker will complete the record from them.
            logger.exception("a job's completion was not recorded", extra={"job_id": job.id, "outcome": job.status})
            return job
        finally:
            await asyncio.wait([scheduling])

    async def _create(
        self, job: Job, claim: Claim | None, scopes: Sequence[str], holder: str, lease_seconds: float
    ) -> Job | None:
        """Store a leased job, or return the earlier job of the same request. Raises as `run`."""
        try:
            return await create_job(self._jobs, job, claim, lease_seconds=lease_seconds, holder=holder, scopes=scopes)
        except StorageUnavailable as error:
            if may_be_done(error) and not await self._withdrawal.fail_if_stored(job, error):
                # Nothing is paid, and the worker ends the job. Until then, repetitions of the request wait for it.
                await self._schedule_recovery(job, lease_seconds)
            raise

    async def _announce(self, job: Job, remaining: Remaining) -> bool:
        """Announce and settle a job while its caller waits. What takes too long is left to the worker."""
        seconds = max(_MIN_ANNOUNCING_SECONDS, min(remaining(), _MAX_ANNOUNCING_SECONDS))
        try:
            async with time_limit(seconds, "The end of the job was not announced"):
                return await self._announcements.announce(job)
        except StorageUnavailable:
            logger.exception("a job's end was not announced in time", extra={"job_id": job.id})
            return False

    async def _schedule_recovery(self, job: Job, lease_seconds: float) -> None:
        """Send the job to the worker for when its lease expires: if this function dies, the worker ends the job."""
        if not self._settings.queue_url:
            return
        try:
            await self._queue.send(job.id, owner=job.owner, delay_seconds=lease_seconds + 1)
        except StorageUnavailable:
            logger.exception("a job's recovery was not scheduled", extra={"job_id": job.id})
