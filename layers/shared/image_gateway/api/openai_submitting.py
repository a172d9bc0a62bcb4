"""The OpenAI channel over HTTP: submitting by it, and its answers."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from fastapi import Depends, Response
from fastapi.responses import RedirectResponse

from image_gateway.api.routing import GatewayDep, on_the_loop
from image_gateway.api.submitting import SUBMITTED, Submitting
from image_gateway.api.waiting import LOCATION
from image_gateway.engines.protocol import InputImage
from image_gateway.errors import InvalidRequest
from image_gateway.jobs.image_service import Contents
from image_gateway.models.jobs import Channel, Job, ResponseFormat
from image_gateway.models.openai import ImageEditParams, ImageGenerateParams, ImagesResponse
from image_gateway.openai_api.responses import OpenAIAnswers

WARNINGS = "x-image-gateway-warnings"
"""The header that says what was not done as asked: strings as of RFC 8941, separated by commas."""

WARNED: dict[str, Any] = {
    WARNINGS: {"description": "What was not done as asked: strings, separated by commas.", "schema": {"type": "string"}}
}
"""For the documentation of answers that may hold warnings."""

_MAX_WARNINGS = 2_000

ANSWERED: dict[int | str, dict[str, Any]] = {
    **SUBMITTED,
    200: {"model": ImagesResponse, "description": "The images.", "headers": WARNED},
    303: {
        "description": "Not done yet: `Location` leads to the result, which waits on. Or done, and longer than a "
        "function can answer: `Location` is a presigned URL of the answer.",
        "headers": {**LOCATION, **WARNED},
    },
}
"""For the documentation of routes that answer as the OpenAI API does."""


class OpenAIImages:
    """Answers with a job's images.

    Args:
        gateway: of the deployment.
    """

    def __init__(self, gateway: GatewayDep) -> None:
        self._answers = OpenAIAnswers(gateway.images)

    async def respond(
        self, job: Job, response_format: ResponseFormat | None = None, contents: Contents | None = None
    ) -> Response:
        """What a request is answered whose job has ended.

        Args:
            job: which has ended.
            response_format: None for what its request asked for.
            contents: images by their keys that are at hand.

        Raises:
            GatewayError: the job did not succeed, or its answer cannot be given.
        """
        answer = await self._answers.answer(job, response_format or job.response_format, contents)
        headers = {WARNINGS: warnings_header(job.warnings)} if job.warnings else {}
        if answer.elsewhere:
            # Clients leave their token out when they are sent to another host; S3 would refuse it beside a signature.
            return RedirectResponse(answer.elsewhere, 303, headers)
        return Response(answer.body, 200, headers, "application/json")


OpenAIImagesDep = Annotated[OpenAIImages, Depends(on_the_loop(OpenAIImages))]
"""How a route answers with images."""


class _OpenAISubmitting(Submitting):
    channel: ClassVar[Channel] = "openai"
    location: ClassVar[str] = "jobs/{id}/result"


class OpenAISubmitting:
    """One request's submission by the OpenAI channel.

    Args:
        submitting: makes its job.
        images: answers it.
        response: has the headers of an answer that holds images.
    """

    def __init__(
        self,
        submitting: Annotated[_OpenAISubmitting, Depends(on_the_loop(_OpenAISubmitting))],
        images: OpenAIImagesDep,
        response: Response,
    ) -> None:
        self._submitting = submitting
        self._images = images
        self._response = response

    async def admit(self, params: ImageGenerateParams | ImageEditParams) -> None:
        """Turn away whom a switch or a limit keeps from what is asked for, before anything is done for it.

        Raises:
            InvalidRequest: the engine makes no images of that format, and none can be converted to it.
        """
        choice = await self._submitting.admit(params)
        if params.output_format == "gif" and choice.engine != "openai":
            said = f"output_format: {choice.engine} makes no gif: choose png, jpeg or webp"
            raise InvalidRequest(said, field="output_format")

    async def submit(
        self,
        params: ImageGenerateParams | ImageEditParams,
        images: Sequence[InputImage] = (),
        mask: InputImage | None = None,
    ) -> Response:
        """Make a job of the request and wait for it; the answer holds its images, or says where they will be."""
        contents: Contents | None = {} if params.response_format == "b64_json" else None
        job = await self._submitting.job(params, images, mask, params.response_format, contents)
        if isinstance(job, Response):
            return job
        answer = await self._images.respond(job, contents=contents)
        answer.headers.update(self._response.headers)
        return answer


OpenAISubmittingDep = Annotated[OpenAISubmitting, Depends(on_the_loop(OpenAISubmitting))]
"""How a route of the OpenAI channel makes a job of what it is sent."""


def warnings_header(warnings: Sequence[str]) -> str:
    """Warnings as the value of a header: ASCII, and not longer than about `_MAX_WARNINGS` characters."""
    strings: list[str] = []
    for warning in warnings:
        text = " ".join(warning.split()).encode("ascii", "replace").decode()
        quoted = '"' + "".join(c for c in text if c.isprintable()).replace("\\", "\\\\").replace('"', '\\"') + '"'
        if sum(map(len, strings)) + len(quoted) > _MAX_WARNINGS:
            strings.append(f'"and {len(warnings) - len(strings)} more, in the answer\'s body"')
            break
        strings.append(quoted)
    return ", ".join(strings)
