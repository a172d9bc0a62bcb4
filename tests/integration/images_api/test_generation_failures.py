"""Generations that are refused, and engines and stores that fail."""

import json
from typing import TYPE_CHECKING

import boto3
import pytest

from sandbox.engines.state import Fault
from tests.integration.images_api.generation import GENERATIONS, generate
from tests.loop_time import LoopTime
from tests.polling import LONG, meanwhile, wait_until

if TYPE_CHECKING:
    from sandbox.engines.state import SandboxState
    from tests.integration.deployment import Deployment


def stored(deployment: "Deployment") -> list[str]:
    """The keys of all images in the bucket."""
    found = boto3.client("s3").list_objects_v2(Bucket=deployment.gateway.settings.bucket, Prefix="images/")
    return [item["Key"] for item in found.get("Contents", [])]


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
    ("fault", "status", "code", "words"), FAULTS, ids=[f"{f[0].status}-{f[2]}-{f[3]}" for f in FAULTS]
)
def test_an_engines_failure_is_told_in_its_own_words(
    openai_deployment: "Deployment", openai: "SandboxState", fault: Fault, status: int, code: str, words: str
) -> None:
    """The documented status and code, no secret, nothing stored."""
    openai.knobs.faults.append(Fault(**vars(fault)))

    response = generate(openai_deployment)

    assert (response.status, response.json["code"]) == (status, code)
    assert words in response.json["detail"]
    assert "planted-engine-key" not in response.text
    assert stored(openai_deployment) == []
    if status == 429:
        assert response.headers["retry-after"] == "17"
        assert "x-should-retry" not in response.headers
    else:
        assert response.headers["x-should-retry"] == "false"


def test_an_engine_that_is_too_slow_is_a_504_not_to_be_repeated(
    openai_deployment: "Deployment", openai: "SandboxState", handlers_time: LoopTime
) -> None:
    """A timeout after the request was sent may have cost money: clients must not retry by themselves."""
    openai.knobs.latency = LONG

    def run_out_of_time() -> None:
        wait_until(lambda: openai.in_flight == 1)
        handlers_time.advance(5)

    with meanwhile(run_out_of_time):
        response = generate(openai_deployment)

    assert (response.status, response.json["code"]) == (504, "engine_timeout")
    assert response.headers["x-should-retry"] == "false"
    assert len(openai.record) == 1


def test_an_engine_that_is_not_there_is_a_502(openai_deployment: "Deployment") -> None:
    """Nothing listens at the URL."""
    openai_deployment.configure(IMAGES_OPENAI_API_BASE_URL="http://127.0.0.1:9/v1", IMAGES_OPENAI_API_KEY="")

    assert generate(openai_deployment).json["code"] == "engine_unavailable"


def test_a_size_the_model_refuses_is_answered_in_the_engines_words(openai_deployment: "Deployment") -> None:
    """Sizes that only the engine can judge are its to refuse."""
    response = generate(openai_deployment, size="65x65")

    assert (response.status, response.json["code"]) == (400, "engine_rejected")
    assert "65x65" in response.json["detail"]


BAD_BODIES = [
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


@pytest.mark.parametrize(("raw", "status", "words"), BAD_BODIES, ids=[repr(body[0][:40]) for body in BAD_BODIES])
@pytest.mark.parametrize("content_type", ["application/json", ""])
def test_bad_input_names_the_field(
    openai_deployment: "Deployment", openai: "SandboxState", raw: bytes, status: int, words: str, content_type: str
) -> None:
    """Never a 500, and the engine is not asked."""
    headers = {"content-type": content_type} if content_type else {}

    response = openai_deployment.call("POST", GENERATIONS, raw=raw, headers=headers, role="user")

    assert response.status == status, response.text
    assert words in response.json["detail"]
    assert openai.record == []


def test_a_body_of_another_type_says_which_one_is_needed(openai_deployment: "Deployment") -> None:
    """JSON that says it is something else is not guessed at."""
    headers = {"content-type": "application/octet-stream"}

    response = openai_deployment.call("POST", GENERATIONS, raw=b'{"prompt": "a fox"}', headers=headers, role="user")

    assert response.status == 422
    assert "Content-Type: application/json" in response.json["detail"]


def test_generation_is_off_until_it_is_switched_on(deployment: "Deployment") -> None:
    """A new deployment makes nothing."""
    response = generate(deployment)

    assert (response.status, response.json["code"]) == (403, "disabled")


def test_an_engine_that_is_not_configured_names_the_field(deployment: "Deployment") -> None:
    """409, and no retry."""
    deployment.configure(ENABLE_IMAGE_GENERATION=True)

    response = generate(deployment)

    assert (response.status, response.json["field"]) == (409, "IMAGES_OPENAI_API_KEY")


def test_a_bucket_that_fails_is_told(openai_deployment: "Deployment") -> None:
    """The image may have been paid for, so a client must not repeat the request blindly."""
    settings = openai_deployment.gateway.settings
    boto3.client("s3").delete_bucket(Bucket=settings.bucket)

    response = generate(openai_deployment)

    assert (response.status, response.json["code"]) == (503, "storage_unavailable")
    assert response.headers["x-should-retry"] == "false"
