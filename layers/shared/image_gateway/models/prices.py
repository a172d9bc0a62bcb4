"""Prices of images: the rows that an operator sets, and those that the gateway brings.

Most processes validate no row, so the models are built when they are first used.
"""

import re
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from image_gateway.models.input_image import MAX_SIDE
from image_gateway.models.money import Price

ANY_MODEL: Final = "*"
"""In a row: every model that no other row names."""
_PRICES: Final = ("usd_per_image", "usd_per_second", "usd_per_million")

_PIXELS = re.compile(r"([0-9]{1,5}) ?[x*\u00d7] ?([0-9]{1,5})")
_CLASSES: Final = {"512": "512", "0.5k": "512", "1k": "1K", "2k": "2K", "4k": "4K"}


def _size_name(text: str) -> str:
    """Return a size as the prices of a request are looked for: `1024x1024`, `512`, `1K`, `2K` or `4K`."""
    text = " ".join(text.lower().split())
    if name := _CLASSES.get(text):
        return name
    pixels = _PIXELS.fullmatch(text)
    sides = [int(side) for side in pixels.groups()] if pixels else []
    if not sides or not all(1 <= side <= MAX_SIDE for side in sides):
        message = "must be pixels such as 1024x1024, or 512, 1K, 2K or 4K: leave it out for every size"
        raise PydanticCustomError("size", message)
    return f"{sides[0]}x{sides[1]}"


def quality_name(text: str) -> str:
    """Return a quality as the prices of a request are looked for: in lower case.

    Raises:
        PydanticCustomError: it is none, or `auto`, which is what a request has and no price.
    """
    text = text.strip().lower()
    if text in ("", "auto"):
        raise PydanticCustomError("quality", "must be a quality such as high: leave it out for every quality")
    return text


def _plain_name(text: str) -> str:
    if text != text.strip() or not text.isprintable():
        raise PydanticCustomError("name", "must be a name without spaces around it and without control characters")
    return text


Name = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_plain_name)]


class TokenPrices(BaseModel):
    """Prices of a million tokens, in US dollars.

    A missing price of cached tokens is that of others of their kind. Other tokens without a price of their kind have
    that of the other kind of the same direction.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, frozen=True, defer_build=True)

    text_in: Price | None = None
    image_in: Price | None = None
    cached_text_in: Price | None = None
    cached_image_in: Price | None = None
    text_out: Price | None = None
    image_out: Price | None = None


class PriceRow(BaseModel):
    """What an image of a model costs."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, frozen=True, defer_build=True)

    connection: Name | None = Field(None, description="The connection; absent: every one.")
    model: Name = Field(
        description="The model's name at the engine, or the name of a ComfyUI workflow; "
        f"`{ANY_MODEL}`: every one without another row."
    )
    size: Annotated[Name, AfterValidator(_size_name)] | None = Field(
        None, description="The size in pixels, such as `1024x1024`, or `512`, `1K`, `2K`, `4K`; absent: every one."
    )
    quality: Annotated[Name, AfterValidator(quality_name)] | None = Field(
        None, description="The quality, such as `high`; absent: every one."
    )
    usd_per_image: Price | None = Field(None, description="US dollars for an image.")
    usd_per_second: Price | None = Field(None, description="US dollars for a second that the engine worked.")
    usd_per_million: TokenPrices | None = Field(
        None, description="US dollars for a million tokens, of which the engine reports the number."
    )
    reserve_usd: Price | None = Field(
        None,
        description="US dollars that are held for each image until the cost is known. "
        "Absent: the most that the other prices of the row can come to, as far as that is known.",
    )

    @model_validator(mode="after")
    def _has_a_price(self) -> Self:
        if all(getattr(self, name) is None for name in _PRICES):
            raise PydanticCustomError("price", f"must have at least one of {', '.join(_PRICES)}")
        if self.usd_per_million and not self.usd_per_million.model_dump(exclude_none=True):
            raise PydanticCustomError("price", "usd_per_million: must have the price of at least one kind of tokens")
        return self
