"""Routes of job results.

Each function that redirects to results has these routes, because a caller who used the function's own URL is redirected
to the same URL.
"""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from image_gateway.api.openai_responses import OPENAI_RESPONSES, OpenAIResponderDep
from image_gateway.api.owned_resources import JobDep
from image_gateway.api.routing import Access, GatewayDep, access, create_router
from image_gateway.api.waiting import MAX_REDIRECTS, WAIT_RESPONSES, WaitingDep
from image_gateway.errors import StorageUnavailable
from image_gateway.jobs.unmarked_repetitions import expect_retry_of_unanswered
from image_gateway.jobs.views import image_infos
from image_gateway.models.images import ImageInfo
from image_gateway.models.jobs import ResponseFormat

Wait = Annotated[int | None, Query(ge=0, description="Maximum seconds to wait.")]
Redirects = Annotated[
    int, Query(ge=0, le=MAX_REDIRECTS, description="How often the caller was redirected. `Location` sets it.")
]


def result_router(*, documented: bool = False) -> APIRouter:
    """Create the routes of results. `documented` is set by one function only, so that OpenAPI has the routes once."""
    router = create_router(include_in_schema=documented)

    @router.get(
        "/api/v1/images/jobs/{id}/result",
        tags=["jobs"],
        response_model=list[ImageInfo],
        response_model_exclude_none=True,
        responses=WAIT_RESPONSES,
    )
    @access(Access.USER)
    async def result(
        job: JobDep, gateway: GatewayDep, waiting: WaitingDep, wait: Wait = None, redirects: Redirects = 0
    ) -> list[ImageInfo] | Response:
        """Wait for a job, and return its images or its error."""
        job = await waiting.wait(job, wait)
        return image_infos(job, gateway.images) if job.ended else waiting.redirect(job, "", redirects + 1)

    @router.get(
        "/v1/images/jobs/{id}/result",
        tags=["OpenAI"],
        summary="OpenAI Result",
        responses={status: response for status, response in OPENAI_RESPONSES.items() if status != 202},
    )
    @access(Access.USER)
    async def openai_result(
        *,
        job: JobDep,
        gateway: GatewayDep,
        waiting: WaitingDep,
        responder: OpenAIResponderDep,
        wait: Wait = None,
        redirects: Redirects = 0,
        response_format: Annotated[
            ResponseFormat | None, Query(description="Replaces the `response_format` of the request.")
        ] = None,
    ) -> Response:
        """Wait for a job of any channel, and return its images or its error in the format of the OpenAI API."""
        job = await waiting.wait(job, wait)
        if job.ended:
            try:
                return await responder.respond(job, response_format)
            except StorageUnavailable:
                # A client that followed a redirect repeats the request, not the reading of its result.
                await expect_retry_of_unanswered(gateway.jobs, job)
                raise
        query = {"response_format": response_format} if response_format else {}
        return waiting.redirect(job, "", redirects + 1, query=query)

    return router
