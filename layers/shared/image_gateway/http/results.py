"""Results of jobs. Every function that sends callers on to them serves them, for those who came by its own URL."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from image_gateway.http.openai_door import ANSWERED, OpenAIPicturesDep
from image_gateway.http.owned import JobDep
from image_gateway.http.routing import Access, GatewayDep, GuardedRoute, access
from image_gateway.http.waiting import MAX_HOPS, NOT_DONE, WaitingDep
from image_gateway.models.jobs import ResponseFormat
from image_gateway.models.pictures import Picture
from image_gateway.presentation import pictures

Wait = Annotated[int | None, Query(ge=0, description="Seconds to wait at most.")]
Hop = Annotated[int, Query(ge=0, le=MAX_HOPS, description="How often the caller was sent on.")]


def results(*, documented: bool = False) -> APIRouter:
    """The routes of results; in the documentation of one function only."""
    router = APIRouter(route_class=GuardedRoute, include_in_schema=documented)

    @router.get(
        "/api/v1/images/jobs/{id}/result",  # noqa: FAST003 - `JobDep` has it
        tags=["jobs"],
        response_model=list[Picture],
        response_model_exclude_none=True,
        responses=NOT_DONE,
    )
    @access(Access.USER)
    async def result(
        job: JobDep, gateway: GatewayDep, waiting: WaitingDep, wait: Wait = None, hop: Hop = 0
    ) -> list[Picture] | Response:
        """What the request of the job would have been answered: its pictures, or its error. Waits for the job's end."""
        job = await waiting.until_ended(job, wait)
        return pictures(job, gateway.images) if job.ended else waiting.send_on(job, "", hop + 1)

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
        openai: OpenAIPicturesDep,
        wait: Wait = None,
        hop: Hop = 0,
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
        return waiting.send_on(job, "", hop + 1, most=MAX_HOPS - 1, query=query)

    return router
