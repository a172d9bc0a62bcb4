"""Which price applies to a request."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from image_gateway.metering.prices import built_in_rows, find_price, size_names
from image_gateway.models.price_forms import Prices
from image_gateway.models.prices import PriceRow

ANY = {"connection": "openai", "provider": "openai", "model": "gpt-image-2"}


def rows(*fields: dict[str, Any]) -> list[PriceRow]:
    """Return the operator's rows with these fields."""
    return [PriceRow.model_validate({"model": "gpt-image-2", **row}) for row in fields]


@pytest.mark.parametrize(
    ("provider", "model", "size", "quality", "usd"),
    [
        ("openai", "gpt-image-1.5", "1024x1024", "high", "0.133"),
        ("openai", "gpt-image-1.5", "1536x1024", "low", "0.013"),
        ("gemini", "gemini-3.1-flash-image", "512", None, "0.045"),
        ("gemini", "gemini-3.1-flash-image", "1K", None, "0.0672"),
        ("gemini", "gemini-3.1-flash-image", None, None, "0.0672"),
        ("xai", "grok-imagine-image-2.0", None, None, "0.06"),
        ("openai", "xai/grok-imagine-image", None, None, "0.02"),
        ("openai", "litellm/gemini/gemini-2.5-flash-image", None, None, "0.039"),
        ("comfyui", "sd_xl_base_1.0.safetensors", "1024x1024", None, "0"),
        ("automatic1111", "", None, None, "0"),
    ],
)
def test_the_table_has_prices_by_provider_model_size_and_quality(
    provider: str, model: str, size: str | None, quality: str | None, usd: str
) -> None:
    """A proxy's model may have its provider in front; engines of one's own are free."""
    row = find_price((), connection="c", provider=provider, model=model, sizes={size} if size else (), quality=quality)

    assert row is not None
    assert row.usd_per_image == Decimal(usd)


@pytest.mark.parametrize(
    ("provider", "model"), [("openai", "flux"), ("localai", "gpt-image-2"), ("openai", "gpt-image-1"), ("openai", "")]
)
def test_an_unknown_model_or_server_has_no_price(provider: str, model: str) -> None:
    """A server that only speaks OpenAI's API has prices of its own; retired models have none."""
    assert find_price((), connection="c", provider=provider, model=model) is None


def test_a_row_of_the_operator_replaces_the_table() -> None:
    """Also in the kinds of price that the row leaves out."""
    row = find_price(rows({"usd_per_image": "0.02"}), **ANY)

    assert row is not None
    assert (row.usd_per_image, row.usd_per_million) == (Decimal("0.02"), None)


def test_the_row_with_the_most_conditions_decides() -> None:
    """A connection counts more than a model, and that more than size and quality."""
    prices = rows(
        {"model": "*", "usd_per_image": "1"},
        {"usd_per_image": "2"},
        {"usd_per_image": "3", "size": "1024x1024"},
        {"usd_per_image": "4", "size": "1024x1024", "quality": "high"},
        {"usd_per_image": "5", "model": "*", "connection": "azure-eu"},
    )

    def found(**changes: Any) -> int:
        row = find_price(prices, **{**ANY, **changes})
        assert row is not None
        assert row.usd_per_image is not None
        return int(row.usd_per_image)

    assert found(model="other") == 1
    assert found() == 2
    assert found(sizes={"1024x1024"}, quality="low") == 3
    assert found(sizes={"1024x1024"}, quality="high") == 4
    assert found(connection="azure-eu", sizes={"1024x1024"}, quality="high") == 5


def test_prices_of_tokens_and_of_images_may_come_from_different_rows() -> None:
    """One row has the tokens for all sizes, and others what is held for one size."""
    prices = rows({"usd_per_million": {"image_out": "30"}}, {"size": "2K", "usd_per_image": "0.1"})

    row = find_price(prices, **ANY, sizes={"2K"})

    assert row is not None
    assert row.usd_per_million is not None
    assert row.usd_per_image == Decimal("0.1")


@pytest.mark.parametrize(
    ("width", "height", "names"),
    [
        (1024, 1024, {"1024x1024", "1K"}),
        (1584, 672, {"1584x672", "1K"}),
        (512, 512, {"512x512", "512"}),
        (2048, 2048, {"2048x2048", "2K"}),
        (4096, 4096, {"4096x4096", "4K"}),
    ],
)
def test_a_size_is_named_by_pixels_and_by_class(width: int, height: int, names: set[str]) -> None:
    """A row of prices may have either."""
    assert size_names(width, height) == names


def test_every_row_of_the_table_is_valid_and_can_be_found() -> None:
    """No row hides another."""
    for provider, row in built_in_rows():
        assert PriceRow.model_validate(row.model_dump(mode="json", exclude_none=True)) == row
        found = find_price(
            (),
            connection="c",
            provider=provider,
            model=row.model,
            sizes={row.size} if row.size else (),
            quality=row.quality,
        )
        assert found is not None
        for name in ("usd_per_image", "usd_per_million"):
            assert getattr(row, name) in (None, getattr(found, name))


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
        {"usd_per_image": "0.0000000000001"},
        {"usd_per_image": "٣"},
        {"usd_per_image": "9" * 50},
        {"usd_per_image": [1]},
        {"usd_per_image": "1", "model": ""},
        {"usd_per_image": "1", "currency": "EUR"},
        {"usd_per_million": {"tokens": "1"}},
    ],
)
def test_a_row_that_is_no_price_is_refused(row: dict[str, Any]) -> None:
    """Amounts are text: a float cannot hold a tenth."""
    with pytest.raises(ValidationError):
        PriceRow.model_validate({"model": "m", **row})


def test_two_rows_for_the_same_images_are_refused() -> None:
    """Which of the two counts would be a guess."""
    row = {"model": "m", "size": "1K", "usd_per_image": "1"}

    with pytest.raises(ValidationError, match="two rows"):
        Prices.model_validate({"prices": [row, {**row, "usd_per_image": "2"}]})


def test_prices_are_written_as_text_exactly_as_they_are() -> None:
    """What is read can be sent back."""
    prices = Prices.model_validate({"prices": [{"model": "m", "usd_per_million": {"text_in": "0.30"}}]})

    written = prices.model_dump(mode="json", exclude_none=True)

    assert written == {"prices": [{"model": "m", "usd_per_million": {"text_in": "0.30"}}]}
    assert Prices.model_validate(written) == prices
