"""Submits requests over HTTP: request headers about waiting and idempotency, and the responses to a submission."""

from typing import Annotated, Any, ClassVar

from fastapi import Depends, Header, Response
from fastapi.responses import JSONResponse
from pydantic import Field

from image_gateway.api.end_users import EndUserHeaders, identify
from image_gateway.api.preferences import Preferences
from image_gateway.api.routing import GatewayDep, PrincipalDep, async_dependency
from image_gateway.api.waiting import DOCUMENTED_LOCATION, WAIT_RESPONSES, WaitingDep
from image_gateway.jobs.admission import Trial
from image_gateway.jobs.execution import ImageContents
from image_gateway.jobs.idempotency import Claim, claim_for, unmarked_claim
from image_gateway.jobs.submission import LoadInputs
from image_gateway.jobs.unmarked_repetitions import expect_retry, expect_retry_of_unanswered
from image_gateway.jobs.views import image_infos, job_info
from image_gateway.models.forms import CreateImageForm, EditImageForm
from image_gateway.models.images import ImageInfo, JobInfo
from image_gateway.models.jobs import Channel, Job, ResponseFormat

SUBMISSION_RESPONSES: dict[int | str, dict[str, Any]] = {
    202: {
        "model": JobInfo,
        "description": "With `Prefer: respond-async`: the job. `Location` is its URL.",
        "headers": DOCUMENTED_LOCATION,
    },
    **WAIT_RESPONSES,
}
"""Documented responses of routes that submit requests."""


class SubmissionHeaders(EndUserHeaders):
    """Request headers of a submission."""

    prefer: list[str] = Field(
        [],
        description="`respond-async`: respond at once with the job (202). "
        "`wait=N`: wait for the job for at most N seconds (RFC 7240).",
    )
    idempotency_key: str | None = Field(
        None,
        description="For 24 hours, the same key with the same body returns the same job. With another body it is a "
        "422.",
    )
    x_stainless_retry_count: str | None = Field(
        None,
        description="Sent by OpenAI's SDKs. Above 0, the same body within ten minutes returns the same job.",
    )


class HttpSubmission:
    """The submission of one HTTP request.

    Args:
        headers: request headers about waiting and idempotency.
        gateway: the deployment's gateway.
        principal: the caller.
        waiting: waits for the job.
        response: receives the headers of a response that has images.

    Attributes:
        channel: the channel of the submission.
        location: the job's URL, relative to the path of the submission.
    """

    channel: ClassVar[Channel] = "images"
    location: ClassVar[str] = "jobs/{id}"

    def __init__(
        self,
        headers: Annotated[SubmissionHeaders, Header()],
        gateway: GatewayDep,
        principal: PrincipalDep,
        waiting: WaitingDep,
        response: Response,
    ) -> None:
        self._headers = headers
        self._prefer = Preferences.parse(headers.prefer)
        self._gateway = gateway
        self._principal = principal
        self._waiting = waiting
        self._response = response
        self._unmarked: Claim | None = None

    def remaining_seconds(self) -> float:
        """Return the seconds that are left for the response to leave in time."""
        return self._waiting.remaining_seconds()

    async def submit(
        self,
        form: CreateImageForm | EditImageForm,
        load_inputs: LoadInputs | None = None,
        *,
        trial: Trial | None = None,
    ) -> list[ImageInfo] | Response:
        """Create a job for the request and wait for it. Return its images, or a response with the result's location."""
        job = await self.create_job(form, load_inputs, trial=trial)
        return job if isinstance(job, Response) else image_infos(job, self._gateway.images)

    async def create_job(
        self,
        form: CreateImageForm | EditImageForm,
        load_inputs: LoadInputs | None,
        response_format: ResponseFormat | None = None,
        contents: ImageContents | None = None,
        *,
        trial: Trial | None = None,
    ) -> Job | Response:
        """Create a job for the request and wait for it.

        Args:
            form: the request.
            load_inputs: returns the input images of an edit, and their mask.
            response_format: the format in which the OpenAI channel will return the images; None for the configured one.
            contents: receives the output images if the job runs inside this function.
            trial: the workflow to try.

        Returns:
            The job if it has ended, else the response with the location of the job or of its result.
        """
        prefer = self._prefer
        owner, headers = self._principal.owner, self._headers
        remaining = self._waiting.remaining_seconds
        # First, so that nothing after it knows the names of users, not even a hash of the request.
        form, user = await identify(
            form,
            headers,
            request_headers=self._waiting.request_headers,
            principal=self._principal,
            gateway=self._gateway,
            remaining=remaining,
        )
        # The same form for another workflow or another end user is no repetition.
        others = f"{trial.workflow} {trial.connection}" if trial else ""
        others += f"\0{user.label}" if user.label else ""
        claim = claim_for(owner, form, headers.idempotency_key, headers.x_stainless_retry_count, others)
        self._unmarked = unmarked_claim(owner, form, others) if claim is None else None
        job = await self._gateway.submission.submit(
            form,
            self._principal,
            load_inputs=load_inputs,
            channel=self.channel,
            trial=trial,
            response_format=response_format,
            contents=contents,
            spent=lambda: self._waiting.elapsed_seconds,
            remaining=remaining,
            storing=self._waiting.storing_seconds,
            user=user,
            # A job that runs inside this function cannot be left after the time that the caller is willing to wait.
            queue=prefer.respond_async or prefer.wait is not None,
            claim=claim,
            unmarked=self._unmarked,
        )
        # The links are relative, and the path of a trial has two parts more.
        above = "../../" if trial else ""
        if prefer.respond_async and prefer.wait is None:
            return self._accepted(job, above)
        job = await self._waiting.wait(job, prefer.wait)
        if not prefer.respond_async:
            await expect_retry(self._gateway.jobs, job, self._unmarked)
        if job.ended:
            self._response.headers.update(self._preference_applied())
            return job
        if prefer.respond_async:
            return self._accepted(job, above)
        response = self._waiting.redirect(job, f"{above}jobs/{job.id}/", 1)
        response.headers.update(self._preference_applied())
        return response

    async def expect_retry_of_unanswered(self, job: Job) -> None:
        """Remember that the images of a job could not be returned, so that a retry of the request gets them."""
        await expect_retry_of_unanswered(self._gateway.jobs, job, self._unmarked)

    def _accepted(self, job: Job, above: str) -> Response:
        self._waiting.show_connection(job)
        info = job_info(job, self._gateway.images, self._principal)
        headers = {"Location": above + self.location.format(id=job.id), **self._preference_applied("respond-async")}
        return JSONResponse(info.model_dump(mode="json", exclude_none=True), 202, headers)

    def _preference_applied(self, *preferences: str) -> dict[str, str]:
        wait = self._prefer.wait
        waited = [f"wait={wait}"] if wait is not None and wait <= self._waiting.max_seconds else []
        applied = ", ".join([*preferences, *waited])
        return {"Preference-Applied": applied} if applied else {}


SubmissionDep = Annotated[HttpSubmission, Depends(async_dependency(HttpSubmission))]
"""Submits the request to the `images` channel."""
