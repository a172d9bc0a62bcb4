"""What is held for a job before it runs, and what it costs when its engine has answered."""

import io
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from PIL import Image

from image_gateway.config.metering import Metering
from image_gateway.engines.protocol import Asked, EngineImage, EngineResult, ImageRequest
from image_gateway.errors import Canceled, EngineRejected, EngineTimeout, GatewayError, NotConfigured
from image_gateway.jobs.engine_request import build_engine_request
from image_gateway.jobs.pricing import reserve, set_cost, set_cost_of_restored
from image_gateway.jobs.route_attempts import run_round, start_next
from image_gateway.models.config import ImagesConfig
from image_gateway.models.forms import CreateImageForm, EditImageForm
from image_gateway.models.jobs import Job, JobCost
from image_gateway.models.money import format_usd, to_micros
from image_gateway.models.prices import PriceRow
from image_gateway.routing.destination import Destination
from image_gateway.routing.plan import Plan
from image_gateway.routing.round import Round
from tests.unit.jobs.job_records import new_job

OPENAI = "https://api.openai.com/v1"


def _png() -> bytes:
    out = io.BytesIO()
    Image.new("L", (1536, 1024)).save(out, "PNG")
    return out.getvalue()


PNG = _png()


def rows(*fields: dict[str, Any]) -> tuple[PriceRow, ...]:
    """Return the operator's rows with these fields, for all models unless they name one."""
    return tuple(PriceRow.model_validate({"model": "*", **row}) for row in fields)


def destination(
    model: str | None = "gpt-image-2",
    *,
    engine: str = "openai",
    url: str = OPENAI,
    prices: tuple[PriceRow, ...] = (),
    edit: bool = False,
    target: int | None = None,
    workflow: str | None = None,
    **config: Any,
) -> Destination:
    """Return a destination whose server has this URL."""
    urls = {
        "IMAGES_OPENAI_API_BASE_URL": url,
        "IMAGES_EDIT_OPENAI_API_BASE_URL": url,
        "IMAGES_GEMINI_API_BASE_URL": "https://generativelanguage.googleapis.com/v1beta",
        "COMFYUI_BASE_URL": "http://10.0.0.7:8188",
        "AUTOMATIC1111_BASE_URL": "http://10.0.0.7:7860",
    }
    return Destination(
        engine=engine,
        model=model,
        config=ImagesConfig.model_validate({**urls, **config}),
        edit=edit,
        price_rows=prices,
        target=target,
        workflow=workflow,
    )


def held(to: Destination, **fields: Any) -> str:
    """Return what is held for a generation with these fields."""
    job = new_job()
    reserve(job, Plan.to(to), CreateImageForm(**{"prompt": "a fox", **fields}), limited=True)
    return format_usd(Decimal(job.reserved) / 1_000_000)


def test_an_image_by_tokens_holds_what_its_size_and_quality_cost() -> None:
    """7,024 tokens for 30 dollars a million, and up to 205 for the prompt, for each image."""
    small = held(destination(), size="1024x1024", quality="low")
    usual = held(destination(), size="1024x1024", quality="high")

    assert (small, usual) == ("0.006905", "0.211745")
    assert held(destination(), size="1024x1024", quality="high", n=10) == "2.117450"


def test_what_the_model_chooses_holds_the_dearest() -> None:
    """No size, no quality, `auto` of either, and the frames of an animation."""
    dearest = held(destination(), size="2880x2880", quality="high")

    for fields in ({}, {"size": "auto"}, {"size": "auto", "quality": "auto"}, {"quality": "high"}):
        assert held(destination(), **fields) == dearest
    by_default = destination(IMAGE_SIZE="1024x1024", IMAGES_OPENAI_API_PARAMS={"quality": "low"})
    assert held(by_default) == "0.006905"
    sunburst = destination("gpt-image-2.6-sunburst")
    frames = {"frame_count": 6, "output_format": "gif", "size": "512x512", "quality": "max"}
    assert held(sunburst, **frames) == held(sunburst)


@pytest.mark.parametrize(
    ("params", "fields", "images"),
    [
        ({"n": 4}, {}, 4),
        ({"n": 4}, {"n": 2}, 4),
        ({"n": 1000}, {}, 64),
        ({"n": None}, {"n": 3}, 1),
        ({"n": "many"}, {}, 1),
    ],
)
def test_the_operators_parameters_decide_how_much_is_held(
    params: dict[str, Any], fields: dict[str, Any], images: int
) -> None:
    """They are the last word on what the engine is asked for."""
    to = destination(prices=rows({"usd_per_image": "0.1"}), IMAGES_OPENAI_API_PARAMS=params)

    assert held(to, **fields) == f"{images / 10:.6f}"


def test_parameters_of_automatic1111_decide_how_many_images_are_held() -> None:
    """`batch_size` and `n_iter` multiply."""
    prices = rows({"usd_per_image": "0.1"})
    engine: dict[str, Any] = {"engine": "automatic1111", "model": None, "prices": prices}

    assert held(destination(**engine), n=3) == "0.300000"
    assert held(destination(**engine, AUTOMATIC1111_PARAMS={"batch_size": 4, "n_iter": 2}), n=3) == "0.800000"
    assert held(destination(**engine, AUTOMATIC1111_PARAMS={"batch_size": 4}), n=3) == "0.400000"


def test_a_model_of_the_operators_parameters_has_its_price() -> None:
    """The engine is asked for that one."""
    to = destination("gpt-image-1.5", IMAGES_OPENAI_API_PARAMS={"model": "gpt-image-2"})

    assert held(to, size="1024x1024", quality="high") == "0.211745"


def test_input_images_are_held_for_each_image() -> None:
    """1,536 tokens for 8 dollars a million each; a mask counts as one."""
    to = destination(edit=True)
    form = EditImageForm(prompt="a fox", image=["a", "b"], mask="c", size="1024x1024", quality="high", n=2)
    job, by_upload = new_job(kind="edit"), new_job(kind="edit")

    reserve(job, Plan.to(to), form, limited=True)
    reserve(by_upload, Plan.to(to), form, limited=True, input_images=3)

    assert job.reserved == by_upload.reserved == 2 * (211_745 + 3 * 12_288)


@pytest.mark.parametrize(
    ("model", "size", "usd"),
    [
        ("gemini-3-pro-image", None, "0.158810"),
        ("gemini-3-pro-image", "1K", "0.158810"),
        ("gemini-3-pro-image", "2K", "0.158810"),
        ("gemini-3-pro-image", "4K", "0.264410"),
        ("models/gemini-3.1-flash-image", "2K", "0.106903"),
        ("gemini-3.1-flash-image", "384x3072", "0.073303"),
        ("gemini-2.5-flash-image", "4K", "0.041262"),
    ],
)
def test_an_image_of_gemini_holds_what_its_size_class_costs(model: str, size: str | None, usd: str) -> None:
    """That of the nearest size that the model makes; without one it makes 1K. Some thoughts are held, too."""
    assert held(destination(model, engine="gemini"), **({"size": size} if size else {})) == usd


def test_seconds_hold_the_longest_time_that_an_engine_may_take() -> None:
    """ComfyUI's runs are one after the other, each with its own timeout."""
    prices = rows({"usd_per_second": "0.001"})

    comfyui = destination(None, engine="comfyui", prices=prices, IMAGE_ENGINE_TIMEOUT=60)
    automatic1111 = destination(None, engine="automatic1111", prices=prices, IMAGE_ENGINE_TIMEOUT=60)

    assert held(comfyui, n=3) == "0.180000"
    assert held(automatic1111, n=3) == "0.060000"


def test_a_workflow_has_a_price_by_its_name() -> None:
    """Before that of the model which it loads."""
    prices = rows({"model": "portrait", "usd_per_image": "0.2"}, {"model": "sdxl", "usd_per_image": "0.1"})

    assert held(destination("sdxl", engine="comfyui", prices=prices, workflow="portrait")) == "0.200000"
    assert held(destination("sdxl", engine="comfyui", prices=prices, workflow="other")) == "0.100000"
    assert held(destination(None, engine="comfyui", prices=prices)) == "0.000000"


def test_an_azure_deployment_is_priced_by_its_name() -> None:
    """It is in the URL, where requests name no model."""
    url = "https://res.openai.azure.com/openai/deployments/gpt-image-2"

    assert held(destination(None, url=url), size="1024x1024", quality="high") == "0.211745"


def test_an_unknown_price_is_refused_or_counts_as_nothing() -> None:
    """As the operator says, for limited requests."""
    to = destination("flux", url="https://llm.example.com/v1")
    refusing = Plan(destinations=(to,), metering=Metering(refuses_unknown_prices=True))
    form = CreateImageForm(prompt="a fox")
    job = new_job()

    with pytest.raises(NotConfigured, match="no price for flux"):
        reserve(job, refusing, form, limited=True)
    reserve(job, refusing, form, limited=False)
    reserve(job, Plan.to(to), form, limited=True)

    assert (job.reserved, job.stakes) == (0, [])


def route(*prices: str, fallback_on: tuple[str, ...] = ("unreachable", "rate_limited")) -> Plan:
    """Return a route to servers whose images have these prices."""
    targets = tuple(
        destination("m", prices=rows({"usd_per_image": price}), target=number) for number, price in enumerate(prices)
    )
    return Plan(destinations=targets, route="best", fallback_on=fallback_on)


def test_a_route_holds_the_dearest_of_its_targets() -> None:
    """Whoever answers is charged."""
    job = new_job()

    reserve(job, route("0.01", "0.30", "0.05"), CreateImageForm(prompt="a fox", n=2), limited=True)

    assert (job.reserved, job.stakes) == (600_000, [20_000, 600_000, 100_000])


def test_a_target_that_cannot_be_used_now_is_held_too() -> None:
    """The operator may mend it while the job waits. It is no reason to refuse what has no price."""
    dear, cheap = route("0.30", "0.01").destinations
    broken = replace(dear, problem=NotConfigured("no key"))
    unpriced = replace(broken, price_rows=(), target=2, model="flux")
    plan = Plan(destinations=(broken, cheap, unpriced), metering=Metering(refuses_unknown_prices=True))
    job = new_job()

    reserve(job, plan, CreateImageForm(prompt="a fox"), limited=True)

    assert (job.reserved, job.stakes) == (300_000, [300_000, 10_000, 0])


@pytest.mark.parametrize(
    ("failure", "micros"),
    [("failed", 310_000), ("timeout", 310_000), ("rejected", 310_000), ("content_blocked", 300_000)],
)
def test_a_route_that_goes_on_after_images_may_have_been_paid_holds_all_its_targets(failure: str, micros: int) -> None:
    """Otherwise the first may be paid, and the second exceed the budget."""
    job = new_job()

    plan = route("0.01", "0.30", fallback_on=("unreachable", failure))
    reserve(job, plan, CreateImageForm(prompt="a fox"), limited=True)

    assert job.reserved == micros


@pytest.mark.parametrize(("target", "uncertain"), [(0, None), (1, "0.300000"), (2, "0.050000")])
def test_a_canceled_job_may_have_cost_what_its_target_costs(target: int, uncertain: str | None) -> None:
    """At a server of one's own nothing."""
    job = new_job(status="running")
    reserve(job, route("0", "0.30", "0.05"), CreateImageForm(prompt="a fox"), limited=True)
    job.target = target

    job.fail(Canceled("canceled", may_have_cost=True))

    assert job.uncertain_usd == (None if uncertain is None else Decimal(uncertain))


def answered(
    to: Destination,
    *,
    images: int = 1,
    measured: float = 1.0,
    job: Job | None = None,
    fields: dict[str, Any] | None = None,
    **result: Any,
) -> Job:
    """Return a job whose engine has answered."""
    form = CreateImageForm(**{"prompt": "a fox", **(fields or {})})
    job = job or new_job(status="running")
    reserve(job, Plan.to(to), form, limited=True)
    request: ImageRequest = build_engine_request(form, to, job.id)
    answer = EngineResult([EngineImage(PNG)] * images, **result)
    job.usage, job.reported = answer.usage, answer.reported
    set_cost(job, to, request, answer, measured)
    return job


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
        ({"size": "1792x1024"}, {"asked": Asked(size="1536x1024")}, "0.020000"),
        ({"size": "1536x1024", "quality": "hd"}, {"asked": Asked(size="1536x1024", quality="high")}, "0.050000"),
        ({"size": "1536x1024"}, {"asked": Asked(size="1536x1024"), "reported": {"quality": "high"}}, "0.050000"),
        ({"size": "1536x1024", "quality": "HIGH"}, {}, "0.050000"),
        ({"size": "auto"}, {"asked": Asked(size="1024x1024")}, "0.010000"),
        ({"size": "auto"}, {"asked": Asked()}, "0.020000"),
        ({"size": "1024x1024"}, {"asked": Asked(size="1024x1024", model="other")}, "0.990000"),
        ({"size": "384x3072"}, {"asked": Asked(model="by-class", size_class="2K")}, "0.030000"),
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


PROMPT_PRICE = {"model": "gpt-5.6-mini", "usd_per_million": {"text_in": "1", "text_out": "10"}}


@pytest.mark.parametrize(
    ("row", "config", "micros"),
    [
        (PROMPT_PRICE, {}, 20_000),
        ({**PROMPT_PRICE, "reserve_usd": "0.5"}, {}, 500_000),
        ({"model": "gpt-image-2", "usd_per_image": "1"}, {}, 0),
        ({"usd_per_million": {"text_in": "1", "text_out": "10"}}, {}, 0),
        (PROMPT_PRICE, {"ENABLE_IMAGE_PROMPT_GENERATION": False}, 0),
        (PROMPT_PRICE, {"IMAGE_PROMPT_GENERATION_MODEL": ""}, 0),
    ],
)
def test_the_rewriting_of_a_prompt_is_held_where_a_row_names_its_model(
    row: dict[str, Any], config: dict[str, Any], micros: int
) -> None:
    """Its text and 2,000 tokens of answer."""
    on: dict[str, Any] = {"ENABLE_IMAGE_PROMPT_GENERATION": True, "IMAGE_PROMPT_GENERATION_MODEL": "gpt-5.6-mini"}
    job = new_job()

    reserve(job, Plan.to(destination(prices=rows(row), **(on | config))), CreateImageForm(prompt="a fox"), limited=True)

    assert micros <= job.prompt_reserved <= micros * 1.05
    assert job.reserved == job.prompt_reserved + sum(job.stakes)
