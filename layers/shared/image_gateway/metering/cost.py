"""The cost of a job, from a price and what the engine made and reported."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from typing import Any

from image_gateway.models.money import MILLIONTH, Basis, to_millionths
from image_gateway.models.prices import PriceRow, TokenPrices

_MILLION = Decimal(1_000_000)
_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Consumption:
    """What an engine did for a job.

    Attributes:
        images: how many images it made, also those that were lost after it.
        seconds: how long it worked.
        usage: its token counts, under the names of `engines.usage`; None if it reports none.
    """

    images: int
    seconds: float = 0.0
    usage: Mapping[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a job cost, in US dollars to a millionth; 0 where it is unknown."""

    usd: Decimal
    basis: Basis


UNKNOWN = Cost(_ZERO, "unknown")


def cost_of(row: PriceRow | None, consumption: Consumption) -> Cost:
    """Return the cost of what was consumed.

    Token counts come before a price for an image, because providers charge by them. The parts of a row for images and
    for seconds add up.

    Args:
        row: the price; None if there is none.
        consumption: what the engine did.
    """
    if row is None:
        return UNKNOWN
    if row.usd_per_million and (usd := _cost_of_tokens(row.usd_per_million, consumption.usage)) is not None:
        return Cost(to_millionths(usd), "usage")
    if row.usd_per_image is None and row.usd_per_second is None:
        return UNKNOWN
    usd = (row.usd_per_image or _ZERO) * consumption.images
    usd += (row.usd_per_second or _ZERO) * _decimal(consumption.seconds)
    return Cost(to_millionths(usd), "price")


def reservation_for(
    row: PriceRow | None, images: int, *, tokens: Mapping[str, int] | None = None, seconds: float = 0.0
) -> Decimal | None:
    """Return what is held for a job of so many images before its cost is known; None if it has no price.

    With a price for an image it is the cost itself. With other prices it is what the row says, else the most that the
    job is expected to cost, and nothing as far as that is not known.

    Args:
        row: the price; None if there is none.
        images: how many images are requested of the engine.
        tokens: the most tokens that one image is expected to take, by the kinds of `TokenPrices`; None if unknown.
        seconds: the longest time that the engine may work for all of them.
    """
    if row is None:
        return None
    if row.reserve_usd is not None:
        return to_millionths(row.reserve_usd * images)
    by_images = (row.usd_per_image or _ZERO) * images + (row.usd_per_second or _ZERO) * _decimal(seconds)
    by_tokens = _priced(row.usd_per_million, tokens) if row.usd_per_million and tokens else None
    return max(by_images, (by_tokens or _ZERO) * images).quantize(MILLIONTH, ROUND_CEILING)


def cost_of_text(row: PriceRow, usage: Mapping[str, Any] | None) -> Decimal | None:
    """Return the cost of the tokens of a language model; None if they are not counted, or have no price."""
    usd = _cost_of_tokens(row.usd_per_million, usage) if row.usd_per_million else None
    return None if usd is None else to_millionths(usd)


def _cost_of_tokens(prices: TokenPrices, usage: Mapping[str, Any] | None) -> Decimal | None:
    """Return the cost of the tokens, or None if they are not counted, or of a kind without a price."""
    if not usage or "output_tokens" not in usage:
        return None
    return _priced(prices, _input_counts(usage) | _output_counts(usage))


def _priced(prices: TokenPrices, counts: Mapping[str, int]) -> Decimal | None:
    """Return the cost of tokens by their kinds, or None if some of them have no price.

    A kind without a price of its own has that of the other kind of the same direction: nothing is free that is counted.
    """
    text_in = prices.image_in if prices.text_in is None else prices.text_in
    image_in = prices.text_in if prices.image_in is None else prices.image_in
    listed = {
        "text_in": text_in,
        "image_in": image_in,
        "cached_text_in": text_in if prices.cached_text_in is None else prices.cached_text_in,
        "cached_image_in": image_in if prices.cached_image_in is None else prices.cached_image_in,
        "text_out": prices.image_out if prices.text_out is None else prices.text_out,
        "image_out": prices.text_out if prices.image_out is None else prices.image_out,
    }
    total = _ZERO
    for kind, count in counts.items():
        price = listed[kind]
        if price is None and count:
            return None
        total += (price or _ZERO) * count
    return total / _MILLION


def _decimal(seconds: float) -> Decimal:
    return Decimal(str(round(seconds, 3)))


def _input_counts(usage: Mapping[str, Any]) -> dict[str, int]:
    """Return the input tokens by kind. Tokens that no detail explains are text, and so are cached ones, at first."""
    details = usage.get("input_tokens_details") or {}
    images = details.get("image_tokens", 0)
    text = max(details.get("text_tokens", 0), usage.get("input_tokens", 0) - images)
    cached_details = details.get("cached_tokens_details") or {}
    cached_images = min(cached_details.get("image_tokens", 0), images)
    cached = max(details.get("cached_tokens", 0), cached_details.get("text_tokens", 0) + cached_images)
    cached_text = min(cached - cached_images, text)
    cached_images = min(cached - cached_text, images)
    return {
        "text_in": text - cached_text,
        "image_in": images - cached_images,
        "cached_text_in": cached_text,
        "cached_image_in": cached_images,
    }


def _output_counts(usage: Mapping[str, Any]) -> dict[str, int]:
    """Return the output tokens by kind. Without details, all of them are the images'; else the rest is text.

    Gemini counts the tokens of its thoughts only in the total; they are charged as text.
    """
    output = usage["output_tokens"]
    details = usage.get("output_tokens_details") or {}
    text = details.get("text_tokens", 0)
    images = details.get("image_tokens") or max(0, output - text)
    thoughts = max(0, usage.get("total_tokens", 0) - output - usage.get("input_tokens", 0))
    return {"image_out": images, "text_out": max(text, output - images) + thoughts}
