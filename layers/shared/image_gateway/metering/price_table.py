"""The gateway's own prices and token counts: data, with the day for which they were checked and their sources.

The prices are those of LiteLLM 1.110's public map of models (MIT), which names the providers' pages. They differ where
the map was doubted:

- The map gives 0.045 for `gemini-3.1-flash-image` at the Gemini API and 0.0672 on Vertex AI. By its own price for a
  token, 0.0672 is an image of 1K (1,120 tokens) and 0.045 one of 512 pixels. Larger images cost what their tokens do.
- It lacks gpt-image-2.6, whose prices OpenAI's pages of the two models have, and the high quality of gpt-image-1-mini.
- Its rows without a quality for gpt-image-1.5 have the price of the low one. The default is `auto`, so they are left
  out.
- Prices of cached input that it gives for one of Google's two APIs count for both.
- Models that have ended are left out, and so are rows of price zero that only mean that the map has no price. Google
  has ended Imagen 3 and `gemini-3.1-flash-image` on the Gemini API. Their rows are for Vertex AI.

The token counts say what an image may take, so that a budget can hold its price before the answer. OpenAI documents a
calculator and no formula. The formula here, and the tokens of input images, are those that developers have found from
it and from their bills. gpt-image-2.6 is said to take as many tokens as gpt-image-2.5 from the quality `high` on, and
fewer than that below it.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from image_gateway.models.prices import PriceRow, TokenPrices


@dataclass(frozen=True, slots=True)
class ModelTokens:
    """How many tokens the images of a model take.

    Attributes:
        model: the beginning of the model's name.
        input_image: most tokens of an input image.
        text_out: tokens of text and thoughts beside an image, as far as they are usual.
        patches: quality → patches along the longer side, for models with images of any size.
        sizes: quality → size → tokens, for models with some sizes; `*` is every quality.
        sources: where the numbers come from.
    """

    model: str
    input_image: int
    text_out: int
    sources: Sequence[str]
    patches: Mapping[str, int] | None = None
    sizes: Mapping[str, Mapping[str, int]] | None = None


@cache
def rows_of(provider: str) -> Sequence[PriceRow]:
    """Return the gateway's own rows of a provider; none if it has none."""
    return [_row(row) for row in _table()["providers"].get(provider, ())]


def tokens_of(model: str) -> ModelTokens | None:
    """Return how many tokens the images of a model take, by the longest name that it begins with; None: unknown."""
    found = [each for each in _table()["tokens"] if model == each["model"] or model.startswith(f"{each['model']}-")]
    return ModelTokens(**max(found, key=lambda each: len(each["model"]))) if found else None


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(Path(__file__).with_suffix(".json").read_text())
    return table


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
