"""Rows of prices: what is refused, and how amounts and sizes are stored."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from image_gateway.models.money import to_micros
from image_gateway.models.price_forms import Prices
from image_gateway.models.prices import PriceRow


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"usd_per_image": 0.042},
        {"usd_per_image": True},
        {"usd_per_image": "-1"},
        {"usd_per_image": "NaN"},
        {"usd_per_image": "Infinity"},
        {"usd_per_image": "1e400"},
        {"usd_per_image": "1e-9"},
        {"usd_per_image": "+1"},
        {"usd_per_image": "-0"},
        {"usd_per_image": " 1"},
        {"usd_per_image": "1 "},
        {"usd_per_image": "1\n"},
        {"usd_per_image": "1_000"},
        {"usd_per_image": "1,5"},
        {"usd_per_image": ".5"},
        {"usd_per_image": "5."},
        {"usd_per_image": "$5"},
        {"usd_per_image": ""},
        {"usd_per_image": "1" + "0" * 30},
        {"usd_per_image": 10**30},
        {"usd_per_image": "1000000001"},
        {"usd_per_image": -1},
        {"usd_per_image": 1.0},
        {"usd_per_image": "0.0000000000001"},
        {"usd_per_image": "٣"},
        {"usd_per_image": "9" * 50},
        {"usd_per_image": [1]},
        {"usd_per_image": "1", "model": ""},
        {"usd_per_image": "1", "model": " m"},
        {"usd_per_image": "1", "model": "m\n"},
        {"usd_per_image": "1", "model": "m" * 257},
        {"usd_per_image": "1", "connection": ""},
        {"usd_per_image": "1", "size": ""},
        {"usd_per_image": "1", "size": "auto"},
        {"usd_per_image": "1", "size": "16:9"},
        {"usd_per_image": "1", "size": "8K"},
        {"usd_per_image": "1", "size": "0x0"},
        {"usd_per_image": "1", "size": "99999x1"},
        {"usd_per_image": "1", "quality": "auto"},
        {"usd_per_image": "1", "quality": " "},
        {"usd_per_million": {}},
        {"reserve_usd": "1"},
        {"usd_per_image": "1", "currency": "EUR"},
        {"usd_per_million": {"tokens": "1"}},
    ],
)
def test_a_row_that_is_no_price_is_refused(row: dict[str, Any]) -> None:
    """Amounts are text: a float cannot hold a tenth."""
    with pytest.raises(ValidationError):
        PriceRow.model_validate({"model": "m", **row})


@pytest.mark.parametrize(
    "other",
    [{}, {"size": "1k"}, {"quality": "HIGH"}],
)
def test_two_rows_for_the_same_images_are_refused(other: dict[str, str]) -> None:
    """Which of the two counts would be a guess. Another spelling of the size or the quality changes nothing."""
    row = {"model": "m", "size": "1K", "quality": "high", "usd_per_image": "1"}

    with pytest.raises(ValidationError, match="two rows"):
        Prices.model_validate({"prices": [row, {**row, "usd_per_image": "2", **other}]})


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1024x1024", "1024x1024"),
        ("1024X1024", "1024x1024"),
        ("1024 \u00d7 1024", "1024x1024"),
        ("1536*1024", "1536x1024"),
        ("512", "512"),
        ("0.5K", "512"),
        ("1k", "1K"),
        ("2K", "2K"),
    ],
)
def test_a_size_is_stored_as_prices_are_looked_for(text: str, size: str) -> None:
    """Whatever notation the operator's price list has."""
    assert PriceRow.model_validate({"model": "m", "size": text, "usd_per_image": "1"}).size == size


def test_prices_are_written_as_text_exactly_as_they_are() -> None:
    """What is read can be sent back."""
    prices = Prices.model_validate({"prices": [{"model": "m", "usd_per_million": {"text_in": "0.30"}}]})

    written = prices.model_dump(mode="json", exclude_none=True)

    assert written == {"prices": [{"model": "m", "usd_per_million": {"text_in": "0.30"}}]}
    assert Prices.model_validate(written) == prices


@pytest.mark.parametrize("value", ["0", "0.05", "1000000000", "0.000000000001", "12345.6789", 3, 7])
def test_amounts_are_exact(value: str | int) -> None:
    """What is written is what was sent. Whole numbers of JSON are exact, too."""
    row = PriceRow.model_validate({"model": "m", "usd_per_image": value})

    assert row.usd_per_image == Decimal(value)
    assert row.model_dump(mode="json", exclude_none=True)["usd_per_image"] == str(value)


def test_amounts_stay_exact_where_a_float_would_not() -> None:
    """Ten cents, ten times, is a dollar."""
    amounts = [PriceRow.model_validate({"model": "m", "usd_per_image": "0.1"}).usd_per_image or 0 for _ in range(10)]

    assert to_micros(Decimal(sum(amounts))) == 1_000_000
    assert sum(amounts) == 1


def test_a_list_has_a_limited_number_of_rows() -> None:
    """The error names the field."""
    many = [{"model": f"m{number}", "usd_per_image": "1"} for number in range(501)]

    with pytest.raises(ValidationError, match="at most 500"):
        Prices.model_validate({"prices": many})
