"""Responses of the OpenAI channel: a job's images, with warnings in a header."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Depends, Response
from fastapi.responses import RedirectResponse

from image_gateway.api.documented_errors import IMAGE_ERRORS, error_responses
from image_gateway.api.routing import GatewayDep, async_dependency
from image_gateway.api.submission import SUBMISSION_RESPONSES
from image_gateway.api.waiting import DOCUMENTED_LOCATION, WaitingDep
from image_gateway.jobs.execution import ImageContents
from image_gateway.models.jobs import Job, ResponseFormat
from image_gateway.models.openai import ImagesResponse
from image_gateway.openai_api.responses import OpenAIResponseBuilder

WARNINGS_HEADER = "x-image-gateway-warnings"
"""Header with what was not done as requested: RFC 8941 strings, separated by commas."""

DOCUMENTED_WARNINGS: dict[str, Any] = {
    WARNINGS_HEADER: {
        "description": "What was not done as requested: strings, separated by commas.",
        "schema": {"type": "string"},
    }
}
"""The warnings header, for the documentation of responses that may have it."""

_MAX_WARNINGS_LENGTH = 2_000

OPENAI_RESPONSES: dict[int | str, dict[str, Any]] = {
    **SUBMISSION_RESPONSES,
    **error_responses(*IMAGE_ERRORS, is_openai=True),
    200: {"model": ImagesResponse, "description": "The images.", "headers": DOCUMENTED_WARNINGS},
    303: {
        "description": "The job is not done yet: `Location` is the URL of its result, which waits again. Or the job is "
        "done and its response is larger than a function can return: `Location` is a presigned URL of the response.",
        "headers": {**DOCUMENTED_LOCATION, **DOCUMENTED_WARNINGS},
    },
}
"""Documented responses of routes that respond in the format of the OpenAI API."""


class OpenAIResponder:
    """Responds with a job's images.

    Args:
        gateway: the deployment's gateway.
        waiting: knows how much time the request has.
    """

    def __init__(self, gateway: GatewayDep, waiting: WaitingDep) -> None:
        self._waiting = waiting
        self._builder = OpenAIResponseBuilder(gateway.images)

    async def respond(
        self, job: Job, response_format: ResponseFormat | None = None, contents: ImageContents | None = None
    ) -> Response:
        """Return the response to the request of a job.

        Args:
            job: a job that has ended.
            response_format: replaces the format that was requested.
            contents: images that are in memory, by key.

        Raises:
            GatewayError: the job did not succeed, or its response cannot be built.
        """
        requested: ResponseFormat = "url" if job.response_format == "url" else "b64_json"
        body = await self._builder.build(
            job, response_format or requested, contents, remaining=self._waiting.remaining_seconds
        )
        headers = {WARNINGS_HEADER: format_warnings(job.warnings)} if job.warnings else {}
        if body.url:
            # Clients do not send their token to another host. S3 would refuse a token next to a signature.
            return RedirectResponse(body.url, 303, headers)
        return Response(body.content, 200, headers, "application/json")


OpenAIResponderDep = Annotated[OpenAIResponder, Depends(async_dependency(OpenAIResponder))]
"""Responds with a job's images in the format of the OpenAI API."""


def format_warnings(warnings: Sequence[str]) -> str:
    """Return warnings as the value of a header: ASCII, and at most about `_MAX_WARNINGS_LENGTH` characters."""
    strings: list[str] = []
    for warning in warnings:
        text = " ".join(warning.split()).encode("ascii", "replace").decode()
        quoted = '"' + "".join(c for c in text if c.isprintable()).replace("\\", "\\\\").replace('"', '\\"') + '"'
        if sum(map(len, strings)) + len(quoted) > _MAX_WARNINGS_LENGTH:
            strings.append(f'"and {len(warnings) - len(strings)} more, in the response body"')
            break
        strings.append(quoted)
    return ", ".join(strings)
