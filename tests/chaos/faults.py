"""Which requests to AWS fail, and how: single requests and short rows of them, and outages of a service."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import NamedTuple

SERVICES = ("dynamodb", "s3", "sqs", "ssm", "events")
"""The services that the gateway uses, by the names that requests are signed for."""

_LONGEST_ROW = 8
"""Longer than the attempts of one call to AWS, so that some calls fail with all their attempts."""


class Fault(Enum):
    """How a request fails. `AFTER`: it is executed, and its response is lost."""

    ERROR = "500"
    UNAVAILABLE = "503"
    THROTTLED = "throttled"
    CUT = "cut"
    CUT_AFTER = "cut after execution"
    SILENCE = "silence"
    SILENCE_AFTER = "silence after execution"
    CONFLICT = "conflict with a transaction"


_SINGLE = {
    Fault.ERROR: 20,
    Fault.UNAVAILABLE: 20,
    Fault.THROTTLED: 20,
    Fault.CUT: 15,
    Fault.CUT_AFTER: 20,
    Fault.SILENCE: 2,
    Fault.SILENCE_AFTER: 3,
}
"""How often each kind is chosen. Silence is rare, because each takes a function as long as it waits for a response."""

_WRITES = frozenset({"TransactWriteItems", "PutItem", "UpdateItem", "DeleteItem"})
"""The operations of DynamoDB that conflict with transactions. AWS reports that on busy items, and moto never does."""

_OUTAGES = (Fault.ERROR, Fault.UNAVAILABLE, Fault.THROTTLED, Fault.CUT, Fault.SILENCE)


class Call(NamedTuple):
    """A request to AWS: the service, and the operation or, for S3, the HTTP method."""

    service: str
    operation: str


class FaultPlan:
    """Chooses which requests fail.

    Args:
        chance: the source of random numbers.
        share: the share of requests, from 0 to 1, at which a row of failures begins.

    Attributes:
        share: see above; it can be changed at any time.
        conflicts: the share of writes to DynamoDB, from 0 to 1, that are refused because of another transaction.
        failures: how many requests failed, outside outages and during them.
        outages: the outages so far, each as the service and how it failed.
    """

    def __init__(self, chance: random.Random, share: float) -> None:
        self._chance = chance
        self.share = share
        self.conflicts = 0.0
        self.failures = 0
        self.outages: list[tuple[str, Fault]] = []
        self._down: dict[str, Fault] = {}
        self._rows: dict[str, tuple[Fault, int]] = {}

    def choose(self, call: Call) -> Fault | None:
        """Return how a request fails; None if it succeeds."""
        fault = self._down.get(call.service) or self._in_row(call.service) or self._conflict(call)
        self.failures += fault is not None
        return fault

    @contextmanager
    def outage(self, service: str) -> Iterator[None]:
        """Let all requests to a service fail for the duration of the block."""
        fault = self._chance.choice(_OUTAGES)
        self.outages.append((service, fault))
        self._down[service] = fault
        try:
            yield
        finally:
            del self._down[service]

    def _conflict(self, call: Call) -> Fault | None:
        is_write = call.service == "dynamodb" and call.operation in _WRITES
        return Fault.CONFLICT if self.conflicts and is_write and self._chance.random() < self.conflicts else None

    def _in_row(self, service: str) -> Fault | None:
        """Continue a row of failures, or begin one; most have only one."""
        fault, left = self._rows.pop(service, (None, 0))
        if fault is None and self._chance.random() < self.share:
            (fault,) = self._chance.choices(list(_SINGLE), list(_SINGLE.values()))
            left = min(_LONGEST_ROW, int(self._chance.expovariate(0.7)) + 1)
        if fault is not None and left > 1:
            self._rows[service] = (fault, left - 1)
        return fault
