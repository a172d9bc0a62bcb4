"""Generations that are refused, and engines and stores that fail."""

import json
from typing import TYPE_CHECKING

import pytest

from sandbox.engines.state import Fault
from tests.aws_clients import aws_client
from tests.integration.images_api.generation import GENERATIONS, generate
from tests.loop_time import LoopTime
from tests.polling import LONG, meanwhile, wait_until

if TYPE_CHECKING:
    from sandbox.engines.state import SandboxState
    from tests.integration.deployment import Deployment

FAULTS = [
    (Fault(401, {"error": {"message": "Incorrect API key: planted-engine-key", "code": "invalid_api_key"}}, times=-1),
     400, "engine_rejected", "Incorrect API key"),
    (Fault(429, {"error": {"message": "Rate limit reached"}}, {"Retry-After": "17"}, times=-1),
     429, "engine_rate_limited", "Rate limit reached"),
    (Fault(500, "<html><title>Oops</title>it broke</html>", times=-1), 502, "engine_unavailable", "it broke"),
    (Fault(200, "{not json", times=-1), 502, "engine_unavailable", "not JSON"),
    (Fault(200, {"data": []}, times=-1), 502, "engine_unavailable", "without images"),
    (Fault(200, {"data": [{"b64_json": "iVBORw0KGgo"}]}, times=-1), 502, "engine_unavailable", "base64"),
    (Fault(200, {"data": [{"b64_json": "aGVsbG8gd29ybGQh"}]}, times=-1), 502, "engine_unavailable", "not an image"),
    (Fault(400, {"error": {"message": "Your request was rejected", "code": "moderation_blocked"}}, times=-1),
     400, "content_blocked", "was rejected"),
    (Fault(0, times=-1), 502, "engine_unavailable", "broke off"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("fault", "status", "code", "error_text"), FAULTS, ids=[f"{f[0].status}-{f[2]}-{f[3]}" for f in FAULTS]
)
def test_an_engines_failure_has_the_documented_code_and_the_engines_text(
    openai_deployment: "Deployment", openai: "SandboxState", fault: Fault, status: int, code: str, error_text: str
) -> None:
    """The response contains no secret, and nothing is stored."""
    openai.knobs.faults.append(Fault(**vars(fault)))

    response = generate(openai_deployment)

    assert (response.status, response.json["code"]) == (status, code)
    assert error_text in response.json["detail"]
    assert "planted-engine-key" not in response.text
    assert openai_deployment.stored() == []
    if status == 429:
        assert response.headers["retry-after"] == "17"
        assert "x-should-retry" not in response.headers
    else:
        assert response.headers["x-should-retry"] == "false"


def test_an_engine_timeout_is_a_504_that_must_not_be_retried(
    openai_deployment: "Deployment", openai: "SandboxState", event_loop_time: LoopTime
) -> None:
    """A timeout after the request was sent may have cost money: clients must not retry by themselves."""
    openai.knobs.latency = LONG

    def advance_past_timeout() -> None:
        wait_until(lambda: openai.in_flight == 1)
        event_loop_time.advance(5)

    with meanwhile(advance_past_timeout):
        response = generate(openai_deployment)

    assert (response.status, response.json["code"]) == (504, "engine_timeout")
    assert response.headers["x-should-retry"] == "false"
    assert len(openai.record) == 1


def test_an_unreachable_engine_is_a_502(openai_deployment: "Deployment") -> None:
    """Nothing listens at the configured URL."""
    openai_deployment.configure(IMAGES_OPENAI_API_BASE_URL="http://127.0.0.1:9/v1", IMAGES_OPENAI_API_KEY="")

    assert generate(openai_deployment).json["code"] == "engine_unavailable"


def test_a_size_that_the_model_rejects_has_the_engines_error_text(openai_deployment: "Deployment") -> None:
    """Sizes that only the engine can judge are left to it."""
    response = generate(openai_deployment, size="65x65")

    assert (response.status, response.json["code"]) == (400, "engine_rejected")
    assert "65x65" in response.json["detail"]


INVALID_BODIES = [
    (b"{", 422, "JSON"),
    (b"", 422, "JSON object"),
    (b"null", 422, "JSON object"),
    (b"[]", 422, "JSON object"),
    (b'"x"', 422, "JSON object"),
    (b"{}", 422, "prompt"),
    (b'{"prompt": ""}', 422, "prompt"),
    (b'{"prompt": "   "}', 422, "prompt"),
    (json.dumps({"prompt": "x" * 32_001}).encode(), 422, "prompt"),
    (b'{"prompt": 7}', 422, "prompt"),
    (b'{"prompt": "\\ud800"}', 422, "prompt"),
    (b'{"prompt": "\xff"}', 422, "JSON"),
    (b'{"prompt": "a", "n": 0}', 422, "n"),
    (b'{"prompt": "a", "n": 11}', 422, "n"),
    (b'{"prompt": "a", "n": 1e400}', 422, "n"),
    (b'{"prompt": "a", "size": "big"}', 400, "size"),
    (b'{"prompt": "a", "size": "0x0"}', 400, "size"),
    (b'{"prompt": "a", "size": "99999x99999"}', 400, "size"),
    (b'{"prompt": "a", "steps": -1}', 422, "steps"),
    (b"[" * 100_000, 422, "JSON"),
]


@pytest.mark.parametrize(
    ("raw", "status", "error_text"), INVALID_BODIES, ids=[repr(body[0][:40]) for body in INVALID_BODIES]
)
@pytest.mark.parametrize("content_type", ["application/json", ""])
def test_an_invalid_body_names_the_field(
    openai_deployment: "Deployment", openai: "SandboxState", raw: bytes, status: int, error_text: str, content_type: str
) -> None:
    """It is never a 500, and the engine is not called."""
    headers = {"content-type": content_type} if content_type else {}

    response = openai_deployment.call("POST", GENERATIONS, raw=raw, headers=headers, role="user")

    assert response.status == status, response.text
    assert error_text in response.json["detail"]
    assert openai.record == []


def test_another_content_type_is_refused_with_the_required_one(openai_deployment: "Deployment") -> None:
    """JSON that is sent with another content type is not read."""
    headers = {"content-type": "application/octet-stream"}

    response = openai_deployment.call("POST", GENERATIONS, raw=b'{"prompt": "a fox"}', headers=headers, role="user")

    assert response.status == 422
    assert "Content-Type: application/json" in response.json["detail"]


def test_generation_is_disabled_until_it_is_enabled(deployment: "Deployment") -> None:
    """A new deployment generates nothing."""
    response = generate(deployment)

    assert (response.status, response.json["code"]) == (403, "disabled")


def test_an_unconfigured_engine_is_a_409_that_names_the_field(deployment: "Deployment") -> None:
    """The engine needs a key or a URL of its own first."""
    deployment.configure(ENABLE_IMAGE_GENERATION=True)

    response = generate(deployment)

    assert (response.status, response.json["field"]) == (409, "IMAGES_OPENAI_API_KEY")


def test_a_failing_bucket_is_a_503_that_must_not_be_retried(openai_deployment: "Deployment") -> None:
    """The image may have cost money, so that clients must not retry by themselves."""
    settings = openai_deployment.gateway.settings
    aws_client("s3").delete_bucket(Bucket=settings.bucket)

    response = generate(openai_deployment)

    assert (response.status, response.json["code"]) == (503, "storage_unavailable")
    assert response.headers["x-should-retry"] == "false"
