"""Which price applies to a request."""

from decimal import Decimal
from typing import Any

import pytest

from image_gateway.metering.prices import PriceQuery, find_price, find_text_price, possible_prices, size_names
from image_gateway.metering.providers import provider_of
from image_gateway.models.prices import PriceRow


def query(model: str = "gpt-image-2", **fields: Any) -> PriceQuery:
    """Return a query about a model of OpenAI's own server."""
    return PriceQuery(**{"connection": "openai", "provider": "openai", "model": model, **fields})


def rows(*fields: dict[str, Any]) -> list[PriceRow]:
    """Return the operator's rows with these fields."""
    return [PriceRow.model_validate({"model": "gpt-image-2", **row}) for row in fields]


@pytest.mark.parametrize(
    ("provider", "model", "size", "quality", "usd"),
    [
        ("openai", "gpt-image-1.5", "1024x1024", "high", "0.133"),
        ("openai", "gpt-image-1.5", "1536x1024", "low", "0.013"),
        ("gemini", "gemini-3.1-flash-image", "512", None, "0.045"),
        ("gemini", "gemini-3.1-flash-image", "1K", None, "0.0672"),
        ("gemini", "gemini-3.1-flash-image", None, None, "0.0672"),
        ("gemini", "gemini-3-pro-image", "4K", None, "0.24"),
        ("xai", "grok-imagine-image-2.0", None, None, "0.06"),
        ("comfyui", "sd_xl_base_1.0.safetensors", "1024x1024", None, "0"),
        ("automatic1111", "", None, None, "0"),
    ],
)
def test_the_table_has_prices_by_provider_model_size_and_quality(
    provider: str, model: str, size: str | None, quality: str | None, usd: str
) -> None:
    """Engines of one's own are free."""
    row = find_price((), query(model, provider=provider, sizes=[size] if size else (), quality=quality))

    assert row is not None
    assert row.usd_per_image == Decimal(usd)


@pytest.mark.parametrize(
    ("engine", "url", "model"),
    [
        ("openai", "https://api.openai.com/v1", "flux"),
        ("openai", "https://api.openai.com/v1", "gpt-image-1"),
        ("openai", "https://api.openai.com/v1", ""),
        ("openai", "https://api.openai.com/v1", "comfyui/gpt-image-2"),
        ("openai", "https://llm.example.com/v1", "gpt-image-2"),
        ("openai", "https://llm.example.com/v1", "openai/gpt-image-2"),
        ("openai", "https://llm.example.com/v1", "automatic1111/flux"),
        ("openai", "https://api.openai.com.example.com/v1", "gpt-image-2"),
        ("openai", "https://example.com/api.openai.com/v1", "gpt-image-2"),
        ("openai", "https://openai-api.example.net/v1", "gpt-image-2"),
        ("openai", "https://openrouter.ai/api/v1", "openai/gpt-image-2"),
        ("openai", "https://company.azure-api.net/openai", "gpt-image-2"),
        ("openai", "https://res.openai.azure.cn/openai/v1", "gpt-image-2"),
        ("gemini", "https://gemini.example.com/v1beta", "gemini-3-pro-image"),
        ("gemini", "https://evil-aiplatform.googleapis.com.example.com/v1", "gemini-3-pro-image"),
        ("comfyui", "https://cloud.comfy.org", "flux"),
        ("comfyui", "https://CLOUD.comfy.org./api", "flux"),
    ],
)
def test_a_server_of_unknown_origin_has_no_price(engine: str, url: str, model: str) -> None:
    """Whatever its models are called: only the operator knows what it charges. Retired models have no price either."""
    assert find_price((), query(model, provider=provider_of(engine, url))) is None


@pytest.mark.parametrize(
    ("engine", "url", "model", "provider"),
    [
        ("openai", "https://api.openai.com/v1", "gpt-image-2", "openai"),
        ("openai", "https://API.OpenAI.com:443/v1", "gpt-image-2.6-flare", "openai"),
        ("openai", "https://res.openai.azure.com/openai/deployments/gpt-image-2", "gpt-image-2", "azure"),
        ("openai", "https://res.services.ai.azure.com/openai/v1", "gpt-image-1.5", "azure"),
        ("openai", "https://api.x.ai/v1", "grok-imagine-image", "xai"),
        ("gemini", "https://generativelanguage.googleapis.com/v1beta", "gemini-2.5-flash-image", "gemini"),
        ("gemini", "https://aiplatform.googleapis.com/v1", "gemini-3-pro-image", "gemini"),
        ("gemini", "https://europe-west4-aiplatform.googleapis.com/v1", "gemini-3-pro-image", "gemini"),
        ("comfyui", "http://10.0.0.7:8188", "flux", "comfyui"),
        ("automatic1111", "http://10.0.0.7:7860", "", "automatic1111"),
    ],
)
def test_a_providers_own_server_has_its_prices(engine: str, url: str, model: str, provider: str) -> None:
    """The host says whose server it is."""
    assert provider_of(engine, url) == provider
    assert find_price((), query(model, provider=provider)) is not None


def test_a_row_of_the_operator_replaces_the_table() -> None:
    """Also in the kinds of price that the row leaves out."""
    row = find_price(rows({"usd_per_image": "0.02"}), query())

    assert row is not None
    assert (row.usd_per_image, row.usd_per_million) == (Decimal("0.02"), None)


ORDER = (
    {"model": "*", "usd_per_image": "1"},
    {"usd_per_image": "2"},
    {"usd_per_image": "3", "quality": "high"},
    {"usd_per_image": "4", "size": "1024x1024"},
    {"usd_per_image": "5", "size": "1024x1024", "quality": "high"},
    {"usd_per_image": "9", "size": "1K"},
    {"usd_per_image": "6", "model": "portrait"},
    {"usd_per_image": "7", "model": "*", "connection": "azure-eu"},
    {"usd_per_image": "8", "model": "gpt-image-2", "connection": "azure-eu", "size": "2K"},
)


@pytest.mark.parametrize(
    ("expected", "fields"),
    [
        (1, {"model": "other"}),
        (1, {"model": ""}),
        (1, {"model": "gpt-image-2-2026-04-21"}),
        (1, {"model": "GPT-image-2"}),
        (2, {}),
        (2, {"sizes": ["512x512", "512"], "quality": "low"}),
        (3, {"sizes": ["512x512", "512"], "quality": "high"}),
        (4, {"sizes": ["1024x1024", "1K"], "quality": "low"}),
        (5, {"sizes": ["1024x1024", "1K"], "quality": "high"}),
        (9, {"sizes": ["1280x720", "1K"], "quality": "high"}),
        (6, {"workflow": "portrait"}),
        (6, {"workflow": "portrait", "quality": "high"}),
        (2, {"workflow": "landscape"}),
        (7, {"connection": "azure-eu", "model": "other"}),
        (7, {"connection": "azure-eu", "sizes": ["1024x1024", "1K"], "quality": "high"}),
        (7, {"connection": "azure-eu", "workflow": "portrait", "model": ""}),
        (8, {"connection": "azure-eu", "sizes": ["2048x2048", "2K"]}),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_the_row_with_the_most_conditions_decides(expected: int, fields: dict[str, Any], order: int) -> None:
    """A connection counts most, then a workflow, a model, a size and a quality. The order of the list does not."""
    row = find_price(rows(*ORDER[::order]), query(**fields))

    assert row is not None
    assert row.usd_per_image == expected


def test_prices_of_tokens_and_of_images_may_come_from_different_rows() -> None:
    """One row has the tokens for all sizes, and others the price of an image of one size."""
    prices = rows({"usd_per_million": {"image_out": "30"}}, {"size": "2K", "usd_per_image": "0.1"})

    row = find_price(prices, query(sizes=["2K"]))

    assert row is not None
    assert row.usd_per_million is not None
    assert row.usd_per_image == Decimal("0.1")


def test_a_row_for_a_model_replaces_the_row_for_all_models() -> None:
    """Otherwise the second of a general row would be added to the image of this one."""
    row = find_price(rows({"model": "*", "usd_per_second": "0.001"}, {"usd_per_image": "0.02"}), query())

    assert row is not None
    assert (row.usd_per_image, row.usd_per_second) == (Decimal("0.02"), None)


def test_a_size_that_only_other_rows_have_is_priced_by_the_row_for_all_models() -> None:
    """A row for another size is none for this one."""
    prices = rows({"size": "1024x1024", "usd_per_image": "0.04"}, {"model": "*", "usd_per_image": "1"})

    row = find_price(prices, query(sizes=["2048x2048", "2K"]))

    assert row is not None
    assert row.usd_per_image == 1


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, [1, 2, 3, 4]),
        ({"sizes": ["1K"]}, [1, 2]),
        ({"quality": "high"}, [2, 4]),
        ({"quality": "low"}, [1, 3]),
        ({"sizes": ["4K"], "quality": "high"}, [4]),
        ({"sizes": ["512"]}, []),
    ],
)
def test_what_the_engine_chooses_may_have_any_of_the_prices(fields: dict[str, Any], expected: list[int]) -> None:
    """A size or a quality that is not known yet."""
    prices = rows(
        {"size": "1K", "usd_per_image": "1"},
        {"size": "1K", "quality": "high", "usd_per_image": "2"},
        {"size": "4K", "usd_per_image": "3"},
        {"size": "4K", "quality": "high", "usd_per_image": "4"},
    )

    found = possible_prices(prices, query("gpt-image-2", provider="", **fields))

    assert sorted({int(row.usd_per_image or 0) for row in found}) == expected


def test_a_language_model_has_a_price_only_where_a_row_names_it() -> None:
    """The row for all models is for images, and so is a row for images of a size."""
    prices = rows(
        {"model": "*", "usd_per_million": {"text_in": "1", "text_out": "1"}},
        {"model": "gpt-5.6-mini", "usd_per_image": "0.1"},
        {"model": "gpt-5.6-mini", "usd_per_million": {"text_in": "2", "text_out": "2"}},
        {"model": "gpt-5.6-mini", "connection": "openai", "usd_per_million": {"text_in": "3", "text_out": "3"}},
    )

    def text_in(connection: str, model: str) -> Decimal | None:
        row = find_text_price(prices, connection, model)
        return row.usd_per_million.text_in if row and row.usd_per_million else None

    assert text_in("openai", "gpt-5.6-mini") == 3
    assert text_in("azure-eu", "gpt-5.6-mini") == 2
    assert text_in("openai", "gpt-5.6") is None


@pytest.mark.parametrize(
    ("width", "height", "names"),
    [
        (1024, 1024, {"1024x1024", "1K"}),
        (1584, 672, {"1584x672", "1K"}),
        (512, 512, {"512x512", "512"}),
        (2048, 2048, {"2048x2048", "2K"}),
        (4096, 4096, {"4096x4096", "4K"}),
    ],
)
def test_a_size_is_named_by_pixels_and_by_class(width: int, height: int, names: set[str]) -> None:
    """A row of prices may have either."""
    assert size_names(width, height) == names
