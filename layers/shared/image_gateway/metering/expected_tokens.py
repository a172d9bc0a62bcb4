"""The most tokens that an image is expected to take: what is held for it where tokens are charged."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from image_gateway.metering.price_table import ModelTokens, tokens_of

_MIN_PIXELS, _MAX_PIXELS = 655_360, 8_294_400
"""Fewest and most pixels of an image by OpenAI's models of any size."""
_REPLACEMENT = (1024, 1024)
"""What smaller images are replaced by, where they are not refused."""
_AREA_OFFSET, _AREA_SCALE = 2_000_000, 4_000_000
_PROMPT_OVERHEAD = 200
"""Tokens around a prompt, which grow with the input images: generations have 6, edits of large images some 80."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSpec:
    """What decides how many tokens one image takes.

    Attributes:
        model: its model.
        pixels: its width and height; None if the engine chooses them.
        sizes: all names of its size; empty if the engine chooses it.
        quality: its quality, in lower case; None if the engine chooses it.
        input_images: how many images it is made from, with the mask.
        prompt_bytes: the length of the prompt in UTF-8. No token is shorter than a byte.
    """

    model: str
    pixels: tuple[int, int] | None = None
    sizes: Collection[str] = ()
    quality: str | None = None
    input_images: int = 0
    prompt_bytes: int = 0


def expected_tokens(spec: ImageSpec) -> dict[str, int] | None:
    """Return the most tokens that an image is expected to take, by the kinds of `TokenPrices`; None if that is unknown.

    A size or a quality that is not known, and one that the model is not known to have, counts as the dearest.
    """
    model = tokens_of(spec.model)
    if model is None:
        return None
    return {
        "text_in": spec.prompt_bytes + _PROMPT_OVERHEAD,
        "image_in": spec.input_images * model.input_image,
        "image_out": _patch_tokens(model.patches, spec) if model.patches else _listed_tokens(model, spec),
        "text_out": model.text_out,
    }


def _patch_tokens(patches: Mapping[str, int], spec: ImageSpec) -> int:
    """Return the tokens of an image of any size: `patches` along its longer side, and as many as fit along the other.

    Their sum grows with the number of pixels.
    """
    along = patches.get(spec.quality or "", max(patches.values()))
    longer, shorter, pixels = 1, 1, _MAX_PIXELS
    if spec.pixels:
        is_too_small = spec.pixels[0] * spec.pixels[1] < _MIN_PIXELS
        sides = _REPLACEMENT if is_too_small else spec.pixels
        longer, shorter = max(sides), min(sides)
        pixels = min(longer * shorter, _MAX_PIXELS)
    across = (2 * along * shorter + longer) // (2 * longer)
    return -(-along * across * (_AREA_OFFSET + pixels) // _AREA_SCALE)


def _listed_tokens(model: ModelTokens, spec: ImageSpec) -> int:
    by_quality = model.sizes or {}
    wanted = ("*", spec.quality or "")
    qualities = [sizes for name, sizes in by_quality.items() if name in wanted] or [*by_quality.values()]
    sizes = [tokens for quality in qualities for size, tokens in quality.items() if size in spec.sizes]
    return max(sizes or [tokens for quality in qualities for tokens in quality.values()])
