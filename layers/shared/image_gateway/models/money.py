"""Amounts of US dollars: exact decimal numbers, which JSON carries as text. Never a float, which cannot hold 0.10."""

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Annotated, Final, Literal

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

MILLIONTH: Final = Decimal("0.000001")
"""The smallest amount that is recorded."""
_MAX_DOLLARS = Decimal(1_000_000_000)
_MAX_TEXT = 40
_MAX_DECIMALS = 12
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
    if isinstance(value, Decimal):
        amount = value
    elif isinstance(value, str) and len(value) <= _MAX_TEXT and value.isascii():
        try:
            amount = Decimal(value)
        except InvalidOperation:
            raise PydanticCustomError("usd", _REMEDY) from None
    elif isinstance(value, int) and not isinstance(value, bool):
        amount = Decimal(value)
    else:
        # A float is refused: 0.1 in JSON is not a tenth once it is a float.
        raise PydanticCustomError("usd", _REMEDY)
    # NaN and the infinities are no finite numbers.
    if not amount.is_finite() or amount < 0 or amount > _MAX_DOLLARS:
        raise PydanticCustomError("usd", _REMEDY)
    exponent = amount.as_tuple().exponent
    if isinstance(exponent, int) and exponent < -_MAX_DECIMALS:
        raise PydanticCustomError("usd", f"must have at most {_MAX_DECIMALS} decimals")
    return amount


def _plain(amount: Decimal) -> str:
    return f"{amount:f}"


_SCHEMA = {"type": "string", "pattern": r"^\d+(\.\d+)?$", "examples": ["0.042"]}

Usd = Annotated[
    Decimal,
    BeforeValidator(_parse),
    PlainSerializer(format_usd, return_type=str),
    WithJsonSchema({**_SCHEMA, "examples": ["0.042000"]}),
]
"""An amount that was or may be spent, to a millionth. Written with six decimals."""
Price = Annotated[Decimal, BeforeValidator(_parse), PlainSerializer(_plain, return_type=str), WithJsonSchema(_SCHEMA)]
"""A price, as exact as it was given, up to twelve decimals."""

Basis = Literal["usage", "price", "unknown"]
"""How a cost is known: from the tokens that the engine reported, from a price for an image or a second, or not."""
