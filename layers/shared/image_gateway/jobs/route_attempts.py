"""Attempts at a running job: at one destination after the other, until one has done it."""

import logging
from collections.abc import Awaitable, Callable
from decimal import Decimal

from image_gateway.errors import GatewayError, StorageUnavailable
from image_gateway.models.jobs import Job
from image_gateway.models.money import to_micros
from image_gateway.routing.destination import Destination
from image_gateway.routing.round import Round

logger = logging.getLogger(__name__)

Attempt = Callable[[Destination], Awaitable[GatewayError | None]]
"""Runs a job at a destination, and sets the job's status."""
Choose = Callable[[list[Destination]], Awaitable[Destination | None]]
"""Chooses one of the usable destinations; None if the job cannot be passed on now."""
Move = Callable[[], Awaitable[bool]]
"""Records where the job goes now; returns False if another process has ended the job or holds it."""


async def start_next(round_: Round, job: Job) -> Destination:
    """Start an attempt at the best destination of a round, and record it in the job.

    Raises:
        GatewayError: no destination can be used; this is the error of the first.
    """
    usable = await round_.usable()
    if not usable:
        raise round_.failed[0][1]
    await round_.start(usable[0])
    usable[0].record_in(job)
    return usable[0]


async def run_round(
    round_: Round,
    job: Job,
    destination: Destination,
    *,
    attempt: Attempt,
    choose: Choose,
    move: Move,
    clock: Callable[[], float],
) -> GatewayError | None:
    """Attempt a running job at its destinations, and set its status to `succeeded` or `failed`.

    Before the job is passed on, its record says where it goes. So whoever takes a dead process's place knows which
    server may have been paid.

    Args:
        round_: the round, in which the attempt at the first destination has started.
        job: the job.
        destination: the first destination.
        attempt: runs the job at a destination.
        choose: chooses the next destination.
        move: records where the job goes.
        clock: returns monotonic seconds.

    Returns:
        The job's error; None if it has succeeded.
    """
    while True:
        started = clock()
        error = await attempt(destination)
        if not await round_.end(job, destination, error, clock() - started):
            break
        usable = await round_.usable()
        chosen = await choose(usable) if usable else None
        if chosen is None:
            break
        if not await _move(job, chosen, move):
            destination.record_in(job)
            break
        await round_.start(chosen)
        destination = chosen
    return await round_.close(job, error)


async def _move(job: Job, destination: Destination, move: Move) -> bool:
    job.at_risk = to_micros(job.uncertain_usd or Decimal(0))
    destination.record_in(job)
    job.reopen("running")
    try:
        return await move()
    except StorageUnavailable as error:
        # It is not known whether the record names the next destination, so nothing may be paid there.
        logger.warning("a job was not passed on", extra={"job_id": job.id, "reason": error.detail})
        return False
