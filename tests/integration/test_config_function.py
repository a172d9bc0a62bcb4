"""The config function, called with API Gateway's events."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from image_gateway.models.config import MASK, ImagesConfig

if TYPE_CHECKING:
    from tests.integration.conftest import Deployment

CONFIG = "/api/v1/images/config"
UPDATE = "/api/v1/images/config/update"
WORKFLOW = json.dumps({"1": {"class_type": "CLIPTextEncode", "inputs": {"text": "{{x}}" + "w" * 40_000}}})


def test_every_field_is_answered_also_those_that_are_null(deployment: "Deployment") -> None:
    """Existing clients demand every field."""
    answer = deployment.call("GET", CONFIG)

    assert answer.status == 200
    assert set(answer.json) == set(ImagesConfig.model_fields)
    assert answer.headers["etag"] == '"0"'


def test_writing_back_what_was_read_changes_nothing(deployment: "Deployment") -> None:
    """Nulls dropped, secrets masked: no new version, no secret lost."""
    deployment.configure(IMAGES_OPENAI_API_KEY="planted-key", COMFYUI_WORKFLOW=WORKFLOW, AUTOMATIC1111_API_AUTH="u:p")
    shown = deployment.call("GET", CONFIG)
    sent = {name: value for name, value in shown.json.items() if value is not None}

    again = deployment.call("POST", UPDATE, sent)

    assert again.headers["etag"] == shown.headers["etag"] == '"1"'
    assert again.json == shown.json
    assert again.json["IMAGES_OPENAI_API_KEY"] == again.json["AUTOMATIC1111_API_AUTH"] == MASK
    assert again.json["COMFYUI_WORKFLOW"] == WORKFLOW


def test_an_update_answers_the_whole_configuration_masked(deployment: "Deployment") -> None:
    """The answer is what a read would give."""
    updated = deployment.configure(IMAGES_GEMINI_API_KEY="planted-key", IMAGE_SIZE="64x64")

    assert updated == deployment.call("GET", CONFIG).json
    assert updated["IMAGES_GEMINI_API_KEY"] == MASK


@pytest.mark.parametrize(
    ("tag", "status"), [('"0"', 200), ("*", 200), ('"7", "0"', 200), ('"1"', 412), ('W/"0"', 412), ("x", 412)]
)
def test_if_match_guards_an_update(deployment: "Deployment", tag: str, status: int) -> None:
    """Only who knows the current version may replace it."""
    answer = deployment.call("POST", UPDATE, {"IMAGE_STEPS": 3}, headers={"If-Match": tag})

    assert answer.status == status
    assert deployment.call("GET", CONFIG).json["IMAGE_STEPS"] == (3 if status == 200 else None)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"IMAGE_STEPS": -1}, "IMAGE_STEPS"),
        ({"NO_SUCH_FIELD": 1}, "NO_SUCH_FIELD"),
        ({"IMAGE_GENERATION_ENGINE": "dall-e"}, "IMAGE_GENERATION_ENGINE"),
        ({"ENABLE_IMAGE_GENERATION": None}, "ENABLE_IMAGE_GENERATION"),
        ({"IMAGES_OPENAI_API_KEY": None}, "IMAGES_OPENAI_API_KEY"),
        ({"COMFYUI_WORKFLOW_NODES": {}}, "COMFYUI_WORKFLOW_NODES"),
    ],
)
def test_a_bad_field_is_named_and_nothing_is_stored(deployment: "Deployment", body: Any, field: str) -> None:
    """The problem document says which field and what is wrong with it."""
    answer = deployment.call("POST", UPDATE, body)

    assert answer.status == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["code"] == "invalid_request"
    assert field in answer.json["detail"]
    assert deployment.call("GET", CONFIG).headers["etag"] == '"0"'


def test_a_bad_size_has_its_own_code(deployment: "Deployment") -> None:
    """Sizes are 400 `invalid_size`, in the configuration too."""
    answer = deployment.call("POST", UPDATE, {"IMAGE_SIZE": "0x0"})

    assert (answer.status, answer.json["code"], answer.json["field"]) == (400, "invalid_size", "IMAGE_SIZE")


@pytest.mark.parametrize("raw", [b"", b"null", b"[]", b"7", b'"x"', b"{", b"\xff\xfe", b'{"IMAGE_SIZE": "\\ud800"}'])
def test_a_body_that_is_no_object_is_refused(deployment: "Deployment", raw: bytes) -> None:
    """Nothing, null, a list, broken JSON, other encodings: an error that says so, never a 500."""
    for headers in ({"content-type": "application/json"}, {}, {"content-type": "text/plain"}):
        answer = deployment.call("POST", UPDATE, raw=raw, headers=headers)

        assert answer.status in (400, 422), answer.text
        assert answer.json["detail"]


def test_a_base64_encoded_body_is_read(deployment: "Deployment") -> None:
    """API Gateway encodes bodies whose content type is not text; without one they are JSON all the same."""
    answer = deployment.call("POST", UPDATE, raw=b'{"IMAGE_STEPS": 4}')

    assert answer.status == 200
    assert answer.json["IMAGE_STEPS"] == 4


def test_a_key_does_not_follow_its_url(deployment: "Deployment") -> None:
    """The refusal names the secret to send anew, and does not show it."""
    deployment.configure(COMFYUI_BASE_URL="http://a.example", COMFYUI_API_KEY="planted-key")

    answer = deployment.call("POST", UPDATE, {"COMFYUI_BASE_URL": "http://b.example", "COMFYUI_API_KEY": MASK})

    assert (answer.status, answer.json["field"]) == (422, "COMFYUI_API_KEY")
    assert "planted" not in answer.text


def test_verify_asks_the_engine_with_the_credentials_given(generating: "Deployment", openai: Any) -> None:
    """True, or the engine's own words."""
    openai.knobs.key = "right-key"
    url = generating.call("GET", CONFIG).json["IMAGES_OPENAI_API_BASE_URL"]

    good = generating.call("POST", "/api/v1/images/verify", {"engine": "openai", "url": url, "key": "right-key"})
    bad = generating.call("POST", "/api/v1/images/verify", {"engine": "openai", "url": url, "key": "wrong-planted"})

    assert (good.status, good.json) == (200, True)
    assert (bad.status, bad.json["code"]) == (400, "engine_rejected")
    assert "wrong-planted" not in bad.text


@pytest.mark.parametrize("key", [MASK, None])
def test_verify_uses_the_configured_key_for_its_own_server(
    generating: "Deployment", openai: Any, key: str | None
) -> None:
    """An administrator who sees only a mask can still verify."""
    openai.knobs.key = "planted-engine-key"
    body = {"engine": "openai", "key": key}

    assert generating.call("POST", "/api/v1/images/verify", body).json is True
    assert generating.call("GET", "/api/v1/images/config/url/verify").json is True


def test_verify_sends_a_configured_key_nowhere_else(generating: "Deployment", openai: Any) -> None:
    """Another server is asked only with a key of its own."""
    requested = len(openai.record)
    body = {"engine": "openai", "url": "http://127.0.0.1:9/v1", "key": MASK}

    answer = generating.call("POST", "/api/v1/images/verify", body)

    assert (answer.status, answer.json["field"]) == (422, "IMAGES_OPENAI_API_KEY")
    assert len(openai.record) == requested


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"engine": "x"}, "engine"),
        ({"engine": "openai", "url": "ftp://x"}, "url"),
        ({"engine": "openai", "key": "a\nb"}, "key"),
        ({}, "engine"),
    ],
)
def test_verify_names_a_bad_field(deployment: "Deployment", body: Any, field: str) -> None:
    """A malformed question is not passed on."""
    answer = deployment.call("POST", "/api/v1/images/verify", body)

    assert answer.status == 422
    assert field in answer.json["detail"]


def test_verify_of_what_is_not_there_is_a_502(deployment: "Deployment") -> None:
    """Unreachable is the engine's fault, and nothing was paid."""
    answer = deployment.call(
        "POST", "/api/v1/images/verify", {"engine": "openai", "url": "http://127.0.0.1:9", "key": ""}
    )

    assert (answer.status, answer.json["code"]) == (502, "engine_unavailable")


def test_an_engine_that_is_not_configured_names_its_field(deployment: "Deployment") -> None:
    """409 with the field to set, and a client should not try again by itself."""
    answer = deployment.call("GET", "/api/v1/images/config/url/verify")

    assert (answer.status, answer.json["code"], answer.json["field"]) == (
        409,
        "not_configured",
        "IMAGES_OPENAI_API_KEY",
    )
    assert answer.headers["x-should-retry"] == "false"


def test_models_come_from_the_engine(generating: "Deployment") -> None:
    """A user may list what the engine offers for images."""
    answer = generating.call("GET", "/api/v1/images/models", role="user")

    assert answer.status == 200
    assert "gpt-image-2" in [model["id"] for model in answer.json]
    assert all(set(model) == {"id", "name"} for model in answer.json)


def test_public_pages_ask_nothing_of_aws(deployment: "Deployment") -> None:
    """Health and documentation answer without a token, and load nothing from elsewhere."""
    health = deployment.call("GET", "/health", role=None)
    document = deployment.call("GET", "/openapi.json", role=None)
    page = deployment.call("GET", "/docs", role=None)

    assert health.json == {"status": "ok"}
    assert "/api/v1/images/generations" in document.json["paths"]
    assert "://" not in page.text.replace("http://www.w3.org", "")
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert f"docs/{asset}" in page.text
        assert len(deployment.call("GET", f"/docs/{asset}", role=None).text) > 10_000
    assert deployment.call("GET", "/docs/..%2fopenapi.json", role=None).status == 404


def test_a_path_that_is_not_there_is_a_problem_document(deployment: "Deployment") -> None:
    """Unknown paths and wrong methods too, and under `/v1` in OpenAI's shape."""
    assert deployment.call("GET", "/api/v1/images/nothing").json["code"] == "not_found"
    assert deployment.call("DELETE", CONFIG).json["code"] == "method_not_allowed"
    assert deployment.call("GET", "/v1/nothing").json["error"]["code"] == "not_found"


def test_a_defect_is_a_documented_answer_without_its_message(
    deployment: "Deployment", monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What a caller sent may be in an exception's message, so neither answer nor log has it."""

    async def broken() -> None:
        raise RuntimeError("planted-message")

    monkeypatch.setattr(deployment.gateway.configs, "read", broken)

    answer = deployment.call("GET", CONFIG)

    assert (answer.status, answer.json["code"]) == (500, "internal_error")
    assert "planted" not in answer.text + caplog.text
    assert "RuntimeError" in str([record.__dict__ for record in caplog.records])


def test_the_answer_carries_the_request_id_of_api_gateway(deployment: "Deployment") -> None:
    """One id finds the request in every log."""
    assert len(deployment.call("GET", CONFIG, role=None).json["request_id"]) == 16
