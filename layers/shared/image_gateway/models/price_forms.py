"""The operator's prices, as a request and as a response."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from image_gateway.models.prices import PriceRow


class Prices(BaseModel):
    """The operator's prices: they come before those that the gateway brings."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    prices: list[PriceRow] = Field(max_length=500)

    @model_validator(mode="after")
    def _no_two_alike(self) -> Self:
        seen = set()
        for row in self.prices:
            key = (row.connection, row.model, row.size, row.quality)
            if key in seen:
                text = f"must not have two rows for the same connection, model, size and quality: {row.model}"
                raise PydanticCustomError("price", "{field} {problem}", {"field": "prices", "problem": text})
            seen.add(key)
        return self
