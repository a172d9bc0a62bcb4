"""Amounts of US dollars: exact decimal numbers, which JSON carries as text. Never a float, which cannot hold 0.10."""

import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

MILLIONTH: Final = Decimal("0.000001")
"""The smallest amount that is recorded."""
_MAX_DOLLARS = Decimal(1_000_000_000)
_PATTERN: Final = r"^[0-9]{1,10}(\.[0-9]{1,12})?$"
_AMOUNT = re.compile(_PATTERN)
_MILLIONTHS = 6
_REMEDY = 'must be an amount of US dollars from 0 to 1000000000 as text, for example "0.042"'


def to_millionths(amount: Decimal) -> Decimal:
    """Return an amount rounded to a millionth of a dollar, half of one up."""
    return amount.quantize(MILLIONTH, ROUND_HALF_UP)


def to_micros(usd: Decimal) -> int:
    """Return an amount in whole millionths of a dollar."""
    return int(to_millionths(usd) / MILLIONTH)


def from_micros(micros: int) -> Decimal:
    """Return an amount in dollars."""
    return micros * MILLIONTH


def format_usd(amount: Decimal) -> str:
    """Return an amount with six decimals: `0.042000`."""
    return f"{to_millionths(amount):f}"


def _parse(value: object) -> Decimal:
    """Return an amount that a request or a stored document has.

    A float is refused, because 0.1 in JSON is not a tenth once it is one. So are exponents, signs and anything else
    that decimal numbers can have elsewhere.
    """
    if isinstance(value, Decimal):
        # Of this process, and no input.
        amount = value
    elif isinstance(value, str | int) and not isinstance(value, bool) and _AMOUNT.fullmatch(f"{value}"):
        amount = Decimal(value)
    else:
        raise PydanticCustomError("usd", _REMEDY)
    # NaN and the infinities are no finite numbers.
    if not amount.is_finite() or amount < 0 or amount > _MAX_DOLLARS:
        raise PydanticCustomError("usd", _REMEDY)
    return amount


def _to_a_millionth(amount: Decimal) -> Decimal:
    """Refuse an amount that would be rounded: nobody would see what became of the rest."""
    if amount != to_millionths(amount):
        raise PydanticCustomError("usd", "must have at most {decimals} decimals", {"decimals": _MILLIONTHS})
    return amount


def _plain(amount: Decimal) -> str:
    return f"{amount:f}"


_SCHEMA = {"type": "string", "pattern": _PATTERN, "examples": ["0.042"]}

Usd = Annotated[
    Decimal,
    BeforeValidator(_parse),
    AfterValidator(_to_a_millionth),
    PlainSerializer(format_usd, return_type=str),
    WithJsonSchema({**_SCHEMA, "pattern": r"^[0-9]{1,10}(\.[0-9]{1,6})?$", "examples": ["0.042000"]}),
]
"""An amount that was or may be spent, to a millionth. Written with six decimals; more of them are refused."""
Price = Annotated[Decimal, BeforeValidator(_parse), PlainSerializer(_plain, return_type=str), WithJsonSchema(_SCHEMA)]
"""A price, as exact as it was given, up to twelve decimals."""

Basis = Literal["usage", "price", "unknown"]
"""How a cost is known: from the tokens that the engine reported, from a price for an image or a second, or not."""
