"""Submits requests of the OpenAI channel over HTTP."""

from typing import TYPE_CHECKING, Annotated, ClassVar

from fastapi import Depends, Response

from image_gateway.api.openai_responses import OpenAIResponderDep
from image_gateway.api.routing import async_dependency
from image_gateway.api.submission import HttpSubmission
from image_gateway.errors import StorageUnavailable
from image_gateway.jobs.submission import LoadInputs
from image_gateway.models.jobs import Channel
from image_gateway.models.openai import ImageEditParams, ImageGenerateParams

if TYPE_CHECKING:
    from image_gateway.jobs.execution import ImageContents


class _OpenAIHttpSubmission(HttpSubmission):
    channel: ClassVar[Channel] = "openai"
    location: ClassVar[str] = "jobs/{id}/result"


class OpenAISubmission:
    """The submission of one HTTP request of the OpenAI channel.

    Args:
        submission: creates the job.
        responder: responds with the job's images.
        response: has the headers of a response that has images.
    """

    def __init__(
        self,
        submission: Annotated[_OpenAIHttpSubmission, Depends(async_dependency(_OpenAIHttpSubmission))],
        responder: OpenAIResponderDep,
        response: Response,
    ) -> None:
        self._submission = submission
        self._responder = responder
        self._response = response

    def remaining_seconds(self) -> float:
        """Return the seconds that are left for the response to leave in time."""
        return self._submission.remaining_seconds()

    async def submit(
        self, params: ImageGenerateParams | ImageEditParams, load_inputs: LoadInputs | None = None
    ) -> Response:
        """Create a job for the request and wait for it. The response has the job's images or its result's location."""
        contents: ImageContents | None = None if params.response_format == "url" else {}
        job = await self._submission.create_job(params, load_inputs, params.response_format, contents)
        if isinstance(job, Response):
            return job
        try:
            response = await self._responder.respond(job, contents=contents)
        except StorageUnavailable as error:
            # The images are paid for, and the same request would make others.
            error.may_have_cost = True
            await self._submission.expect_retry_of_unanswered(job)
            raise
        response.headers.update(self._response.headers)
        return response


OpenAISubmissionDep = Annotated[OpenAISubmission, Depends(async_dependency(OpenAISubmission))]
"""Submits the request to the `openai` channel."""
