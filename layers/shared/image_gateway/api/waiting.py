"""Waiting for a job as long as a channel allows, and sending callers on to its result when it has not ended by then.

API Gateway cuts a request after 30 s. A caller whose job takes longer is redirected to the job's result, which waits
again. A `Location` is relative to the request's path, so that it holds under any host, stage or base path.
"""

import math
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Depends, Request, Response

from image_gateway.api.documented_errors import MAKING, refusals
from image_gateway.api.problems import not_done
from image_gateway.api.routing import GatewayDep, on_the_loop
from image_gateway.errors import EngineTimeout
from image_gateway.models.images import Problem
from image_gateway.models.jobs import Job
from image_gateway.settings import Settings

MAX_REDIRECTS = 9
"""How often a caller is sent on: some clients follow no more than ten redirects."""

LOCATION: dict[str, Any] = {"Location": {"required": True, "schema": {"type": "string"}}}
"""For the documentation of answers that lead elsewhere."""

NOT_DONE: dict[int | str, dict[str, Any]] = {
    303: {
        "model": Problem,
        "description": "Not done yet: `Location` leads to the result, which waits on.",
        "headers": LOCATION,
    },
    **refusals(*MAKING),
}
"""For the documentation of routes that wait."""


def longest_wait(event: Mapping[str, Any], settings: Settings) -> float:
    """Seconds that the channel of `event` lets a request wait. API Gateway does not stand before a function URL."""
    domain = str(event.get("requestContext", {}).get("domainName", ""))
    is_function_url = ".lambda-url." in domain and domain.endswith(".on.aws")
    return settings.wait_seconds_url if is_function_url else settings.wait_seconds


def seconds_spent(event: Mapping[str, Any], clock: Callable[[], float] = time.time) -> float:
    """Seconds since a request arrived at AWS: a cold start is part of them.

    Args:
        event: of API Gateway or a function URL; its `timeEpoch` is in milliseconds since 1970.
        clock: seconds since 1970.
    """
    now = clock()
    return float(max(0.0, now - event.get("requestContext", {}).get("timeEpoch", now * 1000) / 1000))


def seconds_left(event: Mapping[str, Any], allowed: float, clock: Callable[[], float] = time.time) -> float:
    """Seconds that are left of those a request may wait; arguments as those of `seconds_spent`."""
    return max(0.0, allowed - seconds_spent(event, clock))


class Waiting:
    """One request's waiting for its job.

    Args:
        request: the request; says when it arrived and by which channel.
        gateway: of the deployment.
    """

    def __init__(self, request: Request, gateway: GatewayDep) -> None:
        self._request = request
        self._submission = gateway.submission
        self._event: Mapping[str, Any] = request.scope.get("aws.event", {})
        self.longest = longest_wait(self._event, gateway.settings)

    @property
    def spent(self) -> float:
        """Seconds since the request arrived."""
        return seconds_spent(self._event)

    async def until_ended(self, job: Job, wished: float | None = None) -> Job:
        """Wait for a job's end; gives the job as it is then, or when the time is up.

        Args:
            job: as it was read last.
            wished: seconds that the caller wants to wait; None for as long as can be.
        """
        allowed = self.longest if wished is None else min(self.longest, wished)
        return await self._submission.wait(job, seconds_left(self._event, allowed))

    def redirect(
        self,
        job: Job,
        folder: str,
        redirects: int,
        *,
        most: int = MAX_REDIRECTS,
        query: Mapping[str, str] | None = None,
    ) -> Response:
        """Redirect the caller to the job's result.

        Args:
            job: which has not ended.
            folder: where the result is, relative to the request's path; empty or ending with a slash.
            redirects: how often the caller has been redirected, this time included.
            most: how often that may be.
            query: what else the result needs to know.

        Raises:
            EngineTimeout: that is too often.
        """
        if redirects > most:
            said = f"The job {job.id} has not ended yet. It goes on: ask for it later instead of sending it again"
            raise EngineTimeout(said, may_have_cost=True)
        requested = urlencode({"wait": math.ceil(self.longest), "hop": redirects, **(query or {})})
        return not_done(self._request, job.id, f"{folder}result?{requested}")


WaitingDep = Annotated[Waiting, Depends(on_the_loop(Waiting))]
"""How a route waits for a job."""
