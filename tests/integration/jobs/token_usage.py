"""Tokens as OpenAI reports them, and what they cost at the prices of gpt-image-2."""

import base64
from typing import Any

from sandbox.engines.painter import paint
from sandbox.engines.state import Fault

GPT_IMAGE_2 = {"text_in": "5", "image_in": "8", "cached_text_in": "1.25", "cached_image_in": "2", "image_out": "30"}
"""OpenAI's prices of a million tokens of gpt-image-2."""
USAGES: dict[str, tuple[dict[str, Any], str]] = {
    # The example of OpenAI's API reference: 10 * 5 + 40 * 8 + 50 * 30 millionths.
    "documented": (
        {
            "total_tokens": 100,
            "input_tokens": 50,
            "output_tokens": 50,
            "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
        },
        "0.001870",
    ),
    # (300 - 100) * 5 + 100 * 1.25 + (1200 - 400) * 8 + 400 * 2 + 4160 * 30 millionths.
    "cached": (
        {
            "input_tokens": 1500,
            "input_tokens_details": {
                "text_tokens": 300,
                "image_tokens": 1200,
                "cached_tokens": 500,
                "cached_tokens_details": {"text_tokens": 100, "image_tokens": 400},
            },
            "output_tokens": 4160,
            "output_tokens_details": {"image_tokens": 4160, "text_tokens": 0},
            "total_tokens": 5660,
        },
        "0.133125",
    ),
}


def answer(usage: dict[str, Any] | None) -> Fault:
    """Return an answer of OpenAI with one image and this usage."""
    image = base64.b64encode(paint("a fox", 64, 64)).decode()
    body = {"created": 1, "data": [{"b64_json": image}], "quality": "low", "size": "64x64", "usage": usage}
    return Fault(200, body)
