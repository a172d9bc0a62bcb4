"""Which price applies to a request: the operator's, else the gateway's own."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from image_gateway.metering.price_table import rows_of
from image_gateway.models.prices import ANY_MODEL, PriceRow

_CLASSES = (("512", 792), ("1K", 1584), ("2K", 3168))
"""Gemini's classes of sizes, with the longest side that an image of them has, at the aspect ratio 21:9."""
_FIELDS: Final = ("usd_per_image", "usd_per_second", "usd_per_million", "reserve_usd")


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceQuery:
    """What a price is looked for.

    Attributes:
        connection: the name of the connection.
        provider: whose server it is: see `metering.providers`. Empty: the gateway has no price of its own.
        model: the model's name at the engine; empty for the engine's default.
        workflow: the name of a ComfyUI workflow, whose rows come before those of the model; empty: none.
        sizes: all names of an image's size: see `size_names`; empty if it is not known.
        quality: the quality of an image, in lower case; None if it is not known.
    """

    connection: str
    provider: str
    model: str
    workflow: str = ""
    sizes: Collection[str] = ()
    quality: str | None = None


def find_price(operator_rows: Sequence[PriceRow], query: PriceQuery) -> PriceRow | None:
    """Return the price of an image, or None if there is none.

    The rows for a connection come before others, and then those for a model. Among rows for the same of both, those
    for a size come first, and then those for a quality. Of these each kind of price is taken from the first row that
    has it: a row for one size may have the price of an image, and one for all sizes the price of tokens.

    As soon as one of the operator's rows fits, the gateway's own do not count.
    """
    return _merged(_best_group(operator_rows, query), query) or _merged(_best_group(_own(query), query), query)


def possible_prices(operator_rows: Sequence[PriceRow], query: PriceQuery) -> list[PriceRow]:
    """Return the prices that an image may turn out to have, if its size or its quality is not known. Empty: none."""
    group = _best_group(operator_rows, query) or _best_group(_own(query), query)
    rows = [row for row in group if _fits(row, query)]
    sizes = [query.sizes] if query.sizes else [(), *((size,) for size in {row.size for row in rows if row.size})]
    qualities = [query.quality] if query.quality else [None, *{row.quality for row in rows if row.quality}]
    found = (_merged(rows, replace(query, sizes=size, quality=quality)) for size in sizes for quality in qualities)
    return [row for row in found if row]


def find_text_price(operator_rows: Sequence[PriceRow], connection: str, model: str) -> PriceRow | None:
    """Return the operator's price of a language model's tokens; None if no row names the model."""
    rows = [
        row
        for row in operator_rows
        if row.model == model
        and row.connection in (None, connection)
        and row.usd_per_million
        and row.size is row.quality is None
    ]
    return max(rows, key=lambda row: row.connection is not None, default=None)


def size_names(width: int, height: int) -> frozenset[str]:
    """Return the names that price lists have for a size: in pixels, and Gemini's class by the longer side.

    The classes' longest sides are those of the Gemini API's table of sizes for its widest usual aspect ratios.
    """
    longest = max(width, height)
    size_class = next((name for name, limit in _CLASSES if longest <= limit), "4K")
    return frozenset({f"{width}x{height}", size_class})


def _own(query: PriceQuery) -> Sequence[PriceRow]:
    return rows_of(query.provider) if query.provider else ()


def _best_group(rows: Iterable[PriceRow], query: PriceQuery) -> list[PriceRow]:
    """Return the rows for the connection and the model, or else for only one of them, or else for neither."""
    names = [name for name in (query.workflow, query.model) if name]
    groups: dict[tuple[bool, int], list[PriceRow]] = {}
    for row in rows:
        if row.connection in (None, query.connection) and row.model in (*names, ANY_MODEL):
            order = len(names) - names.index(row.model) if row.model in names else 0
            groups.setdefault((row.connection is not None, order), []).append(row)
    # A group may have prices of other sizes only.
    fitting = [key for key, group in groups.items() if any(_fits(row, query) for row in group)]
    return groups[max(fitting)] if fitting else []


def _fits(row: PriceRow, query: PriceQuery) -> bool:
    """Whether a row may be for the size and the quality, as far as they are known."""
    fits_size = row.size is None or not query.sizes or row.size in query.sizes
    return fits_size and (row.quality is None or query.quality in (None, row.quality))


def _merged(rows: Iterable[PriceRow], query: PriceQuery) -> PriceRow | None:
    """Return one row with each price from the most specific row that has it; None if no row is for the image."""
    matching = sorted(_matching(rows, query), key=_specificity)
    if not matching:
        return None
    prices = {name: value for row in matching for name in _FIELDS if (value := getattr(row, name)) is not None}
    return PriceRow.model_construct(model=matching[-1].model, **prices)


def _specificity(row: PriceRow) -> tuple[int, bool]:
    """Order rows for the same connection and model: pixels count more than a class, and a size more than a quality."""
    size = 0 if row.size is None else 2 if "x" in row.size else 1
    return size, row.quality is not None


def _matching(rows: Iterable[PriceRow], query: PriceQuery) -> Iterator[PriceRow]:
    for row in rows:
        if (row.size is None or row.size in query.sizes) and row.quality in (None, query.quality):
            yield row
