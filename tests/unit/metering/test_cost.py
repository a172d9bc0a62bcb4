"""The cost of a job by the providers' prices."""

from decimal import Decimal
from typing import Any

import pytest

from image_gateway.engines.usage import token_counts
from image_gateway.metering.cost import Consumption, Cost, cost_of, cost_of_text, reservation_for
from image_gateway.metering.prices import PriceQuery, find_price
from image_gateway.models.prices import PriceRow


def price(model: str = "m", **fields: Any) -> PriceRow:
    """Return a row with these prices."""
    return PriceRow.model_validate({"model": model, **fields})


def built_in(provider: str, model: str) -> PriceRow:
    """Return the gateway's own price of a model."""
    row = find_price((), PriceQuery(connection=provider, provider=provider, model=model))
    assert row is not None
    return row


def test_text_image_and_cached_tokens_have_prices_of_their_own() -> None:
    """An edit by gpt-image-2 costs what OpenAI's page of prices says: 5, 8, 1.25, 2 and 30 dollars a million."""
    usage = token_counts(
        {
            "input_tokens": 1500,
            "input_tokens_details": {
                "text_tokens": 300,
                "image_tokens": 1200,
                "cached_tokens": 500,
                "cached_tokens_details": {"text_tokens": 100, "image_tokens": 400},
            },
            "output_tokens": 4160,
            "total_tokens": 5660,
        }
    )

    cost = cost_of(built_in("openai", "gpt-image-2"), Consumption(images=1, usage=usage))

    expected = (200 * 5 + 800 * 8 + 100 * Decimal("1.25") + 400 * 2 + 4160 * 30) / Decimal(1_000_000)
    assert cost == Cost(expected.quantize(Decimal("0.000001")), "usage")


def test_recorded_usage_of_a_generation_is_charged_as_text_in_and_image_out() -> None:
    """Without details, the input of a generation is its prompt, and the output are images."""
    usage = {"input_tokens": 20, "output_tokens": 1000, "total_tokens": 1020}

    assert cost_of(built_in("openai", "gpt-image-2"), Consumption(images=1, usage=usage)).usd == Decimal("0.030100")


def test_thoughts_of_gemini_are_charged_as_text() -> None:
    """They are in the total only."""
    usage = {
        "input_tokens": 10,
        "output_tokens": 1120,
        "total_tokens": 1330,
        "output_tokens_details": {"text_tokens": 0, "image_tokens": 1120},
    }

    cost = cost_of(built_in("gemini", "gemini-3-pro-image"), Consumption(images=1, usage=usage))

    assert cost == Cost(Decimal("0.136820"), "usage")


def test_an_image_of_gemini_costs_the_same_by_tokens_and_by_images() -> None:
    """The table's two prices of each model agree: an image of 1K has 1,120 tokens, or 1,290 for the older model."""
    for model, tokens in (
        ("gemini-3.1-flash-image", 1120),
        ("gemini-3-pro-image", 1120),
        ("gemini-2.5-flash-image", 1290),
    ):
        row = built_in("gemini", model)
        by_image = cost_of(row, Consumption(images=1))
        by_tokens = cost_of(row, Consumption(images=1, usage={"input_tokens": 0, "output_tokens": tokens}))
        assert abs(by_image.usd - by_tokens.usd) < Decimal("0.0005"), model
        assert (by_image.basis, by_tokens.basis) == ("price", "usage")


@pytest.mark.parametrize(
    ("row", "consumption", "expected"),
    [
        (price(usd_per_image="0.042"), Consumption(images=3), Cost(Decimal("0.126000"), "price")),
        (price(usd_per_image="0.0000004"), Consumption(images=1), Cost(Decimal("0.000000"), "price")),
        (price(usd_per_image="0.0000005"), Consumption(images=1), Cost(Decimal("0.000001"), "price")),
        (price(usd_per_second="0.001"), Consumption(images=4, seconds=12.3456), Cost(Decimal("0.012346"), "price")),
        (
            price(usd_per_second="0.001", usd_per_image="0.01"),
            Consumption(images=2, seconds=10),
            Cost(Decimal("0.030000"), "price"),
        ),
        (price(usd_per_million={"image_out": "30"}), Consumption(images=1), Cost(Decimal(0), "unknown")),
        (
            price(usd_per_million={"image_out": "30"}),
            Consumption(images=1, usage={"input_tokens": 9, "output_tokens": 1}),
            Cost(Decimal(0), "unknown"),
        ),
        (
            price(usd_per_million={"image_out": "30"}, usd_per_image="0.01"),
            Consumption(images=1, usage={"input_tokens": 9, "output_tokens": 1}),
            Cost(Decimal("0.010000"), "price"),
        ),
        (None, Consumption(images=1), Cost(Decimal(0), "unknown")),
    ],
)
def test_a_cost_has_the_basis_that_it_was_calculated_from(
    row: PriceRow | None, consumption: Consumption, expected: Cost
) -> None:
    """Tokens without a price of their kind are not charged as free: then the price of an image counts, or nothing."""
    assert cost_of(row, consumption) == expected


@pytest.mark.parametrize(
    ("row", "images", "held"),
    [
        (price(usd_per_image="0.04"), 3, "0.120000"),
        (price(usd_per_image="0.04", reserve_usd="0.1"), 3, "0.300000"),
        (price(usd_per_million={"image_out": "30"}, reserve_usd="0.2"), 1, "0.200000"),
        (price(usd_per_million={"image_out": "30"}), 1, "0.000000"),
        (price(usd_per_image="0.0000001"), 1, "0.000001"),
        (price(usd_per_image="0"), 5, "0.000000"),
        (None, 1, None),
    ],
)
def test_a_reservation_is_the_price_of_the_images_or_what_the_row_says(
    row: PriceRow | None, images: int, held: str | None
) -> None:
    """Where a price says nothing of an image, nothing is held. It is rounded up, so that it is never too little."""
    assert reservation_for(row, images) == (None if held is None else Decimal(held))


def test_a_reservation_is_the_most_that_tokens_and_seconds_come_to() -> None:
    """For each image of the job; with a price for an image too, the higher of the two."""
    tokens = {"text_in": 1000, "image_in": 1536, "image_out": 7024, "text_out": 0}
    by_tokens = price(usd_per_million={"text_in": "5", "image_in": "8", "image_out": "30"})

    assert reservation_for(by_tokens, 2, tokens=tokens) == Decimal("0.456016")
    dearer = price(usd_per_million={"image_out": "30"}, usd_per_image="0.5")
    assert reservation_for(dearer, 2, tokens={"image_out": 7024}) == Decimal("1.000000")
    assert reservation_for(price(usd_per_second="0.0005"), 3, seconds=240) == Decimal("0.120000")
    assert reservation_for(price(usd_per_second="0.0005", reserve_usd="0.01"), 3, seconds=240) == Decimal("0.030000")


def test_tokens_without_a_price_of_their_kind_have_that_of_the_other_kind() -> None:
    """Text beside the images of gpt-image-2, which has no price for it, does not make the images free."""
    usage = {
        "input_tokens": 10,
        "output_tokens": 1100,
        "output_tokens_details": {"image_tokens": 1000, "text_tokens": 100},
        "total_tokens": 1110,
    }

    assert cost_of(built_in("openai", "gpt-image-2"), Consumption(1, usage=usage)) == Cost(Decimal("0.033050"), "usage")


def test_output_beside_the_counted_images_is_text() -> None:
    """Gemini's details may name the images only."""
    usage = {"input_tokens": 0, "output_tokens": 1500, "output_tokens_details": {"image_tokens": 1120}}

    cost = cost_of(built_in("gemini", "gemini-3-pro-image"), Consumption(1, usage=usage))

    assert cost.usd == Decimal("0.138960")


def test_cached_tokens_that_nobody_assigns_are_text_first() -> None:
    """And images as far as they are more than the text."""
    usage = {
        "input_tokens": 1000,
        "input_tokens_details": {"text_tokens": 100, "image_tokens": 900, "cached_tokens": 300},
        "output_tokens": 0,
    }

    cost = cost_of(built_in("openai", "gpt-image-2"), Consumption(1, usage=usage))

    assert cost.usd == (100 * Decimal("1.25") + 200 * 2 + 700 * 8) / Decimal(1_000_000)


def test_a_language_model_is_charged_by_its_text_and_its_cached_input() -> None:
    """Its thoughts are among its output tokens."""
    row = price(usd_per_million={"text_in": "2", "cached_text_in": "0.5", "text_out": "8"})
    usage = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 40},
        "output_tokens": 50,
        "output_tokens_details": {"text_tokens": 50, "image_tokens": 0},
        "total_tokens": 150,
    }

    assert cost_of_text(row, usage) == Decimal("0.000540")
    assert cost_of_text(row, None) is None
