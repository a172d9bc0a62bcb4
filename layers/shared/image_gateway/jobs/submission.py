"""How a request becomes a job: done at once where the engine is quick enough, queued where it is not."""

import asyncio
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

from image_gateway.access.principals import Principal
from image_gateway.config.engine_choice import EngineChoice, choose_engine
from image_gateway.config.merge import max_engine_seconds
from image_gateway.engines import REGISTRY
from image_gateway.engines.protocol import InputImage
from image_gateway.errors import EngineUnavailable, StorageUnavailable
from image_gateway.ids import new_job_id
from image_gateway.images.store import ImageStore
from image_gateway.jobs.attempt import finish_with_retries, run_attempt
from image_gateway.jobs.events import JobEvents
from image_gateway.jobs.execution import ImageContents, JobExecutor
from image_gateway.jobs.idempotency import Claim
from image_gateway.jobs.input_storage import store_inputs
from image_gateway.jobs.job_queue import JobQueue
from image_gateway.jobs.store import JobStore
from image_gateway.models.config import ImagesConfig
from image_gateway.models.forms import CreateImageForm, EditImageForm
from image_gateway.models.jobs import Channel, Job, ResponseFormat, utc_now
from image_gateway.settings import Settings

logger = logging.getLogger(__name__)

_FIRST_LOOK = 0.05
_LONGEST_LOOK = 1.0
_SHARE = 0.05
_SLACK = 2.0
"""Seconds of a request's time before its job is begun that leave enough for an engine with the longest timeout."""


class Submission:
    """Takes requests in, and waits for them.

    Args:
        settings: how long an engine may take to be waited for.
        jobs: where jobs are kept.
        queue: where those go that are not done at once.
        images: where their inputs go meanwhile.
        service: what does them.
        events: who is told of their end.
        sleep: waits, in seconds.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        jobs: JobStore,
        queue: JobQueue,
        images: ImageStore,
        executor: JobExecutor,
        events: JobEvents,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._jobs = jobs
        self._queue = queue
        self._images = images
        self._executor = executor
        self._events = events
        self._sleep = sleep
        self._clock = clock

    async def admit(
        self, form: CreateImageForm | EditImageForm, principal: Principal, channel: Channel = "images"
    ) -> tuple[ImagesConfig, EngineChoice]:
        """Tell which engine and model a request gets; with the configuration that says so.

        Raises:
            Disabled: generation or editing is switched off.
            Forbidden: the caller may not use that engine or that model.
        """
        edit = isinstance(form, EditImageForm)
        config = await self._executor.require_enabled(edit=edit)
        # On other channels a slash may be part of the model's name: it comes from the engine's own list.
        choice = choose_engine(config, form.model, edit=edit, allow_engine_prefix=channel == "openai")
        principal.require(choice.engine, choice.model)
        return config, choice

    async def submit(
        self,
        form: CreateImageForm | EditImageForm,
        principal: Principal,
        *,
        images: Sequence[InputImage] = (),
        mask: InputImage | None = None,
        channel: Channel = "images",
        response_format: ResponseFormat = "b64_json",
        contents: ImageContents | None = None,
        queue: bool = False,
        claim: Claim | None = None,
        spent: float = 0.0,
    ) -> Job:
        """Make a job of a request, unless it is one already.

        Args:
            form: what is asked for.
            principal: who asks, and will own the job.
            images: the images to edit.
            mask: their mask.
            channel: the API the request came through.
            response_format: how the OpenAI channel is to answer.
            contents: is given the encoded images by their keys where the job is done at once.
            queue: have the worker do it, however quick the engine is.
            claim: by what the same request is known again.
            spent: seconds since the request came in.

        Returns:
            The job; ended where it was done at once, or is an earlier one that has ended. An earlier one that cost
            nothing, and failed for what may be over by now, does not count.

        Raises:
            Disabled: generation or editing is switched off.
            Forbidden: the caller may not use the engine or the model.
            InvalidRequest: the claim's key was used for another request.
            StorageUnavailable: the job could not be stored or queued; nothing was paid for.
        """
        config, choice = await self.admit(form, principal, channel)
        job = Job(
            id=new_job_id(),
            kind="edit" if isinstance(form, EditImageForm) else "generation",
            owner=principal.owner,
            channel=channel,
            engine=choice.engine,
            model=choice.model or "",
            # What was allowed to a limited token is done as it was allowed, or not at all.
            pinned=choice.named or principal.engines is not None or principal.models is not None,
            response_format=response_format,
            request=form.model_dump(mode="json", exclude_unset=True, exclude={"image", "mask"}),
        )
        quick = not queue and self._is_quick(config, choice.engine, form.n or 1, spent)
        if quick or not self._settings.queue_url:
            return await self._do(job, form, images, mask, claim=claim, contents=contents)
        return await self._enqueue(job, images, mask, claim)

    def _is_quick(self, config: ImagesConfig, engine: str, n: int, spent: float) -> bool:
        """Whether a job can be done while its caller waits, however long its engine takes."""
        entry = REGISTRY[engine]
        # Engines that do few things at once have places, which the worker gives out.
        if entry.max_concurrent is not None:
            return False
        longest = max_engine_seconds(config) + (config.IMAGE_ENGINE_TIMEOUT * n if entry.has_own_queue else 0)
        return longest <= self._settings.inline_seconds and longest + spent <= self._settings.inline_seconds + _SLACK

    async def wait(self, job: Job, seconds: float) -> Job:
        """Look at a job until it has ended or the time is up; gives the job as it is then.

        The intervals grow with the job's age, so that looking adds at most a twentieth to it. A table that does not
        answer is asked again: what becomes of the job does not depend on it.
        """
        started = self._clock()
        age = max(0.0, (utc_now() - job.created_at).total_seconds())
        while not job.ended:
            waited = self._clock() - started
            if waited >= seconds:
                break
            interval = min(max(_FIRST_LOOK, (age + waited) * _SHARE), _LONGEST_LOOK)
            await self._sleep(min(interval, seconds - waited))
            with suppress(StorageUnavailable):
                job = await self._jobs.get(job.id) or job
        return job

    async def _do(
        self,
        job: Job,
        form: CreateImageForm | EditImageForm,
        images: Sequence[InputImage],
        mask: InputImage | None,
        *,
        claim: Claim | None,
        contents: ImageContents | None,
    ) -> Job:
        """Do a job here and now. Its images to edit are not kept: it would cost every such request a write of each.

        So where this function dies, an edit ends as interrupted, also on an engine that finds its run again.
        """
        holder = uuid.uuid4().hex
        lease = self._settings.function_timeout_seconds
        if earlier := await self._create(job, claim, lease_seconds=lease, holder=holder):
            return earlier
        await asyncio.gather(
            run_attempt(self._executor, job, form, images, mask, contents=contents), self._look_after(job.id, lease)
        )
        try:
            stands = await finish_with_retries(self._jobs, job, holder, self._sleep)
        except StorageUnavailable:
            # The images are made and stored: whoever waits gets them, though the record will say it was interrupted.
            logger.exception("a job's end was not recorded", extra={"job_id": job.id, "outcome": job.status})
            return job
        if not stands:
            return await self._jobs.get(job.id) or job
        await self._events.publish_completion(job)
        return job

    async def _look_after(self, job_id: str, lease_seconds: float) -> None:
        """Have the worker look at a job when its lease has run out: if this function dies, the worker ends the job."""
        if not self._settings.queue_url:
            return
        try:
            await self._queue.send(job_id, delay_seconds=lease_seconds + 1)
        except StorageUnavailable:
            logger.exception("nobody looks after a job", extra={"job_id": job_id})

    async def _enqueue(
        self, job: Job, images: Sequence[InputImage], mask: InputImage | None, claim: Claim | None
    ) -> Job:
        await store_inputs(self._images, job, images, mask)
        if earlier := await self._create(job, claim):
            return earlier
        try:
            await self._queue.send(job.id)
        except StorageUnavailable as error:
            job.fail(error)
            await self._jobs.end(job, expected_status="queued")
            raise
        return job

    async def _create(
        self, job: Job, claim: Claim | None, *, lease_seconds: float | None = None, holder: str = ""
    ) -> Job | None:
        """Store a new job; or give the earlier one that the same request has, and that stands.

        Without a claim there is no earlier one: the id is there already when our own put was sent again, as its answer
        was lost. A job that is gone, by its time to live, does not stand.
        """
        while earlier_id := await self._jobs.create(job, lease_seconds=lease_seconds, holder=holder, claim=claim):
            if claim is None or earlier_id == job.id:
                return None
            earlier = await self._jobs.get(earlier_id)
            if earlier is not None and not _failed_for_now(earlier):
                return earlier
            claim = claim.after(earlier_id)
        return None


def _failed_for_now(job: Job) -> bool:
    """Whether a job failed without cost, and for something that the same request may not meet again."""
    if job.status != "failed":
        return False
    error = job.to_error()
    passing = error.should_retry or error.retry_after is not None or isinstance(error, EngineUnavailable)
    return passing and not error.may_have_cost
