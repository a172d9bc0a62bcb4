"""What is held for a job before it runs."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from image_gateway.config.metering import Metering
from image_gateway.errors import Canceled, NotConfigured
from image_gateway.jobs.pricing import reserve
from image_gateway.models.forms import CreateImageForm, EditImageForm
from image_gateway.models.money import format_usd
from image_gateway.routing.destination import Destination
from image_gateway.routing.plan import Plan
from tests.unit.jobs.job_records import new_job
from tests.unit.jobs.priced_destinations import destination, route, rows


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
    """They are the last word on what is requested of the engine."""
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
    """That one is sent to the engine."""
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
