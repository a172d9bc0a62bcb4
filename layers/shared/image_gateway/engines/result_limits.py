"""What the gateway takes of an engine's result: a limited number of images, and small, known values beside them.

A job's record must fit into the table, whatever an engine reports. Otherwise images that are paid for would be lost.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from image_gateway.engines.protocol import EngineImage, EngineResult
from image_gateway.engines.usage import token_counts
from image_gateway.models.forms import MAX_PROMPT

MAX_IMAGES = 64
"""Most images of a job. It is well above the largest `n`, because some servers make more images than requested."""

_REPORTED = ("quality", "background")
_MAX_REPORTED_CHARS = 64
_MAX_WARNINGS = 100
_MAX_WARNING_CHARS = 1_000
_SEED_COUNT = 2**64
_Image = TypeVar("_Image")


def first_images(images: Sequence[_Image], limit: int, engine: str) -> tuple[list[_Image], list[str]]:
    """Return the first images that an engine returned, at most `limit`, and a warning if there are more."""
    kept = "the first" if limit == 1 else f"the first {limit}"
    too_many = f"{engine} returned {len(images)} images, and all but {kept} were left out"
    return list(images[:limit]), [too_many] if len(images) > limit else []


def limit_result(result: EngineResult, engine: str) -> None:
    """Shorten a result, in place, to what is kept of it. The name of the engine is for the warning."""
    images, warnings = first_images(result.images, MAX_IMAGES, engine)
    result.images = [_limit_image(image) for image in images]
    result.usage = token_counts(result.usage)
    result.reported = {name: text[:_MAX_REPORTED_CHARS] for name in _REPORTED if (text := result.reported.get(name))}
    result.warnings = [text[:_MAX_WARNING_CHARS] for text in [*warnings, *result.warnings][:_MAX_WARNINGS]]


def _limit_image(image: EngineImage) -> EngineImage:
    seed, prompt = image.seed, image.revised_prompt
    is_seed = isinstance(seed, int) and not isinstance(seed, bool) and 0 <= seed < _SEED_COUNT
    return replace(image, seed=seed if is_seed else None, revised_prompt=prompt and prompt[:MAX_PROMPT])
