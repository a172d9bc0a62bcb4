"""What a job costs when its engine has answered, or may have cost."""

from decimal import Decimal
from typing import Any

import pytest

from image_gateway.engines.protocol import EngineImage, EngineResult, SentRequest
from image_gateway.errors import EngineRejected, EngineTimeout, GatewayError
from image_gateway.jobs.engine_request import build_engine_request
from image_gateway.jobs.pricing import reserve, set_cost, set_cost_of_restored
from image_gateway.jobs.route_attempts import run_round, start_next
from image_gateway.models.forms import CreateImageForm
from image_gateway.models.jobs import Job, JobCost
from image_gateway.models.money import format_usd, to_micros
from image_gateway.routing.destination import Destination
from image_gateway.routing.plan import Plan
from image_gateway.routing.round import Round
from tests.unit.jobs.job_records import new_job
from tests.unit.jobs.priced_destinations import PNG, answered, destination, route, rows

BY_SIZE = rows(
    {"model": "m", "size": "1024x1024", "usd_per_image": "0.01"},
    {"model": "m", "size": "1536x1024", "usd_per_image": "0.02"},
    {"model": "m", "size": "1536x1024", "quality": "high", "usd_per_image": "0.05"},
    {"model": "by-class", "size": "1K", "usd_per_image": "0.04"},
    {"model": "by-class", "size": "2K", "usd_per_image": "0.03"},
    {"model": "other", "usd_per_image": "0.99"},
)


@pytest.mark.parametrize(
    ("fields", "result", "usd"),
    [
        ({"size": "1024x1024"}, {}, "0.010000"),
        ({"size": "1792x1024"}, {"sent": SentRequest(size="1536x1024")}, "0.020000"),
        ({"size": "1536x1024", "quality": "hd"}, {"sent": SentRequest(size="1536x1024", quality="high")}, "0.050000"),
        ({"size": "1536x1024"}, {"sent": SentRequest(size="1536x1024"), "reported": {"quality": "high"}}, "0.050000"),
        ({"size": "1536x1024", "quality": "HIGH"}, {}, "0.050000"),
        ({"size": "auto"}, {"sent": SentRequest(size="1024x1024")}, "0.010000"),
        ({"size": "auto"}, {"sent": SentRequest()}, "0.020000"),
        ({"size": "1024x1024"}, {"sent": SentRequest(size="1024x1024", model="other")}, "0.990000"),
        ({"size": "384x3072"}, {"sent": SentRequest(model="by-class", size_class="2K")}, "0.030000"),
    ],
)
def test_an_image_costs_what_the_engine_was_asked_for_in_the_end(
    fields: dict[str, Any], result: dict[str, Any], usd: str
) -> None:
    """Not what it refused. What it chose itself is what it says, or else what it made."""
    job = answered(destination("m", prices=BY_SIZE), fields=fields, **result)

    assert job.cost is not None
    assert (format_usd(job.cost.usd), job.cost.basis, job.uncertain_usd) == (usd, "price", None)


def test_images_that_were_made_and_lost_are_charged() -> None:
    """The engine does not know that they could not be read."""
    job = answered(destination("m", prices=rows({"usd_per_image": "0.1"})), images=2, lost=1, fields={"n": 3})

    assert job.cost is not None
    assert (format_usd(job.cost.usd), job.uncertain_usd) == ("0.300000", None)


def test_images_whose_calls_may_have_been_charged_are_uncertain() -> None:
    """The others are charged."""
    to = destination("m", prices=rows({"usd_per_image": "0.1"}))
    job = answered(to, images=3, may_have_cost_more=True, fields={"n": 4})

    assert job.cost is not None
    assert (format_usd(job.cost.usd), job.uncertain_usd) == ("0.300000", Decimal("0.100000"))


def test_tokens_that_nobody_has_counted_stay_held() -> None:
    """The cost is unknown, and is no reason to give the money back."""
    job = answered(destination(), fields={"size": "1024x1024", "quality": "high"})

    assert job.cost is not None
    assert (job.cost.usd, job.cost.basis, job.uncertain_usd) == (Decimal(0), "unknown", Decimal("0.211745"))


def test_no_price_leaves_nothing_uncertain() -> None:
    """Nothing was held for it."""
    job = answered(destination("flux", url="https://llm.example.com/v1"))

    assert job.cost is not None
    assert (job.cost.usd, job.cost.basis, job.uncertain_usd) == (Decimal(0), "unknown", None)


@pytest.mark.parametrize(
    ("reported", "usd"),
    [
        (None, "0.010000"),
        (2.5, "0.002500"),
        (60.0, "0.060000"),
        (1e300, "0.010000"),
        (float("nan"), "0.010000"),
        (float("inf"), "0.010000"),
        (-5.0, "0.010000"),
    ],
)
def test_seconds_are_those_that_the_engine_worked(reported: float | None, usd: str) -> None:
    """As it reports them, without its queue; else the time of the call. No clock is trusted beyond the timeout."""
    to = destination(None, engine="comfyui", prices=rows({"usd_per_second": "0.001"}), IMAGE_ENGINE_TIMEOUT=60)

    job = answered(to, measured=10, seconds=reported)

    assert job.cost is not None
    assert format_usd(job.cost.usd) == usd


def test_a_job_that_fails_after_its_engine_has_answered_may_have_cost_what_it_did() -> None:
    """Not what was held before, of which the rest is given back."""
    usage = {"input_tokens": 10, "output_tokens": 1000, "total_tokens": 1010}
    job = answered(destination(), usage=usage)

    job.fail(GatewayError("The images were not stored", may_have_cost=True))

    assert job.cost == JobCost(usd=Decimal(0), basis="unknown")
    assert job.uncertain_usd == Decimal("0.030050")


@pytest.mark.parametrize(("may_have_cost", "basis"), [(False, "price"), (True, "unknown")])
def test_every_failed_job_has_a_cost(may_have_cost: bool, basis: str) -> None:
    """Of zero, which is certain if its engine cannot have charged anything."""
    job = new_job()

    job.fail(GatewayError("no", may_have_cost=may_have_cost))

    assert job.cost == JobCost(usd=Decimal(0), basis=basis)


def test_a_job_that_goes_on_is_again_worth_what_is_held() -> None:
    """If its next attempt is lost, what that may have cost is not what the failed one has."""
    job = new_job(status="running", reserved=300_000, stakes=[300_000], charged=20_000)
    job.fail(EngineRejected("busy"))

    job.reopen("running")
    job.fail(EngineTimeout("lost", may_have_cost=True))

    assert job.uncertain_usd == Decimal("0.3")


@pytest.mark.anyio
async def test_what_a_target_may_have_cost_is_recorded_before_the_next_one_is_asked() -> None:
    """If the process dies there, whoever takes its place knows both."""
    plan = route("0.30", "0.01", fallback_on=("failed",))
    job = new_job(status="running")
    reserve(job, plan, CreateImageForm(prompt="a fox"), limited=True)
    round_ = Round(plan, plan.destinations)
    moved: list[Job] = []

    async def attempt(destination: Destination) -> GatewayError | None:
        error = EngineRejected("lost", failure="failed", may_have_cost=True)
        job.fail(error)
        return error

    async def choose(usable: list[Destination]) -> Destination | None:
        return usable[0]

    async def move() -> bool:
        moved.append(job.model_copy(deep=True))
        return True

    first = await start_next(round_, job)
    await run_round(round_, job, first, attempt=attempt, choose=choose, move=move, clock=lambda: 0.0)

    (dead,) = moved
    dead.fail(GatewayError("The function ended", may_have_cost=True))
    assert dead.uncertain_usd == job.uncertain_usd == Decimal("0.31")


def test_a_restored_job_costs_its_price_and_an_estimate_is_uncertain() -> None:
    """Only its images are known."""
    priced, estimated = new_job(), new_job()
    form = CreateImageForm(prompt="a fox", size="1024x1024", quality="low")
    reserve(priced, Plan.to(destination("m", prices=rows({"usd_per_image": "0.1"}))), form, limited=True)
    reserve(estimated, Plan.to(destination()), form, limited=True)

    for job in (priced, estimated):
        set_cost_of_restored(job)

    assert priced.cost is not None
    assert (format_usd(priced.cost.usd), priced.cost.basis, priced.uncertain_usd) == ("0.100000", "price", None)
    assert estimated.cost is not None
    assert estimated.cost.basis == "unknown"
    assert estimated.uncertain_usd == Decimal("0.006905")


@pytest.mark.anyio
async def test_a_fallback_charges_who_answered_and_keeps_what_others_may_have_cost() -> None:
    """Each by its own price."""
    plan = route("0.30", "0.01", fallback_on=("failed", "timeout"))
    job = new_job(status="running")
    reserve(job, plan, CreateImageForm(prompt="a fox"), limited=True)
    round_ = Round(plan, plan.destinations)
    first, second = plan.destinations
    await round_.start(first)
    first.record_in(job)
    lost = EngineTimeout("too late", failure="timeout", may_have_cost=True)
    job.fail(lost)
    assert await round_.end(job, first, lost, 1.0)
    second.record_in(job)
    job.at_risk = to_micros(job.uncertain_usd or Decimal(0))
    job.reopen("running")
    request = build_engine_request(CreateImageForm(prompt="a fox"), second, job.id)
    set_cost(job, second, request, EngineResult([EngineImage(PNG)]), 1.0)
    await round_.end(job, second, None, 1.0)

    await round_.close(job, None)

    assert job.cost is not None
    assert format_usd(job.cost.usd) == "0.010000"
    assert job.uncertain_usd == Decimal("0.300000")


@pytest.mark.anyio
async def test_targets_whose_failures_were_free_leave_nothing_uncertain() -> None:
    """Although another target of the route is dear."""
    plan = route("0", "0.30", fallback_on=("failed", "rejected"))
    job = new_job(status="running")
    reserve(job, plan, CreateImageForm(prompt="a fox"), limited=True)
    round_ = Round(plan, plan.destinations)
    error: GatewayError | None = None
    for each, failure in zip(plan.destinations, ("failed", "rejected"), strict=True):
        each.record_in(job)
        error = EngineRejected("no", failure=failure, may_have_cost=failure == "failed")
        job.fail(error)
        await round_.end(job, each, error, 1.0)

    await round_.close(job, error)

    assert job.uncertain_usd is None
