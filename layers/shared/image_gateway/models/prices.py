"""Prices of images: the rows that an operator sets, and those that the gateway brings.

Most processes validate no row, so the models are built when they are first used.
"""

from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from image_gateway.models.money import Price

ANY_MODEL: Final = "*"
"""In a row: every model that no other row names."""
_PRICES: Final = ("usd_per_image", "usd_per_second", "usd_per_million")

Name = Annotated[str, Field(min_length=1, max_length=256)]


class TokenPrices(BaseModel):
    """Prices of a million tokens, in US dollars. A missing price of cached tokens is that of others of their kind."""

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
    model: Name = Field(description=f"The model's name at the engine; `{ANY_MODEL}`: every one without another row.")
    size: Name | None = Field(
        None, description="The size in pixels, such as `1024x1024`, or `512`, `1K`, `2K`, `4K`; absent: every one."
    )
    quality: Name | None = Field(None, description="The quality, such as `high`; absent: every one.")
    usd_per_image: Price | None = Field(None, description="US dollars for an image.")
    usd_per_second: Price | None = Field(None, description="US dollars for a second that the engine worked.")
    usd_per_million: TokenPrices | None = Field(
        None, description="US dollars for a million tokens, of which the engine reports the number."
    )
    reserve_usd: Price | None = Field(
        None,
        description="US dollars that are held for each image until the cost is known. "
        "Absent: `usd_per_image`, or nothing where the row has only other prices.",
    )

    @model_validator(mode="after")
    def _has_a_price(self) -> Self:
        if all(getattr(self, name) is None for name in _PRICES):
            raise PydanticCustomError("price", f"must have at least one of {', '.join(_PRICES)}")
        return self
