"""The gateway's own table of prices, against the facts that it was made from."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from image_gateway.metering import price_table
from image_gateway.metering.price_table import rows_of, tokens_of
from image_gateway.metering.prices import PriceQuery, find_price
from image_gateway.models.prices import PriceRow

Key = tuple[str, str, str | None, str | None]
"""Provider, model, size and quality."""

TABLE: dict[str, Any] = json.loads(Path(price_table.__file__).with_suffix(".json").read_text())
FACTS = Path(__file__).parents[2] / "data/prices/litellm-1.110.json"
"""Rows of LiteLLM 1.110's public map of models (MIT), as text. Each names the provider's page that it is from."""

NOT_IN_THE_MAP: dict[Key, str] = {
    **{("openai", f"gpt-image-2.6-{kind}", None, None): "newer than the map" for kind in ("flare", "sunburst")},
    **{
        ("openai", "gpt-image-1-mini", size, "high"): "on OpenAI's page of the model"
        for size in ("1024x1024", "1024x1536", "1536x1024")
    },
    ("gemini", "gemini-3-pro-image", "4K", None): "2,000 tokens",
    ("gemini", "gemini-3.1-flash-image", "2K", None): "1,680 tokens",
    ("gemini", "gemini-3.1-flash-image", "4K", None): "2,520 tokens",
    ("gemini", "gemini-nano-banana-2.1", "4K", None): "3,780 tokens",
    ("comfyui", "*", None, None): "the operator's own server",
    ("automatic1111", "*", None, None): "the operator's own server",
}
"""The table's rows that the map does not have, with the reason why they are there: see `metering.price_table`."""
DOUBTED: dict[Key, str] = {("gemini", "gemini-3.1-flash-image", None, None): "0.0672"}
"""Prices of an image that the map has otherwise for one of two APIs: its 0.045 is that of 512 pixels."""
SIZED_BY_US: dict[Key, str] = {("gemini", "gemini-3.1-flash-image", "512", None): "0.045"}

_TOKENS = {
    "text_in": "input_cost_per_token",
    "image_in": "input_cost_per_image_token",
    "cached_text_in": "cache_read_input_token_cost",
    "cached_image_in": "cache_read_input_image_token_cost",
    "text_out": "output_cost_per_token",
    "image_out": "output_cost_per_image_token",
}


def facts(provider: str, row: PriceRow) -> list[dict[str, Any]]:
    """Return what the map says of a row: for Google's models, of both APIs."""
    listed = json.loads(FACTS.read_text())["rows"]
    providers = {"gemini": ("gemini", "vertex_ai")}.get(provider, (provider,))
    name = row.model
    if row.size and provider != "gemini":
        name = f"{row.quality}/{row.size.replace('x', '-x-')}/{row.model}"
    return [each for each in listed if each["provider"] in providers and _name(each, provider) == name]


def _name(fact: dict[str, Any], provider: str) -> str:
    return str(fact["model"]).removeprefix(f"{provider}/").removeprefix("vertex_ai/")


ROWS: dict[Key, PriceRow] = {
    (provider, row.model, row.size, row.quality): row for provider in TABLE["providers"] for row in rows_of(provider)
}
each_row = pytest.mark.parametrize(
    "key", [pytest.param(key, id="/".join(part or "any" for part in key)) for key in ROWS]
)


@each_row
def test_a_row_of_the_table_has_the_prices_of_the_map(key: Key) -> None:
    """Each price equals one that the map has, unless it was doubted."""
    row = ROWS[key]
    if key in NOT_IN_THE_MAP:
        # The map has Google's models without sizes.
        assert (row.size and key[0] == "gemini") or not facts(key[0], row)
        return
    if key in SIZED_BY_US:
        assert row.usd_per_image == Decimal(SIZED_BY_US[key])
        return
    found = facts(key[0], row)
    assert found, "the map has no such row"
    if row.usd_per_image is not None:
        listed = {each.get("output_cost_per_image") or each.get("input_cost_per_image") for each in found}
        assert row.usd_per_image in {Decimal(price) for price in listed if price}
        assert row.usd_per_image == Decimal(DOUBTED.get(key, str(row.usd_per_image)))
    for kind, price in row.usd_per_million or ():
        name = _TOKENS[kind]
        # Google charges all input of a model alike.
        if key[0] == "gemini":
            name = name.replace("input_image_token", "input_token").replace("input_cost_per_image", "input_cost_per")
        assert price == next((Decimal(each[name]) * 1_000_000 for each in found if name in each), None), kind


def test_the_table_lacks_no_current_row_of_the_map() -> None:
    """Of its providers. Models that have ended are left out, and rows that only mean that the map has no price."""
    known = {key[:2] for key in ROWS}
    lacking = set()
    for fact in json.loads(FACTS.read_text())["rows"]:
        provider = {"vertex_ai": "gemini"}.get(fact["provider"], fact["provider"])
        name = _name(fact, provider).rpartition("/")[2]
        has_price = any(
            value != "0" for field, value in fact.items() if field.startswith(("input_cost", "output_cost"))
        )
        is_current = fact.get("deprecation_date", "9999") > "2026-11-29"
        if provider in {"openai", "azure", "gemini", "xai"} and has_price and is_current:
            lacking |= {(provider, name)} - known
    assert lacking == {
        # Stopped by Google in July 2026, though one of the map's rows has no date.
        ("gemini", "gemini-3-pro-image-preview"),
        ("gemini", "gemini-3.1-flash-image-preview"),
        # It dresses a person, and is no model for images from prompts.
        ("gemini", "virtual-try-on-001"),
    }


@each_row
def test_a_row_of_the_table_is_valid_and_can_be_found(key: Key) -> None:
    """No row hides another."""
    row = ROWS[key]
    assert PriceRow.model_validate(row.model_dump(mode="json", exclude_none=True)) == row

    query = PriceQuery(
        connection="c", provider=key[0], model=row.model, sizes=[row.size] if row.size else (), quality=row.quality
    )
    found = find_price((), query)

    assert found is not None
    for name in ("usd_per_image", "usd_per_million"):
        assert getattr(row, name) in (None, getattr(found, name))


def test_every_row_has_a_source_and_the_table_a_day() -> None:
    """So that an operator can check it."""
    assert all(row["source"] for rows in TABLE["providers"].values() for row in rows)
    assert all(source.startswith("https://") for row in TABLE["tokens"] for source in row["sources"])
    assert TABLE["as_of"] >= "2026-11-29"


def test_the_tokens_of_every_model_with_prices_of_tokens_are_known() -> None:
    """So a budget holds something for each of them."""
    for key, row in ROWS.items():
        assert row.usd_per_million is None or tokens_of(row.model), key
