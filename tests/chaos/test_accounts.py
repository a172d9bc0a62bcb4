"""The accounts find each kind of wrong charge: every check can fail."""

from decimal import Decimal
from typing import Any

import pytest

from image_gateway.metering.limit_item import LimitItem
from image_gateway.metering.usage import UsageCounts
from image_gateway.models.jobs import Job, JobCost
from tests.chaos.accounts import charges, wrong_charges
from tests.chaos.meter import PaidImage
from tests.chaos.outcome import Findings

SCOPE = "token:1"
CENTS_10 = 100_000


def job(**fields: Any) -> Job:
    """Return a settled job with one image for ten cents, accepted with the limits of the scope."""
    values: dict[str, Any] = {
        "id": "job-1",
        "kind": "generation",
        "owner": SCOPE,
        "status": "succeeded",
        "request": {"prompt": "chaos-1 a fox"},
        "periods": {SCOPE: "2026-11-29#new"},
        "cost": JobCost(usd=Decimal("0.10"), basis="price"),
        "settled": True,
    }
    return Job.model_validate({**values, **fields})


def limits(**fields: Any) -> LimitItem:
    """Return the scope's limits after the job."""
    values: dict[str, Any] = {"series": "new", "kind": "total", "limit": CENTS_10, "max_open": 9, "rate": 9}
    return LimitItem(**{**values, "day": "2026-11-29", "spent_total": CENTS_10, **fields})


def wrong(*jobs: Job, **fields: Any) -> list[str]:
    """Return what is wrong in a run with one paid image; by default nothing is."""
    found = Findings(
        paid=[PaidImage("openai", "chaos-1", "digest-1")],
        sent=[],
        jobs=list(jobs) or [job()],
        stored={},
        events=[],
        prices={"openai": CENTS_10},
    )
    for name, value in {"limits": {SCOPE: limits()}, **fields}.items():
        setattr(found, name, value)
    return list(wrong_charges(found))


def test_a_job_that_was_charged_what_its_image_costs_is_right() -> None:
    """By its record, the limits and the usage."""
    assert wrong(usage=UsageCounts(requests=1, images=0, micros=CENTS_10), highest={SCOPE: CENTS_10}) == []


def test_what_may_have_been_paid_is_named_and_held() -> None:
    """A canceled job whose engine has made an image, or has not."""
    canceled = job(status="canceled", cost=None, uncertain_usd="0.10")

    assert wrong(canceled) == wrong(canceled, paid=[]) == []
    found = Findings(paid=[], sent=[], jobs=[canceled], stored={}, events=[])
    assert charges(found) == "0.100000 dollars charged, 0.100000 of them uncertain"


def test_what_was_held_is_charged_for_a_job_of_which_only_the_images_are_known() -> None:
    """It may be the price of a dearer target."""
    warnings = ["The job was completed from the stored images: their seeds are unknown"]
    dear = job(cost={"usd": "0.20", "basis": "price"}, warnings=warnings)

    assert wrong(dear, limits={SCOPE: limits(spent_total=2 * CENTS_10)}) == []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"cost": None}, "chaos-1 was charged 0.000000 for images of 0.100000"),
        ({"cost": {"usd": "0.20", "basis": "price"}}, "chaos-1 was charged 0.200000 for images of 0.100000"),
        ({"settled": False}, "is not settled"),
    ],
)
def test_a_wrong_charge_of_a_job_is_found(fields: dict[str, Any], expected: str) -> None:
    """Too little, too much, or not at all."""
    assert expected in wrong(job(**fields), limits={})[0]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"limits": {SCOPE: limits(spent_total=1)}}, "has spent 0.000001, and its jobs were charged 0.100000"),
        ({"limits": {SCOPE: limits(series="old")}}, "has spent 0.100000, and its jobs were charged 0.000000"),
        ({"limits": {SCOPE: limits(open=1)}}, "token:1 has 1 open jobs"),
        ({"highest": {SCOPE: 1}}, "token:1 has spent 0.100000 of at most 0.000001"),
        ({"overspent": ["too much"]}, "too much"),
        ({"usage": UsageCounts(requests=2, micros=CENTS_10)}, "the usage counts 2 requests, and the jobs have 1"),
        ({"usage": UsageCounts(requests=1)}, "the usage counts 0 micros, and the jobs have 100000"),
    ],
)
def test_limits_and_usage_that_differ_from_the_jobs_are_found(fields: dict[str, Any], expected: str) -> None:
    """Each difference is one line."""
    [line] = wrong(**fields)

    assert expected in line
