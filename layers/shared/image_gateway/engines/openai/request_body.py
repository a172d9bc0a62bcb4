"""Fields of requests to the OpenAI Images API."""

import json
from collections.abc import Mapping
from typing import Any

from image_gateway.engines.openai.prompt_arguments import is_argument
from image_gateway.engines.protocol import ImageRequest
from image_gateway.models.sizes import fitting

_MAX_LONG, _MAX_SHORT = 3840, 2160
"""Longest sides of OpenAI's models in pixels. A 4K image is reduced to this size, unless pixels were requested."""

_RANDOM_SEED = -1
"""What makes stable-diffusion.cpp choose a seed."""


def options(request: ImageRequest, extra: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields beside the prompt that are set, of generations and edits.

    Args:
        request: the request.
        extra: fields beyond OpenAI's own that the server takes, with their names there. An aspect ratio that it takes
            is sent instead of the size that was calculated from it.
    """
    pixels = fitting(request.size, _MAX_LONG, _MAX_SHORT) if request.size and request.approximate_size else request.size
    size = "auto" if request.auto_size else str(pixels) if pixels else None
    fields = {
        "model": request.model,
        "n": request.n,
        "size": size,
        "quality": request.quality,
        "background": request.background,
        "output_format": request.output_format,
        "output_compression": request.output_compression,
        "style": request.style,
        "moderation": request.moderation,
        "user": request.user,
        "safety_identifier": request.safety_identifier,
        "complexity": request.complexity,
        "frame_count": request.frame_count,
        "frame_duration_ms": request.frame_duration_ms,
    }
    if request.aspect_ratio and "aspect_ratio" in extra:
        fields["size"] = None
    fields |= {name: getattr(request, field) for field, name in extra.items()}
    seed = extra.get("seed", "")
    if is_argument(seed) and request.seed is None:
        # The server's own default is the same seed for every image.
        fields[seed] = _RANDOM_SEED
    return {name: value for name, value in fields.items() if value is not None}


def form(fields: dict[str, Any]) -> dict[str, str]:
    """Return fields as texts, for a form."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}


def count_of(body: Mapping[str, Any]) -> int:
    """Return the number of images that a body asks for."""
    value = body.get("n")
    return value if isinstance(value, int) and value > 0 else 1
