"""Submitting over HTTP: the headers that say how to wait and which request is the same, and the answers."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from fastapi import Depends, Header, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from image_gateway.api.preferences import Preferences
from image_gateway.api.routing import GatewayDep, PrincipalDep, on_the_loop
from image_gateway.api.waiting import LOCATION, NOT_DONE, WaitingDep
from image_gateway.config.engine_choice import EngineChoice
from image_gateway.engines.protocol import InputImage
from image_gateway.jobs.idempotency import claim_for
from image_gateway.jobs.image_service import Contents
from image_gateway.jobs.views import describe, image_infos
from image_gateway.models.forms import CreateImageForm, EditImageForm
from image_gateway.models.images import ImageInfo, JobInfo
from image_gateway.models.jobs import Channel, Job, ResponseFormat

SUBMITTED: dict[int | str, dict[str, Any]] = {
    202: {
        "model": JobInfo,
        "description": "With `Prefer: respond-async`: the job, which `Location` leads to.",
        "headers": LOCATION,
    },
    **NOT_DONE,
}
"""For the documentation of routes that submit."""


class SubmissionHeaders(BaseModel):
    """Request headers of a submission."""

    prefer: list[str] = Field(
        [],
        description="`respond-async`: answer at once with the job (202). `wait=N`: wait N seconds at most (RFC 7240).",
    )
    idempotency_key: str | None = Field(
        None, description="The same key with the same body is the same job for 24 hours; with another body it is a 422."
    )
    x_stainless_retry_count: str | None = Field(
        None, description="Sent by OpenAI's SDKs: above 0, the same body within ten minutes is the same job."
    )


class Submitting:
    """One request's submission.

    Args:
        headers: what the caller wants of it.
        gateway: of the deployment.
        principal: who submits.
        waiting: for the job.
        response: takes the headers of an answer that holds images.

    Attributes:
        channel: the API that is submitted by.
        location: where a job is found, relative to the path that submits.
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

    async def admit(self, form: CreateImageForm | EditImageForm) -> EngineChoice:
        """Turn away whom a switch or a limit keeps from what is asked for, before anything is done for it."""
        _, choice = await self._gateway.submission.admit(form, self._principal, self.channel)
        return choice

    async def submit(
        self, form: CreateImageForm | EditImageForm, images: Sequence[InputImage] = (), mask: InputImage | None = None
    ) -> list[ImageInfo] | Response:
        """Make a job of the request and wait for it; gives its images, or an answer that says where they will be."""
        job = await self.job(form, images, mask)
        return job if isinstance(job, Response) else image_infos(job, self._gateway.images)

    async def job(
        self,
        form: CreateImageForm | EditImageForm,
        images: Sequence[InputImage],
        mask: InputImage | None,
        response_format: ResponseFormat = "b64_json",
        contents: Contents | None = None,
    ) -> Job | Response:
        """The request's job when it has ended, or the answer that says where its result will be."""
        prefer = self._prefer
        job = await self._gateway.submission.submit(
            form,
            self._principal,
            images=images,
            mask=mask,
            channel=self.channel,
            response_format=response_format,
            contents=contents,
            spent=self._waiting.spent,
            # A job that is done while its caller waits takes as long as it takes.
            queue=prefer.respond_async or prefer.wait is not None,
            claim=claim_for(
                self._principal.owner, form, self._headers.idempotency_key, self._headers.x_stainless_retry_count
            ),
        )
        if prefer.respond_async and prefer.wait is None:
            return self._accepted(job)
        job = await self._waiting.until_ended(job, prefer.wait)
        if job.ended:
            self._response.headers.update(self._applied())
            return job
        if prefer.respond_async:
            return self._accepted(job)
        answer = self._waiting.redirect(job, f"jobs/{job.id}/", 1)
        answer.headers.update(self._applied())
        return answer

    def _accepted(self, job: Job) -> Response:
        described = describe(job, self._gateway.images, self._principal)
        headers = {"Location": self.location.format(id=job.id), **self._applied("respond-async")}
        return JSONResponse(described.model_dump(mode="json", exclude_none=True), 202, headers)

    def _applied(self, *preferences: str) -> dict[str, str]:
        wait = self._prefer.wait
        waited = [f"wait={wait}"] if wait is not None and wait <= self._waiting.longest else []
        applied = ", ".join([*preferences, *waited])
        return {"Preference-Applied": applied} if applied else {}


SubmittingDep = Annotated[Submitting, Depends(on_the_loop(Submitting))]
"""How a route makes a job of what it is sent."""
