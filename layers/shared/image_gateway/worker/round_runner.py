"""Runs a leased job through a round: at one destination after the other, until one has done it."""

import uuid
from contextlib import AsyncExitStack
from time import monotonic

from image_gateway.aws import Remaining
from image_gateway.errors import Busy, GatewayError, StorageUnavailable
from image_gateway.jobs.route_attempts import run_round
from image_gateway.jobs.store import JobStore
from image_gateway.models.jobs import Job
from image_gateway.routing.destination import Destination
from image_gateway.routing.round import Round
from image_gateway.worker.attempt_runner import AttemptRunner
from image_gateway.worker.completion import GRACE_SECONDS, MARGIN_SECONDS
from image_gateway.worker.slots import Reservation, Slots

COMPLETION_SECONDS = 8.0
"""Seconds reserved at the end of an invocation to store a job's completion."""


class RoundRunner:
    """Runs one leased job through its round.

    Args:
        jobs: where jobs are stored.
        attempts: runs the attempts.
        slots: limits the jobs that run concurrently.
        round_: the round, in which the attempt at the first destination has started.
        held: holds the slot of the present destination.

    Attributes:
        round: the round.
        holder: who holds the job's lease.
    """

    def __init__(
        self,
        *,
        jobs: JobStore,
        attempts: AttemptRunner,
        slots: Slots,
        round_: Round,
        held: AsyncExitStack,
    ) -> None:
        self._jobs = jobs
        self._attempts = attempts
        self._slots = slots
        self.round = round_
        self.holder = uuid.uuid4().hex
        self._held = held

    async def run(self, job: Job, memory: Reservation, remaining: Remaining) -> GatewayError | None:
        """Attempt the job at its destinations, and set its status to `succeeded` or `failed`. The end is not stored.

        Args:
            job: the job.
            memory: the memory of the first destination, whose slot is held.
            remaining: returns the seconds that the invocation has left. The job is not passed on if the time does not
                suffice.

        Returns:
            Why it failed; None if it succeeded.
        """

        async def attempt(destination: Destination) -> GatewayError | None:
            return await self._attempts.run(
                job,
                destination,
                lambda: remaining() - COMPLETION_SECONDS,
                engine_seconds=destination.max_seconds,
                inputs_read=memory.shrink,
            )

        async def choose(usable: list[Destination]) -> Destination | None:
            nonlocal memory
            # The slot of the server that has failed is not kept while the job waits for another one.
            await self._held.aclose()
            required = max(destination.max_seconds for destination in usable) + MARGIN_SECONDS
            if remaining() < required:
                return None
            try:
                slot = self._slots.hold(job, *usable, max_wait_seconds=remaining() - required)
                memory = await self._held.enter_async_context(slot)
            except (Busy, StorageUnavailable):
                return None
            return memory.destination

        async def move() -> bool:
            return await self._jobs.move(job, self.holder, remaining() + GRACE_SECONDS)

        return await run_round(
            self.round, job, memory.destination, attempt=attempt, choose=choose, move=move, clock=monotonic
        )
