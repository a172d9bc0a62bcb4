"""Submission of requests as jobs: executed inline where the engine is fast enough, else queued for the worker."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from image_gateway.access.principals import Principal
from image_gateway.aws import Remaining, may_be_done, time_limit
from image_gateway.engines.protocol import InputImage
from image_gateway.errors import InvalidRequest, StorageUnavailable
from image_gateway.ids import new_job_id
from image_gateway.images.store import ImageStore
from image_gateway.jobs.announcement import Announcements
from image_gateway.jobs.end_users import with_end_user
from image_gateway.jobs.execution import ImageContents, JobExecutor
from image_gateway.jobs.idempotency import Claim
from image_gateway.jobs.inline_jobs import InlineJobs
from image_gateway.jobs.input_storage import store_inputs
from image_gateway.jobs.job_queue import JobQueue
from image_gateway.jobs.polling import poll_until_ended
from image_gateway.jobs.pricing import limited_scopes, reserved_micros
from image_gateway.jobs.repeated_requests import create_job, find_earlier_job
from image_gateway.jobs.store import JobStore
from image_gateway.jobs.unmarked_repetitions import find_unmarked_retry, may_be_retried, remember_unanswered
from image_gateway.jobs.withdrawal import Withdrawal
from image_gateway.models.forms import CreateImageForm, EditImageForm
from image_gateway.models.jobs import Channel, Job, ResponseFormat
from image_gateway.routing.plan import Plan
from image_gateway.routing.rounds import Rounds
from image_gateway.routing.router import Router
from image_gateway.settings import Settings

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Trial:
    """A workflow to try, and the connection of the server that runs it."""

    workflow: str
    connection: str


LoadInputs = Callable[[], Awaitable[tuple[Sequence[InputImage], InputImage | None]]]
"""Returns the input images of an edit, and their mask."""

_START_TOLERANCE_SECONDS = 2.0
"""How long a request may take before its job starts, and still leave enough time for the longest engine timeout."""
_ADMISSION_MARGIN_SECONDS = 6.0
"""Seconds of a request's time that the first read of the configuration must leave: the job is queued after it."""
_REMEMBERING_SECONDS = 2.0
"""How long a response may wait until its request is remembered for retries."""


class Submission:
    """Makes jobs of requests, and waits for jobs.

    Args:
        settings: how long an inline job may take.
        jobs: the job records.
        queue: sends jobs to the worker.
        images: stores the input images of queued jobs.
        router: decides where requests go.
        rounds: order the targets of routes.
        executor: executes jobs inline.
        announcements: publishes completions.
        sleep: waits, in seconds.
        clock: returns monotonic seconds.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        jobs: JobStore,
        queue: JobQueue,
        images: ImageStore,
        router: Router,
        rounds: Rounds,
        executor: JobExecutor,
        announcements: Announcements,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._jobs = jobs
        self._queue = queue
        self._images = images
        self._router = router
        self._withdrawal = Withdrawal(jobs, announcements)
        self._inline = InlineJobs(
            settings=settings,
            jobs=jobs,
            queue=queue,
            rounds=rounds,
            executor=executor,
            announcements=announcements,
            withdrawal=self._withdrawal,
            sleep=sleep,
            clock=clock,
        )
        self._sleep = sleep
        self._clock = clock

    async def admit(
        self,
        form: CreateImageForm | EditImageForm,
        principal: Principal,
        channel: Channel = "images",
        *,
        trial: Trial | None = None,
        remaining: Remaining | None = None,
    ) -> Plan:
        """Return where a request may go, provided that its caller may send it there.

        Args:
            form: the request.
            principal: the caller.
            channel: the API of the request.
            trial: the workflow to try; None for a request that goes where its model leads.
            remaining: returns the seconds that are left for the request; by default the function's timeout.

        Raises:
            NotFound: there is no such workflow to try.
            Disabled: generation or editing is switched off.
            Forbidden: the caller may not use that engine or that model.
            NotConfigured: no target of the route can be used.
            InvalidRequest: the engine does not support the output format, and no image can be converted to it.
            StorageUnavailable: the configuration cannot be read.
        """
        edit = isinstance(form, EditImageForm)
        left = remaining or self._countdown()

        def reading() -> float:
            return left() - _ADMISSION_MARGIN_SECONDS

        if trial:
            plan = await self._router.try_workflow(trial.workflow, trial.connection, remaining=reading)
        else:
            # On other channels, a slash can be part of the model's name, which comes from the engine's own list.
            allow_prefix = channel == "openai"
            plan = await self._router.find(form.model, edit=edit, allow_prefix=allow_prefix, remaining=reading)
        # First, because a problem names connections.
        for destination in plan.destinations:
            principal.require(
                destination.engine, destination.model, connection=destination.connection, route=plan.route
            )
        if problem := plan.usable[0].problem:
            raise problem
        engines = {destination.engine: None for destination in plan.destinations}
        if channel == "openai" and form.output_format == "gif" and "openai" not in engines:
            message = f"output_format: {' and '.join(engines)} does not support gif: choose png, jpeg or webp"
            raise InvalidRequest(message, field="output_format")
        return plan

    async def submit(
        self,
        form: CreateImageForm | EditImageForm,
        principal: Principal,
        *,
        load_inputs: LoadInputs | None = None,
        channel: Channel = "images",
        trial: Trial | None = None,
        response_format: ResponseFormat | None = None,
        contents: ImageContents | None = None,
        queue: bool = False,
        claim: Claim | None = None,
        unmarked: Claim | None = None,
        spent: Callable[[], float] = lambda: 0.0,
        remaining: Remaining | None = None,
        storing: Remaining | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Job:
        """Create a job for a request, unless the request is a repetition of an earlier one.

        Repetitions are found first, before anything is checked or fetched that may have changed since the first
        request: the configuration, the caller's permissions, and the input images.

        Args:
            form: the request.
            principal: the caller, who will own the job.
            load_inputs: returns the images to edit and their mask. It is called once the request is admitted.
            channel: the API of the request.
            trial: as of `admit`.
            response_format: the format of the response on the OpenAI channel; None for the configured one.
            contents: where given, an inline job adds its encoded images to it.
            queue: send the job to the worker, however fast the engine is.
            claim: identifies repetitions of the request.
            unmarked: for a request without a claim, identifies a client's own retries of it.
            spent: returns the seconds since the request was received.
            remaining: returns the seconds that are left for the request, so that the response leaves in time; by
                default the time that the function may run.
            storing: returns the seconds that are left for storing the images of an inline job, by default `remaining`.
                They may be more: images that were paid for are worth more than a response in time.
            headers: the request's headers. The configuration may name one that has the end user.

        Returns:
            The job, or the earlier job of the same request. An inline job has ended. An earlier job is ignored if it
            failed without cost, and the same request may succeed now.

        Raises:
            Disabled: generation or editing is switched off.
            Forbidden: the caller may not use the engine or the model.
            InvalidRequest: the claim's key was used for another request, or as `admit`.
            GatewayError: as `load_inputs`.
            BudgetExceeded, LimitExceeded: a limit refuses the request.
            NotConfigured: the request has no price, and the operator refuses such requests.
            StorageUnavailable: the job could not be stored or queued; nothing was paid.
        """
        earlier = await find_earlier_job(self._jobs, claim) or await find_unmarked_retry(self._jobs, unmarked)
        if earlier:
            return earlier
        remaining = remaining or self._countdown()
        plan = await self.admit(form, principal, channel, trial=trial, remaining=remaining)
        first = plan.first
        form = with_end_user(form, plan, headers or {})
        images, mask = await load_inputs() if load_inputs else ((), None)
        job = Job(
            id=new_job_id(),
            kind="edit" if isinstance(form, EditImageForm) else "generation",
            owner=principal.owner,
            channel=channel,
            route=plan.route,
            catalogue=plan.catalogue,
            # The permissions of a limited token were checked for this engine and model only.
            pinned=not plan.route and (first.named or principal.is_limited),
            response_format=response_format or first.for_all.IMAGE_RESPONSE_FORMAT,
            request=form.model_dump(mode="json", exclude_unset=True, exclude={"image", "mask"}),
        )
        first.record_in(job)
        scopes = limited_scopes(principal, plan)
        job.reserved = reserved_micros(plan, form, limited=bool(scopes))
        inline = not queue and self._fits_inline(plan, form.n or 1, spent())
        if inline or not self._settings.queue_url:
            return await self._inline.run(
                job,
                plan,
                form,
                images,
                mask=mask,
                claim=claim,
                scopes=scopes,
                contents=contents,
                remaining=remaining,
                storing=storing or remaining,
            )
        return await self._enqueue(job, images, mask, claim, scopes)

    async def expect_retry(self, job: Job, unmarked: Claim | None) -> None:
        """Remember a request before it is answered, if its client may retry it and the retry would be paid again.

        Args:
            job: the request's job, as it is answered.
            unmarked: as of `submit`.
        """
        if unmarked is not None and may_be_retried(job):
            await self._remember(job, self._jobs.set_claim(unmarked, job.id))

    async def expect_retry_of_unanswered(self, job: Job, unmarked: Claim | None = None) -> None:
        """Remember that a succeeded job could not be answered: its client may retry, and the retry would be paid again.

        Args:
            job: the job.
            unmarked: as of `submit`; None if the request was remembered before.
        """
        await self._remember(job, remember_unanswered(self._jobs, job))
        if unmarked is not None:
            await self._remember(job, self._jobs.set_claim(unmarked, job.id))

    async def _remember(self, job: Job, write: Awaitable[None]) -> None:
        try:
            async with time_limit(_REMEMBERING_SECONDS, "The table does not respond"):
                await write
        except StorageUnavailable:
            # The response is worth more than the protection against a retry.
            logger.exception("a request was not remembered for retries", extra={"job_id": job.id})

    async def wait(self, job: Job, max_wait_seconds: float) -> Job:
        """Wait until a job has ended or the time is up, and return it as last read: see `poll_until_ended`."""
        return await poll_until_ended(self._jobs, job, max_wait_seconds, sleep=self._sleep, clock=self._clock)

    def _countdown(self) -> Remaining:
        """Return the seconds that are left of the function's timeout if it starts now."""
        end = self._clock() + self._settings.function_timeout_seconds
        return lambda: end - self._clock()

    def _fits_inline(self, plan: Plan, n: int, spent: float) -> bool:
        """Whether a job ends within the request, even if all engines take as long as their timeouts allow."""
        # A server with limited concurrency has slots, which only the worker assigns.
        if any(destination.max_concurrent is not None for destination in plan.usable):
            return False
        queues = [each.config.IMAGE_ENGINE_TIMEOUT * n for each in plan.usable if each.entry.has_own_queue]
        seconds = plan.max_seconds + sum(queues)
        limit = self._settings.inline_seconds
        return seconds <= limit and seconds + spent <= limit + _START_TOLERANCE_SECONDS

    async def _enqueue(
        self,
        job: Job,
        images: Sequence[InputImage],
        mask: InputImage | None,
        claim: Claim | None,
        scopes: Sequence[str],
    ) -> Job:
        await store_inputs(self._images, job, images, mask)
        try:
            earlier = await create_job(self._jobs, job, claim, scopes=scopes)
        except StorageUnavailable as error:
            if may_be_done(error) and not await self._withdrawal.fail_if_stored(job, error):
                # The recovery will find the job and run it.
                error.may_have_cost = True
            raise
        if earlier:
            return earlier
        try:
            await self._queue.send(job.id, owner=job.owner)
        except StorageUnavailable as error:
            return await self._withdrawal.fail_unless_leased(job, error)
        return job
