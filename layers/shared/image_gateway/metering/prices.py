"""Which price applies to a request: the operator's, else the gateway's own table.

The table is data, `price_table.json`, with the day for which it was checked and the source of each row. Its facts are
those of LiteLLM 1.110's public map of models (MIT), which names the providers' pages. In two points it differs:

- The map gives 0.045 for `gemini-3.1-flash-image` at the Gemini API and 0.0672 on Vertex AI. By its own price for a
  token, 0.0672 is an image of 1K (1,120 tokens) and 0.045 one of 512 pixels.
- Models that have ended are left out, and so are rows of price zero that only mean that the map has no price.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final

from image_gateway.models.prices import ANY_MODEL, PriceRow, TokenPrices

_CLASSES: Final = (("512", 792), ("1K", 1584), ("2K", 3168))
"""Gemini's classes of sizes, with the longest side that an image of them has, at the aspect ratio 21:9."""
_FIELDS: Final = ("usd_per_image", "usd_per_second", "usd_per_million", "reserve_usd")


def find_price(
    operator_rows: Sequence[PriceRow],
    *,
    connection: str,
    provider: str,
    model: str,
    sizes: Collection[str] = (),
    quality: str | None = None,
) -> PriceRow | None:
    """Return the price of an image, or None if there is none.

    Rows with more conditions come before others, for each kind of price: a row for one size may have the price of an
    image, and one for all sizes the price of tokens. As soon as the operator has a row, the gateway's own do not count.

    Args:
        operator_rows: the rows that the operator has set.
        connection: the name of the connection.
        provider: `openai`, `azure`, `xai`, `gemini`, `comfyui` or `automatic1111`; any other has no prices of the
            gateway.
        model: the model's name at the engine; empty for the engine's default. A proxy may put a provider in front:
            `azure/gpt-image-2`.
        sizes: the names of an image's size: see `size_names`.
        quality: the quality of an image.
    """
    wanted: dict[str, Collection[str | None]] = {
        "connection": {connection},
        "model": {model, ANY_MODEL},
        "size": {*sizes},
        "quality": {quality},
    }
    if row := _merged(operator_rows, wanted):
        return row
    prefix, slash, name = model.rpartition("/")
    prefix = prefix.rpartition("/")[2]
    if slash and prefix in _table():
        provider, wanted["model"] = prefix, {name, ANY_MODEL}
    return _merged(_table().get(provider, ()), wanted)


def size_names(width: int, height: int) -> frozenset[str]:
    """Return the names that price lists have for a size: in pixels, and Gemini's class by the longer side.

    The classes' longest sides are those of the Gemini API's table of sizes for its widest aspect ratios.
    """
    longest = max(width, height)
    size_class = next((name for name, limit in _CLASSES if longest <= limit), "4K")
    return frozenset({f"{width}x{height}", size_class})


def built_in_rows() -> Iterable[tuple[str, PriceRow]]:
    """Return the gateway's own rows, each with its provider."""
    return [(provider, row) for provider, rows in _table().items() for row in rows]


def _merged(rows: Iterable[PriceRow], wanted: Mapping[str, Collection[str | None]]) -> PriceRow | None:
    """Return one row with each price from the row with the most conditions that has it; None if no row matches."""
    matching = sorted((row for row in rows if _matches(row, wanted)), key=_specificity)
    if not matching:
        return None
    prices = {name: value for row in matching for name in _FIELDS if (value := getattr(row, name)) is not None}
    return PriceRow.model_construct(model=matching[-1].model, **prices)


def _matches(row: PriceRow, wanted: Mapping[str, Collection[str | None]]) -> bool:
    return all((value := getattr(row, name)) is None or value in names for name, names in wanted.items())


def _specificity(row: PriceRow) -> tuple[bool, bool, int]:
    """Order rows: a connection counts most, then a model, then size and quality."""
    return row.connection is not None, row.model != ANY_MODEL, (row.size is not None) + (row.quality is not None)


@cache
def _table() -> dict[str, list[PriceRow]]:
    table = json.loads(Path(__file__).with_name("price_table.json").read_text())
    return {provider: [_row(row) for row in rows] for provider, rows in table["providers"].items()}


def _row(stored: Mapping[str, Any]) -> PriceRow:
    """Return a row of the table, which a test validates: validating it here would cost every cold start some time."""
    fields = {name: value for name, value in stored.items() if name != "source"}
    if "usd_per_million" in fields:
        prices = {kind: Decimal(price) for kind, price in fields["usd_per_million"].items()}
        fields["usd_per_million"] = TokenPrices.model_construct(None, **prices)
    for name in ("usd_per_image", "usd_per_second", "reserve_usd"):
        if name in fields:
            fields[name] = Decimal(fields[name])
    return PriceRow.model_construct(**fields)
