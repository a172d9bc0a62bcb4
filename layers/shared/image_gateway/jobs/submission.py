"""Submission of requests as jobs: executed inline where the engine is fast enough, else queued for the worker."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from image_gateway.access.principals import Principal
from image_gateway.aws import Remaining
from image_gateway.engines.protocol import InputImage
from image_gateway.ids import new_job_id
from image_gateway.jobs.admission import Trial, admit
from image_gateway.jobs.end_users import NOBODY, RequestUser, with_end_user
from image_gateway.jobs.execution import ImageContents
from image_gateway.jobs.idempotency import Claim
from image_gateway.jobs.inline_jobs import InlineJobs
from image_gateway.jobs.polling import poll_until_ended
from image_gateway.jobs.pricing import limited_scopes, reserve
from image_gateway.jobs.queued_jobs import QueuedJobs
from image_gateway.jobs.reader import JobReader
from image_gateway.jobs.repeated_requests import find_earlier_job
from image_gateway.jobs.unmarked_repetitions import find_unmarked_retry
from image_gateway.models.forms import CreateImageForm, EditImageForm
from image_gateway.models.jobs import Channel, Job, ResponseFormat
from image_gateway.routing.router import Router
from image_gateway.settings import Settings

LoadInputs = Callable[[], Awaitable[tuple[Sequence[InputImage], InputImage | None]]]
"""Returns the input images of an edit, and their mask."""


class Submission:
    """Makes jobs of requests, and waits for jobs.

    Args:
        settings: how long the function may run, and whether there is a queue.
        jobs: the job records.
        router: decides where requests go.
        inline: runs jobs in this function.
        queued: queues jobs for the worker.
        sleep: waits, in seconds.
        clock: returns monotonic seconds.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        jobs: JobReader,
        router: Router,
        inline: InlineJobs,
        queued: QueuedJobs,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._jobs = jobs
        self._router = router
        self._inline = inline
        self._queued = queued
        self._sleep = sleep
        self._clock = clock

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
        user: RequestUser = NOBODY,
    ) -> Job:
        """Create a job for a request, unless the request is a repetition of an earlier one.

        Repetitions are found first, before anything is checked or fetched that may have changed since the first
        request: the configuration, the caller's permissions, and the input images.

        Args:
            form: the request.
            principal: the caller, who will own the job.
            load_inputs: returns the images to edit and their mask. It is called once the request is admitted.
            channel: the API of the request.
            trial: the workflow to try; None for a request that goes where its model leads.
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
            user: whom the request is for.

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
        plan = await admit(self._router, form, principal, channel, trial=trial, remaining=remaining)
        first = plan.first
        form = with_end_user(form, plan, user)
        images, mask = await load_inputs() if load_inputs else ((), None)
        scopes = limited_scopes(principal, plan, user.label)
        job = Job(
            id=new_job_id(),
            kind="edit" if isinstance(form, EditImageForm) else "generation",
            owner=principal.owner,
            channel=channel,
            end_user=user.label,
            route=plan.route,
            catalogue=plan.catalogue,
            # The permissions of a limited token were checked for this engine and model only. And what is held of a
            # budget is their price: a change of the configuration must not lead to a dearer one.
            pinned=not plan.route and (first.named or principal.is_limited or bool(scopes)),
            response_format=response_format or first.for_all.IMAGE_RESPONSE_FORMAT,
            request=form.model_dump(mode="json", exclude_unset=True, exclude={"image", "mask"}),
        )
        first.record_in(job)
        inputs = len(images) + (mask is not None)
        reserve(job, plan, form, limited=bool(scopes), input_images=inputs)
        if self._settings.queue_url and (queue or not self._inline.fits(plan, form.n or 1, spent())):
            return await self._queued.add(job, images, mask=mask, claim=claim, scopes=scopes)
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

    async def wait(self, job: Job, max_wait_seconds: float) -> Job:
        """Wait until a job has ended or the time is up, and return it as last read: see `poll_until_ended`."""
        return await poll_until_ended(self._jobs, job, max_wait_seconds, sleep=self._sleep, clock=self._clock)

    def _countdown(self) -> Remaining:
        """Return the seconds that are left of the function's timeout if it starts now."""
        end = self._clock() + self._settings.function_timeout_seconds
        return lambda: end - self._clock()
