"""A deployment's limits in moto's server, with a clock of the test's."""

from collections.abc import Mapping
from typing import Any

import pytest

from image_gateway.aws import Aws
from image_gateway.metering.ledger import Ledger
from image_gateway.metering.limit_store import LimitStore
from image_gateway.settings import Settings

NOVEMBER_29 = 1_795_910_400.0
"""2026-11-29, 00:00 UTC."""
DECEMBER_1 = NOVEMBER_29 + 2 * 86_400


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.seconds = NOVEMBER_29 + 43_200

    def now(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limits(aws: Aws, settings: Settings, clock: Clock) -> LimitStore:
    return LimitStore(aws, settings, now=clock.now)


@pytest.fixture
def ledger(aws: Aws, settings: Settings, clock: Clock) -> Ledger:
    """The ledger as one process has it."""
    return Ledger(aws, settings, now=clock.now)


class Jobs:
    """Job items that hold nothing but the mark of their settlement."""

    def __init__(self, settings: Settings) -> None:
        self._table = settings.table

    def create(self, job_id: str) -> Mapping[str, Any]:
        """Return the write of a new job."""
        item = {"pk": {"S": f"job#{job_id}"}}
        return {"Put": {"TableName": self._table, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}}

    def mark(self, job_id: str) -> Mapping[str, Any]:
        """Return the write that marks a job as settled, once."""
        return {
            "Update": {
                "TableName": self._table,
                "Key": {"pk": {"S": f"job#{job_id}"}},
                "UpdateExpression": "SET settled = :true",
                "ConditionExpression": "attribute_exists(pk) AND attribute_not_exists(settled)",
                "ExpressionAttributeValues": {":true": {"BOOL": True}},
            }
        }


@pytest.fixture
def jobs(settings: Settings) -> Jobs:
    return Jobs(settings)
