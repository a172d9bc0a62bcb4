"""Waits for a job as long as a channel allows, and redirects callers to the result of a job that takes longer.

API Gateway cuts off a request after 30 s. The caller of a longer job is redirected to the job's result, which waits
again. `Location` is relative to the path of the request, so that it is valid under any host, stage or base path.
"""

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, Request, Response

from image_gateway.api.documented_errors import IMAGE_ERRORS, error_responses
from image_gateway.api.problems import not_done_response
from image_gateway.api.routing import GatewayDep, async_dependency
from image_gateway.errors import EngineTimeout
from image_gateway.models.images import Problem
from image_gateway.models.jobs import Job
from image_gateway.models.money import format_usd
from image_gateway.routing.destination import connection_of
from image_gateway.settings import Settings

MAX_REDIRECTS = 9
"""Maximum number of redirects for a request: some clients follow no more than nine, others no more than ten.

With ten waits of 25 s, the caller of a job gets its result if the engine takes as long as it may by default, 240 s.
"""

_COMPLETION_SECONDS = 3.0
"""Seconds beyond the wait in which images, record and response are stored: the response leaves within 30 seconds."""

_END_SECONDS = 5.0
"""Seconds before a job's lease ends at which its images are given up: its end is stored and announced in them."""

DOCUMENTED_LOCATION: dict[str, Any] = {"Location": {"required": True, "schema": {"type": "string"}}}
"""The `Location` header, for the documentation of responses that have it."""

WAIT_RESPONSES: dict[int | str, dict[str, Any]] = {
    303: {
        "model": Problem,
        "description": "The job is not done yet: `Location` is the URL of its result, which waits again.",
        "headers": DOCUMENTED_LOCATION,
    },
    **error_responses(*IMAGE_ERRORS),
}
"""Documented responses of routes that wait for a job."""


def max_wait_seconds(event: Mapping[str, Any], settings: Settings) -> float:
    """Return how many seconds the request of `event` may wait. API Gateway's limit does not apply to function URLs."""
    domain = str(event.get("requestContext", {}).get("domainName", ""))
    is_function_url = ".lambda-url." in domain and domain.endswith(".on.aws")
    return settings.wait_seconds_url if is_function_url else settings.wait_seconds


def elapsed_seconds(event: Mapping[str, Any], clock: Callable[[], float] = time.time) -> float:
    """Return the seconds since a request arrived at AWS, which include a cold start.

    Args:
        event: from API Gateway or a function URL; its `timeEpoch` is in milliseconds since 1970.
        clock: returns seconds since 1970.
    """
    now = clock()
    return float(max(0.0, now - event.get("requestContext", {}).get("timeEpoch", now * 1000) / 1000))


def remaining_seconds(event: Mapping[str, Any], allowed: float, clock: Callable[[], float] = time.time) -> float:
    """Return the seconds that are left of the `allowed` seconds. The other arguments are those of `elapsed_seconds`."""
    return max(0.0, allowed - elapsed_seconds(event, clock))


class Waiting:
    """Waits for the job of one request.

    Args:
        request: the request, with its arrival time and its channel.
        gateway: the deployment's gateway.

    Attributes:
        max_seconds: how long the request may wait, from its arrival.
    """

    def __init__(self, request: Request, gateway: GatewayDep) -> None:
        self._request = request
        self._submission = gateway.submission
        self._job_seconds = gateway.settings.function_timeout_seconds
        self._event: Mapping[str, Any] = request.scope.get("aws.event", {})
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self.max_seconds = max_wait_seconds(self._event, gateway.settings)

    @property
    def request_headers(self) -> Mapping[str, str]:
        """The headers of the request that waits."""
        return self._request.headers

    @property
    def elapsed_seconds(self) -> float:
        """Seconds since the request arrived."""
        return elapsed_seconds(self._event)

    def remaining_seconds(self) -> float:
        """Return the seconds that are left for the response to leave in time. This can be negative."""
        return self.max_seconds + _COMPLETION_SECONDS - self._elapsed()

    def storing_seconds(self) -> float:
        """Return the seconds that are left for storing what was paid for, after which no response may reach the caller.

        The function goes on when the API has given its response up, but not for longer than it holds its job. This can
        be negative.
        """
        return self._job_seconds - _END_SECONDS - self._elapsed()

    def _elapsed(self) -> float:
        return max(self.elapsed_seconds, self._loop.time() - self._started)

    async def wait(self, job: Job, seconds: float | None = None) -> Job:
        """Wait until a job ends or the time is up, and return the job in its latest state.

        Args:
            job: the job as it was last read.
            seconds: how long the caller wants to wait; None for as long as possible.
        """
        allowed = self.max_seconds if seconds is None else min(self.max_seconds, seconds)
        job = await self._submission.wait(job, remaining_seconds(self._event, allowed))
        self.show_connection(job)
        return job

    def show_connection(self, job: Job) -> None:
        """Name, in the response's headers, the connection that a job has used or will use, if that is known."""
        self._request.state.connection = connection_of(job)
        self._request.state.cost = format_usd(job.cost.usd) if job.cost else ""

    def redirect(
        self,
        job: Job,
        folder: str,
        redirects: int,
        *,
        query: Mapping[str, str] | None = None,
    ) -> Response:
        """Redirect the caller to a job's result.

        Args:
            job: a job that has not ended.
            folder: path of the result's folder relative to the request's path; empty or ending with a slash.
            redirects: number of redirects of this caller, including this one.
            query: further query parameters of the result's URL.

        Raises:
            EngineTimeout: there were too many redirects.
        """
        if redirects > MAX_REDIRECTS:
            message = (
                f"The job {job.id} has not ended yet. It is still running: read its result later instead of sending "
                "the request again"
            )
            raise EngineTimeout(message, may_have_cost=True)
        parameters = urlencode({"wait": math.ceil(self.max_seconds), "redirects": redirects, **(query or {})})
        return not_done_response(self._request, job.id, f"{folder}result?{parameters}")


WaitingDep = Annotated[Waiting, Depends(async_dependency(Waiting))]
"""Waits for the job of a request."""
