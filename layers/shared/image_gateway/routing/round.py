"""One pass through the destinations of a plan: which are next, and what became of each."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from image_gateway.errors import GatewayError
from image_gateway.models.jobs import Job, JobTry
from image_gateway.routing.destination import Destination
from image_gateway.routing.failures import COOLING, NO_SLOT, failure_of, is_passed_over
from image_gateway.routing.plan import Plan

if TYPE_CHECKING:
    from image_gateway.routing.cooldown import Cooldowns

_OF_THE_SERVER: Final = frozenset(
    {"unreachable", "rate_limited", "unavailable", "refused_key", "not_configured", "failed", "timeout"}
)
"""Failures that count for the cooldown. A full server works, and a refused request says nothing about others."""
_ANSWERS: Final = frozenset({"rejected", "content_blocked"})
_MAX_TRIES: Final = 50
"""How many attempts a job's record keeps."""


class Round:
    """One pass through the destinations of a plan.

    Args:
        plan: the plan.
        order: its destinations, in the order in which they are tried.
        cooldowns: the targets that are left alone; None if there is no other target instead.
    """

    def __init__(self, plan: Plan, order: Sequence[Destination], cooldowns: "Cooldowns | None" = None) -> None:
        self.plan = plan
        self._cooldowns = cooldowns
        self._left = [destination for destination in order if destination.problem is None]
        self._failed = [(each, each.problem) for each in order if each.problem]
        self._tries = [_try(destination, error.code) for destination, error in self._failed]
        self._recorded = 0
        self._ignores_cooldown = False
        self._has_started = False
        self._probed = ""

    @property
    def failed(self) -> Sequence[tuple[Destination, GatewayError]]:
        """The destinations that have failed, with their errors, in the order of the attempts."""
        return self._failed

    async def usable(self) -> list[Destination]:
        """Return the destinations that may be tried now, the best first.

        Targets that are left alone are not among them, unless all are. While another destination is left, a destination
        repeats nothing. If servers without a free slot are not passed over, only the first is returned.
        """
        left = self._left
        if self._cooldowns and not self._ignores_cooldown:
            left = await self._not_cooling(self._cooldowns)
            if not left and not self._has_started:
                self._ignores_cooldown, left = True, self._left
        alone = len(self._left) == 1
        usable = [replace(each, repeats=alone) for each in left]
        return usable if NO_SLOT in self.plan.fallback_on else usable[:1]

    async def _not_cooling(self, cooldowns: "Cooldowns") -> list[Destination]:
        """Return the targets that are not left alone. One that was is only tried if it is the best."""
        found: list[Destination] = []
        for destination in self._left:
            key = destination.key
            if key not in cooldowns.all():
                found.append(destination)
            elif not found and await cooldowns.may_try(key, destination.max_seconds):
                self._probed = key
                found.append(destination)
        return found

    async def start(self, chosen: Destination) -> None:
        """Start an attempt at one of the usable destinations. Those before it were passed over."""
        number = next(number for number, each in enumerate(self._left) if each.target == chosen.target)
        if chosen.key != self._probed:
            await self.give_up()
        self._has_started = True
        for passed in self._left[:number]:
            is_cooling = self._cooldowns and not self._ignores_cooldown and passed.key in self._cooldowns.all()
            if is_cooling:
                self._tries.append(_try(passed, COOLING))
            elif self.plan.strategy != "least_busy":
                self._tries.append(_try(passed, NO_SLOT))
        del self._left[number]

    async def give_up(self) -> None:
        """Let other requests try a target that this one has not tried after all, even if its attempt has started."""
        if self._cooldowns and self._probed:
            await self._cooldowns.give_up(self._probed)
        self._probed = ""

    async def end(self, job: Job, destination: Destination, error: GatewayError | None, seconds: float) -> bool:
        """Record what became of an attempt, in this round and in the job.

        Returns:
            Whether another destination may be tried after it.
        """
        self._tries.append(_try(destination, error.code if error else "", seconds))
        if destination.key == self._probed:
            # What follows tells others what became of it.
            self._probed = ""
        if error:
            self._failed.append((destination, error))
        if self._cooldowns:
            failure = failure_of(error) if error else ""
            if error is None or failure in _ANSWERS:
                await self._cooldowns.answered(destination.key)
            elif failure in _OF_THE_SERVER and failure in self.plan.fallback_on:
                await self._cooldowns.failed(destination.key, failure)
            elif destination.key in self._cooldowns.all():
                # It is not known whether the target works.
                await self._cooldowns.give_up(destination.key)
        self._record(job)
        return error is not None and bool(self._left) and is_passed_over(error, self.plan.fallback_on)

    async def close(self, job: Job, error: GatewayError | None) -> GatewayError | None:
        """End the round, and record its outcome in the job: warnings, or an error that lists all attempts.

        Args:
            job: the job, which has succeeded or failed.
            error: why the last attempt failed; None if it has succeeded.

        Returns:
            The error of the job. If all destinations were passed over, it is the first one's.
        """
        await self.give_up()
        if error is None:
            passed = [f"{each.connection} was passed over: {each.code}" for each in self._tries if each.code]
            job.warnings = [*passed, *job.warnings]
            return None
        if self._failed and is_passed_over(error, self.plan.fallback_on):
            error = self._failed[0][1]
        error.may_have_cost = error.may_have_cost or any(other.may_have_cost for _, other in self._failed)
        if self._cooldowns and not self._ignores_cooldown:
            known = self._cooldowns.all()
            self._tries += [_try(passed, COOLING) for passed in self._left if passed.key in known]
        if len(self._tries) > 1:
            tries = "; ".join(f"{each.connection}: {each.code}" for each in self._tries)
            error.detail = f"{error.detail} (attempts: {tries})"
        self._record(job)
        # The error may be that of another attempt than the last, which has said what all of them may have cost.
        uncertain = job.uncertain_usd
        job.fail(error)
        job.uncertain_usd = uncertain
        return error

    def _record(self, job: Job) -> None:
        """Add what is new to the attempts of the job. A request without a route has one attempt, which is the job."""
        if self.plan.route:
            job.tried = [*job.tried, *self._tries[self._recorded :]][-_MAX_TRIES:]
            self._recorded = len(self._tries)


def _try(destination: Destination, code: str, seconds: float = 0.0) -> JobTry:
    model = destination.model or destination.workflow or ""
    return JobTry(connection=destination.connection, model=model, code=code, milliseconds=round(seconds * 1000))
