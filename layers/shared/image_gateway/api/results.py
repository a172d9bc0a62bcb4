"""Results of jobs. Every function that sends callers on to them serves them, for those who came by its own URL."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from image_gateway.api.openai_submitting import ANSWERED, OpenAIImagesDep
from image_gateway.api.ownership import JobDep
from image_gateway.api.routing import Access, GatewayDep, GuardedRoute, access
from image_gateway.api.waiting import MAX_REDIRECTS, NOT_DONE, WaitingDep
from image_gateway.jobs.views import image_infos
from image_gateway.models.images import ImageInfo
from image_gateway.models.jobs import ResponseFormat

Wait = Annotated[int | None, Query(ge=0, description="Seconds to wait at most.")]
Redirects = Annotated[int, Query(ge=0, le=MAX_REDIRECTS, description="How often the caller was sent on.")]


def results(*, documented: bool = False) -> APIRouter:
    """The routes of results; in the documentation of one function only."""
    router = APIRouter(route_class=GuardedRoute, include_in_schema=documented)

    @router.get(
        "/api/v1/images/jobs/{id}/result",  # noqa: FAST003 - `JobDep` has it
        tags=["jobs"],
        response_model=list[ImageInfo],
        response_model_exclude_none=True,
        responses=NOT_DONE,
    )
    @access(Access.USER)
    async def result(
        job: JobDep, gateway: GatewayDep, waiting: WaitingDep, wait: Wait = None, redirects: Redirects = 0
    ) -> list[ImageInfo] | Response:
        """What the request of the job would have been answered: its images, or its error. Waits for the job's end."""
        job = await waiting.until_ended(job, wait)
        return image_infos(job, gateway.images) if job.ended else waiting.redirect(job, "", redirects + 1)

    @router.get(
        "/v1/images/jobs/{id}/result",  # noqa: FAST003 - as above
        tags=["OpenAI"],
        responses={status: answer for status, answer in ANSWERED.items() if status != 202},
    )
    @access(Access.USER)
    async def openai_result(
        *,
        job: JobDep,
        waiting: WaitingDep,
        openai: OpenAIImagesDep,
        wait: Wait = None,
        redirects: Redirects = 0,
        response_format: Annotated[
            ResponseFormat | None, Query(description="Instead of the one that the request asked for.")
        ] = None,
    ) -> Response:
        """What the request of the job would have been answered by the OpenAI API, whichever way it came in."""
        job = await waiting.until_ended(job, wait)
        if job.ended:
            return await openai.respond(job, response_format)
        query = {"response_format": response_format} if response_format else {}
        # One hop is spared for an answer that lies in the bucket.
        return waiting.redirect(job, "", redirects + 1, most=MAX_REDIRECTS - 1, query=query)

    return router
