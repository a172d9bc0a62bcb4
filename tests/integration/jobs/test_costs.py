"""What jobs cost: tokens, sizes, parameters of operators, failures and cancellation."""

import base64
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.engines.painter import paint
from sandbox.engines.state import Fault
from tests.integration.jobs.priced_requests import (
    COST,
    GENERATIONS,
    JOBS,
    last_job,
    limited,
    put_prices,
)
from tests.integration.jobs.queued_generation import submit
from tests.integration.jobs.token_usage import GPT_IMAGE_2, USAGES, answer
from tests.polling import LONG, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandbox.engines.state import SandboxState
    from tests.integration.deployment import Deployment
    from tests.integration.sandbox_engine import SandboxEngine


LIMITS = "/api/v1/images/limits"


def test_an_edit_costs_its_input_images(
    deployment: "Deployment", use_edit_engine: "Callable[[str], SandboxEngine]"
) -> None:
    """Image tokens of the input have a price of their own; the connection is that of edits."""
    engine = use_edit_engine("openai")
    put_prices(
        deployment,
        {"model": "gpt-image-2", "connection": "openai-edit", "usd_per_million": GPT_IMAGE_2},
        {"model": "*", "usd_per_image": "9"},
    )
    engine.state.knobs.faults = [answer(USAGES["documented"][0])]

    assert deployment.edit().headers[COST] == "0.001870"


def test_gemini_is_charged_for_text_images_cached_input_and_thoughts(
    deployment: "Deployment", use_edit_engine: "Callable[[str], SandboxEngine]"
) -> None:
    """As it counts them: the thoughts are in the total only."""
    engine = use_edit_engine("gemini")
    rates = {"text_in": "2", "image_in": "2", "cached_text_in": "0.2", "text_out": "12", "image_out": "120"}
    put_prices(deployment, {"model": "*", "usd_per_million": rates})
    image = base64.b64encode(paint("a fox", 64, 64)).decode()
    usage = {
        "promptTokenCount": 600,
        "candidatesTokenCount": 1130,
        "thoughtsTokenCount": 270,
        "totalTokenCount": 2000,
        "cachedContentTokenCount": 40,
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 40},
            {"modality": "IMAGE", "tokenCount": 560},
        ],
        "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 40}],
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1120}],
    }
    parts = [{"inlineData": {"mimeType": "image/png", "data": image}}]
    body = {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}], "usageMetadata": usage}
    engine.state.knobs.faults = [Fault(200, body)]

    response = deployment.edit()

    # 40 * 0.2 + 560 * 2 + 1120 * 120 + (10 + 270) * 12 millionths.
    assert (response.status, response.headers.get(COST)) == (200, "0.138888")


def test_an_answer_without_an_image_costs_its_tokens(
    deployment: "Deployment", use_edit_engine: "Callable[[str], SandboxEngine]"
) -> None:
    """Google charges refusals of the content for their input and their thoughts."""
    engine = use_edit_engine("gemini")
    put_prices(deployment, {"model": "*", "usd_per_million": {"text_in": "2", "text_out": "12", "image_out": "120"}})
    usage = {"promptTokenCount": 600, "thoughtsTokenCount": 900, "totalTokenCount": 1500, "candidatesTokenCount": 0}
    body = {"candidates": [{"finishReason": "IMAGE_SAFETY"}], "usageMetadata": usage}
    engine.state.knobs.faults = [Fault(200, body, times=-1)]

    refused = deployment.edit(n=2)

    # Twice 600 * 2 + 900 * 12 millionths.
    assert (refused.status, refused.headers.get(COST)) == (400, "0.024000")
    assert last_job(deployment)["cost"] == {"usd": "0.024000", "basis": "usage"}


@pytest.mark.parametrize(
    ("params", "fields", "usd"),
    [
        ({}, {"size": "64x64", "quality": "low"}, "0.010000"),
        ({"quality": "high"}, {"size": "64x64", "quality": "low"}, "0.050000"),
        ({"size": "1024x1024"}, {"size": "64x64"}, "0.020000"),
        ({"n": 3}, {"size": "64x64"}, "0.030000"),
    ],
)
def test_an_image_costs_what_the_operators_parameters_request(
    openai_deployment: "Deployment", params: dict[str, Any], fields: dict[str, Any], usd: str
) -> None:
    """They are the last word on size, quality and number."""
    openai_deployment.configure(IMAGES_OPENAI_API_PARAMS=params)
    put_prices(
        openai_deployment,
        {"model": "gpt-image-2", "size": "64x64", "usd_per_image": "0.01"},
        {"model": "gpt-image-2", "size": "64x64", "quality": "high", "usd_per_image": "0.05"},
        {"model": "gpt-image-2", "size": "1024x1024", "usd_per_image": "0.02"},
    )

    response = openai_deployment.call("POST", GENERATIONS, {"prompt": "a fox", **fields}, role="user")

    assert (response.status, response.headers[COST]) == (200, usd)


def test_a_replaced_size_and_quality_cost_what_replaced_them(
    openai_deployment: "Deployment", openai: "SandboxState"
) -> None:
    """The refused ones were free."""
    openai_deployment.configure(IMAGE_GENERATION_MODEL="gpt-image-1.5")
    refusals = (("size", "Invalid size '1792x1024'. Supported: '1024x1024', '1536x1024'."), ("quality", "quality: no"))
    openai.knobs.faults = [
        Fault(
            400, {"error": {"message": text, "type": "invalid_request_error", "param": name, "code": "invalid_value"}}
        )
        for name, text in refusals
    ]
    put_prices(
        openai_deployment,
        {"model": "gpt-image-1.5", "size": "1792x1024", "usd_per_image": "0.09"},
        {"model": "gpt-image-1.5", "size": "1536x1024", "quality": "hd", "usd_per_image": "0.08"},
        {"model": "gpt-image-1.5", "size": "1536x1024", "quality": "high", "usd_per_image": "0.07"},
    )

    fields = {"prompt": "a fox", "size": "1792x1024", "quality": "hd"}
    response = openai_deployment.call("POST", GENERATIONS, fields, role="user")

    assert (response.status, response.headers.get(COST)) == (200, "0.070000")


@pytest.mark.parametrize(("policy", "status"), [("zero", 200), ("refuse", 409)])
def test_an_unknown_price_is_refused_or_counts_as_nothing(
    deployment: "Deployment", use_edit_engine: "Callable[[str], SandboxEngine]", policy: str, status: int
) -> None:
    """An edit, whose cost is unknown then."""
    use_edit_engine("openai")
    body = {"budget": {"usd": "1", "period": "total"}, "unknown_price": policy}
    assert deployment.call("PUT", LIMITS, body).status == 200

    response = deployment.edit()

    assert response.status == status, response.text
    assert response.headers.get(COST) == ("0.000000" if status == 200 else None)


def test_a_token_priced_model_cannot_exceed_a_budget_out_of_the_box(
    openai_deployment: "Deployment", openai: "SandboxState"
) -> None:
    """Something is held, although the row does not say how much; what was not used is given back."""
    put_prices(openai_deployment, {"model": "gpt-image-2", "usd_per_million": GPT_IMAGE_2})
    remaining = limited(openai_deployment, "0.30")
    openai.knobs.faults = [answer(USAGES["cached"][0])]
    fields = {"prompt": "a fox", "size": "1024x1024", "quality": "high"}

    first = openai_deployment.call("POST", GENERATIONS, fields, role="limited")
    second = openai_deployment.call("POST", GENERATIONS, fields, role="limited")

    assert (first.status, first.headers[COST]) == (200, "0.133125")
    assert (second.status, second.json["code"]) == (429, "budget_exceeded")
    assert remaining() == "0.166875"
    assert "needs 0.211745" in second.json["detail"]


@pytest.mark.parametrize(("price", "left"), [("0.25", "0.500000"), ("0", "1.000000")])
def test_a_canceled_job_that_was_running_may_have_cost_its_price(
    queue_deployment: "Deployment", openai: "SandboxState", running_worker: None, price: str, left: str
) -> None:
    """What it may have cost stays held. A free one leaves nothing."""
    put_prices(queue_deployment, {"model": "*", "usd_per_image": price})
    remaining = limited(queue_deployment, "1")
    openai.knobs.latency = LONG
    job = submit(queue_deployment, "limited", n=2)
    wait_until(lambda: len(openai.record) == 1)

    canceled = queue_deployment.call("DELETE", f"{JOBS}/{job}", role="limited").json
    openai.knobs.latency = 0

    assert canceled["status"] == "canceled"
    assert canceled.get("uncertain_usd", "0.000000") == f"{2 * float(price):.6f}"
    assert canceled["cost"]["usd"] == "0.000000"
    assert remaining() == left


def test_a_canceled_job_that_was_queued_costs_nothing(queue_deployment: "Deployment") -> None:
    """What was held for it is given back."""
    put_prices(queue_deployment, {"model": "*", "usd_per_image": "0.25"})
    remaining = limited(queue_deployment, "1")
    job = submit(queue_deployment, "limited")
    assert remaining() == "0.750000"

    canceled = queue_deployment.call("DELETE", f"{JOBS}/{job}", role="limited").json

    assert "uncertain_usd" not in canceled
    assert remaining() == "1.000000"
