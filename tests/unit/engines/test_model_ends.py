"""Models whose provider has announced their end."""

from datetime import date

import pytest

from image_gateway.engines.model_ends import end_warnings, model_end

TODAY = date(2026, 11, 28)


@pytest.mark.parametrize(
    ("model", "provider", "ends_on"),
    [
        ("gpt-image-1.5", "openai", "2026-12-01"),
        ("chatgpt-image-latest", "openai", "2026-12-01"),
        ("openai/gpt-image-1-mini", "openai", "2026-12-01"),
        ("gpt-image-1.5", "azure", "2026-12-16"),
        ("azure/gpt-image-1.5", "openai", "2026-12-16"),
        ("litellm/azure/gpt-image-1.5", "openai", "2026-12-16"),
        ("gemini/gemini-2.5-flash-image", "openai", "2027-03-15"),
        ("grok-imagine-image-quality", "openai", "2026-11-02"),
        ("vertex_ai/gemini-3-pro-image", "openai", "2027-05-28"),
        ("gemini-2.5-flash-image", "gemini", "2027-03-15"),
        ("gpt-image-2", "openai", None),
        ("gpt-image-1.5", "gemini", None),
        ("flux", "openai", None),
    ],
)
def test_the_end_is_that_of_the_provider(model: str, provider: str, ends_on: str | None) -> None:
    """Providers end the same model at different times, and proxies put their names in front."""
    end = model_end(model, provider)

    assert (end and end.ends_on.isoformat()) == ends_on


def test_a_near_end_is_a_warning_with_the_successor() -> None:
    """As far as the provider names one."""
    assert end_warnings("gpt-image-1.5", "openai", TODAY) == [
        "gpt-image-1.5 ends on 2026-12-01, as its provider has announced: use gpt-image-2"
    ]
    assert end_warnings("gpt-image-1.5", "azure", TODAY) == [
        "gpt-image-1.5 ends on 2026-12-16, as its provider has announced"
    ]


def test_a_past_end_is_a_warning_too() -> None:
    """Other servers may still have the model."""
    assert end_warnings("dall-e-3", "openai", TODAY)[0].startswith("dall-e-3 ended on 2026-05-12")


@pytest.mark.parametrize(("model", "provider"), [("gpt-image-2", "azure"), ("gpt-image-2", "openai"), (None, "openai")])
def test_a_distant_end_is_no_warning(model: str | None, provider: str) -> None:
    """There is nothing to do about it yet."""
    assert end_warnings(model, provider, TODAY) == []
