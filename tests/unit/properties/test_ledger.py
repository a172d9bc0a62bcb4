"""The ledger against a model of it: requests, ends and changes of limits in any order, by clocks that differ."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from hypothesis import Phase
from hypothesis import settings as examples
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from image_gateway.aws import Aws
from image_gateway.errors import GatewayError
from image_gateway.event_loop import run
from image_gateway.metering.ledger import Ledger, Reservation
from image_gateway.metering.limit_store import LimitStore
from image_gateway.metering.periods import KINDS, day_of, minute_of, period_name
from image_gateway.models.limits import Limits
from image_gateway.models.money import from_micros, to_micros
from image_gateway.settings import Settings
from tests.unit.metering.conftest import DECEMBER_1, Jobs

CLOCKS = (0.0, -0.4, 0.3)
"""By how many seconds the clock of each process differs."""
DOLLAR = 1_000_000
BUDGETS = st.none() | st.builds(
    lambda usd, kind: {"usd": usd, "period": kind}, st.sampled_from("0123"), st.sampled_from(KINDS)
)
COUNTS = st.none() | st.integers(1, 3)
AMOUNTS = st.sampled_from([DOLLAR // 4, DOLLAR // 2, DOLLAR, 0])
REQUESTS = st.tuples(st.integers(0, 2), st.sampled_from([(0,), (1,), (0, 1)]), AMOUNTS, st.sampled_from([False, True]))
"""The process, the scopes, what is held, and whether the request is an event."""
_NUMBERS = count(1)


@dataclass
class Charge:
    """What a job holds, or has cost, of the limits of a scope."""

    day: str
    micros: int


@dataclass
class Scope:
    """The limits of a scope, and everything that was charged to them since they exist."""

    limits: Limits
    day: str
    charges: list[Charge] = field(default_factory=list)
    open: int = 0
    minute: int = 0
    hits: int = 0

    def left(self, moment: float) -> int | None:
        """Return what is left of the budget; None if there is none."""
        budget = self.limits.budget
        if budget is None:
            return None
        period = period_name(budget.period, max(self.day, day_of(moment)))
        spent = sum(charge.micros for charge in self.charges if period_name(budget.period, charge.day) == period)
        return to_micros(budget.usd) - spent

    def refusal(self, micros: int, moment: float, *, only_budgets: bool) -> str | None:
        """Return the code of the error with which a request is refused."""
        left, rate, most = self.left(moment), self.limits.requests_per_minute, self.limits.max_jobs
        if left is not None and left < micros:
            return "budget_exceeded"
        hits = self.hits if minute_of(moment) <= self.minute else 0
        if not only_budgets and ((rate and hits >= rate) or (most and self.open >= most)):
            return "rate_limited"
        return None

    def accept(self, micros: int, moment: float, *, only_budgets: bool) -> Charge:
        """Count a request, and return what is charged."""
        self.day = max(self.day, day_of(moment))
        if not only_budgets:
            self.open += 1
            if self.limits.requests_per_minute:
                minute = minute_of(moment)
                self.hits = 1 if minute > self.minute else self.hits + 1
                self.minute = max(self.minute, minute)
        charge = Charge(self.day, micros)
        self.charges.append(charge)
        return charge


@dataclass
class Accepted:
    """A job that was accepted, with its charges by the scopes as they were."""

    id: str
    reservation: Reservation
    charges: list[tuple[Scope, Charge]]
    settled: bool = False


class LedgerMachine(RuleBasedStateMachine):
    """Three processes with their own knowledge and clocks, and what they must have done to the table."""

    def __init__(self, aws: Aws, settings: Settings) -> None:
        super().__init__()
        self.moment = DECEMBER_1
        self.jobs = Jobs(settings)
        number = next(_NUMBERS)
        # The limits of a token are never removed without the token; those of another scope may be, and set again.
        self.names = [f"token:{number}", f"event:{number}"]
        self.scopes: dict[str, Scope] = {}
        self.accepted: list[Accepted] = []
        self.processes = [Ledger(aws, settings, now=self._clock(difference)) for difference in CLOCKS]
        self.stores = [LimitStore(aws, settings, now=self._clock(difference)) for difference in CLOCKS]

    def _clock(self, difference: float) -> Any:
        return lambda: self.moment + difference

    @initialize(
        before=st.sampled_from([0.1, 0.2, 60.1, 7_200]), usd=st.sampled_from("123"), kind=st.sampled_from(KINDS)
    )
    def begin(self, before: float, usd: str, kind: str) -> None:
        """A token with a budget exists. Soon a day and a month end, for one process before another."""
        self.moment = DECEMBER_1 - before
        self.change(0, 1, {"usd": usd, "period": kind}, None, None)

    @rule(unit=st.sampled_from([60, 86_400, 86_400]))
    def come_to_an_end(self, unit: int) -> None:
        """A minute or a day is about to end: for one process it has, for others it has not."""
        self.moment = (self.moment // unit + 1) * unit - 0.1

    @rule()
    def pass_time(self) -> None:
        """Now it has for one process more, or for all."""
        self.moment += 0.2

    @rule(name=st.integers(0, 1), process=st.integers(0, 2), budget=BUDGETS, rate=COUNTS, most=COUNTS)
    def change(
        self, name: int, process: int, budget: dict[str, str] | None, rate: int | None, most: int | None
    ) -> None:
        """Limits are set for the first time, or changed."""
        limits = Limits.model_validate({"budget": budget, "requests_per_minute": rate, "max_jobs": most})
        run(self.stores[process].set_limits(self.names[name], limits))
        if scope := self.scopes.get(self.names[name]):
            scope.limits = limits
        else:
            self.scopes[self.names[name]] = Scope(limits, day_of(self.moment + CLOCKS[process]))

    @rule(limits=BUDGETS)
    def replace(self, limits: dict[str, str] | None) -> None:
        """A scope is forgotten, and has limits again."""
        run(self.stores[0].remove(self.names[1]))
        self.scopes.pop(self.names[1], None)
        self.change(1, 0, limits, None, None)

    @rule(requests=st.lists(REQUESTS, min_size=2, max_size=5))
    def request(self, requests: list[tuple[int, Sequence[int], int, bool]]) -> None:
        """Processes accept or refuse requests, by what is stored and not by what they know."""
        for request in requests:
            self._request(*request)

    def _request(self, process: int, names: Sequence[int], micros: int, event: bool) -> None:
        job_id = f"{self.names[0]}-{len(self.accepted)}-{next(_NUMBERS)}"
        moment = self.moment + CLOCKS[process]
        scopes = [self.scopes[self.names[name]] for name in names if self.names[name] in self.scopes]
        refusals = [scope.refusal(micros, moment, only_budgets=event) for scope in scopes]
        expected = next(filter(None, refusals), None)

        code, reservation = None, None
        try:
            reservation, _ = run(
                self.processes[process].reserve(
                    [self.names[name] for name in names],
                    micros,
                    lambda _: [self.jobs.create(job_id)],
                    only_budgets=event,
                )
            )
        except GatewayError as error:
            code = error.code
        assert code == expected
        if reservation is None:
            return
        charges = [(scope, scope.accept(micros, moment, only_budgets=event)) for scope in scopes]
        self.accepted.append(Accepted(job_id, reservation, charges))

    @precondition(lambda self: self.accepted)
    @rule(data=st.data(), process=st.integers(0, 2))
    def repeat(self, data: st.DataObject, process: int) -> None:
        """The creation of a job is sent again: it holds nothing."""
        job = data.draw(st.sampled_from(self.accepted))
        scopes = [*job.reservation.periods]
        known = [name for name in scopes if name in self.scopes]
        reservation, reasons = run(
            self.processes[process].reserve(known, job.reservation.micros, lambda _: [self.jobs.create(job.id)])
        )
        assert reservation is None
        assert [*reasons] == ["ConditionalCheckFailed"]

    @precondition(lambda self: self.accepted)
    @rule(data=st.data(), micros=AMOUNTS, process=st.integers(0, 2), times=st.sampled_from([1, 3]))
    def end(self, data: st.DataObject, micros: int, process: int, times: int) -> None:
        """A job is settled, by one process or by several: it counts once."""
        job = data.draw(st.sampled_from(self.accepted))
        for number in range(times):
            ledger = self.processes[(process + number) % 3]
            settled = run(ledger.settle(job.reservation, micros, self.jobs.mark(job.id)))
            assert settled is not job.settled
            if settled:
                job.settled = True
                for scope, charge in job.charges:
                    charge.micros = micros
                    scope.open -= 0 if job.reservation.only_budgets else 1

    @invariant()
    def every_scope_is_as_expected(self) -> None:
        """What is left is what was not charged in the period, and the open jobs are those that are not settled."""
        states = run(self.stores[0].states(self.names))
        assert states.keys() == self.scopes.keys()
        for name, scope in self.scopes.items():
            left = scope.left(self.moment)
            assert states[name].remaining_usd == (None if left is None else from_micros(max(0, left)))
            assert states[name].open_jobs == scope.open
            assert scope.open >= 0


def test_the_ledger_is_as_its_model(aws: Aws, settings: Settings) -> None:
    """No budget is exceeded, no request is refused for which there is enough, and every end counts once."""
    thorough = examples().max_examples > 1_000
    some = examples(max_examples=20, stateful_step_count=20, phases=[Phase.generate])
    run_state_machine_as_test(
        lambda: LedgerMachine(aws, settings),  # type: ignore[arg-type]  # whatever makes a machine
        settings=examples(max_examples=500, stateful_step_count=50) if thorough else some,
    )
