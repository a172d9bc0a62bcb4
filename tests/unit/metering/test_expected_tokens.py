"""The most tokens that an image takes."""

from typing import Any

import pytest

from image_gateway.metering.expected_tokens import ImageSpec, expected_tokens


def image_out(model: str, **fields: Any) -> int:
    """Return the expected tokens of an image."""
    tokens = expected_tokens(ImageSpec(model=model, **fields))
    assert tokens is not None
    return tokens["image_out"]


def pixels(text: str) -> dict[str, Any]:
    width, height = map(int, text.split("x"))
    return {"pixels": (width, height), "sizes": (text,)}


@pytest.mark.parametrize(
    ("model", "size", "quality", "tokens"),
    [
        # What OpenAI's calculator says, as quoted in its forum.
        ("gpt-image-2", "1024x1024", "high", 7024),
        ("gpt-image-2", "1536x1024", "high", 5488),
        ("gpt-image-2", "1024x1536", "high", 5488),
        ("gpt-image-2", "1792x1024", "high", 5063),
        ("gpt-image-2", "3584x2048", "high", 12329),
        ("gpt-image-2", "960x720", "low", 130),
        ("gpt-image-2", "976x704", "low", 129),
        # Smaller than the smallest: 1024x1024 is made instead.
        ("gpt-image-2", "256x256", "high", 7024),
        ("gpt-image-2-2026-04-21", "1024x1024", "medium", 1756),
        ("gpt-image-2.5-flare", "1024x1024", "high", 1756),
        ("gpt-image-2.5-sunburst-2026-09-08", "1024x1024", "max", 7024),
        ("gpt-image-2.6-flare", "3840x2160", "high", 3336),
        # OpenAI's table for the older models.
        ("gpt-image-1.5", "1024x1024", "low", 272),
        ("gpt-image-1.5-2025-12-16", "1024x1536", "high", 6240),
        ("gpt-image-1.5", "1536x1024", "medium", 1568),
    ],
)
def test_the_tokens_of_an_image_are_those_that_its_provider_charges(
    model: str, size: str, quality: str, tokens: int
) -> None:
    """By size and quality."""
    assert image_out(model, quality=quality, **pixels(size)) == tokens


@pytest.mark.parametrize(
    ("model", "size_class", "tokens"),
    [
        ("gemini-2.5-flash-image", "1K", 1290),
        ("gemini-3-pro-image", "2K", 1120),
        ("gemini-3-pro-image", "4K", 2000),
        ("gemini-3.1-flash-image", "512", 747),
        ("gemini-3.1-flash-image", "2K", 1680),
        ("gemini-3.1-flash-image-preview", "4K", 2520),
        ("gemini-nano-banana-2.1", "4K", 3780),
    ],
)
def test_the_tokens_of_googles_images_depend_on_the_size_class(model: str, size_class: str, tokens: int) -> None:
    """As its pages of the models say."""
    assert image_out(model, sizes=(size_class,)) == tokens


@pytest.mark.parametrize("model", ["gpt-image-2", "gpt-image-2.5-flare", "gpt-image-2.6-sunburst", "gpt-image-1.5"])
def test_what_the_model_chooses_counts_as_the_dearest(model: str) -> None:
    """No size and no quality takes more than `auto`, and neither does one that nobody knows."""
    dearest = image_out(model)

    for quality in ("low", "medium", "high", "xhigh", "max", "hd", None):
        assert image_out(model, quality=quality) <= dearest
        for size in ("1024x1024", "2880x2880", "3840x2160", "2160x3840", "16x16", "16384x16384"):
            assert image_out(model, quality=quality, **pixels(size)) <= dearest
    assert image_out(model, quality="unheard-of") == dearest


def test_input_images_and_the_prompt_are_counted_for_each_image() -> None:
    """Four input images at most 1,536 tokens each; no token of a prompt is shorter than a byte."""
    tokens = expected_tokens(ImageSpec(model="gpt-image-2", input_images=4, prompt_bytes=1000))

    assert tokens is not None
    assert tokens["image_in"] == 4 * 1536
    assert 1000 < tokens["text_in"] < 1500


@pytest.mark.parametrize("model", ["", "flux", "gpt-image-3", "gpt-image-20", "my-gpt-image-2", "dall-e-3"])
def test_the_tokens_of_other_models_are_unknown(model: str) -> None:
    """The beginning of a name ends at a hyphen."""
    assert expected_tokens(ImageSpec(model=model)) is None
