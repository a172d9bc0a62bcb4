"""Reading and updating the configuration over HTTP."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from image_gateway.models.config import MASK, ImagesConfig

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment


CONFIG = "/api/v1/images/config"


UPDATE = "/api/v1/images/config/update"


WORKFLOW = json.dumps({"1": {"class_type": "CLIPTextEncode", "inputs": {"text": "{{x}}" + "w" * 40_000}}})


def test_every_field_is_answered_also_those_that_are_null(deployment: "Deployment") -> None:
    """Existing clients demand every field."""
    response = deployment.call("GET", CONFIG)

    assert response.status == 200
    assert set(response.json) == set(ImagesConfig.model_fields)
    assert response.headers["etag"] == '"0"'


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
    response = deployment.call("POST", UPDATE, {"IMAGE_STEPS": 3}, headers={"If-Match": tag})

    assert response.status == status
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
    response = deployment.call("POST", UPDATE, body)

    assert response.status == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json["code"] == "invalid_request"
    assert field in response.json["detail"]
    assert deployment.call("GET", CONFIG).headers["etag"] == '"0"'


def test_a_bad_size_has_its_own_code(deployment: "Deployment") -> None:
    """Sizes are 400 `invalid_size`, in the configuration too."""
    response = deployment.call("POST", UPDATE, {"IMAGE_SIZE": "0x0"})

    assert (response.status, response.json["code"], response.json["field"]) == (400, "invalid_size", "IMAGE_SIZE")


@pytest.mark.parametrize("raw", [b"", b"null", b"[]", b"7", b'"x"', b"{", b"\xff\xfe", b'{"IMAGE_SIZE": "\\ud800"}'])
def test_a_body_that_is_no_object_is_refused(deployment: "Deployment", raw: bytes) -> None:
    """Nothing, null, a list, broken JSON, other encodings: an error that says so, never a 500."""
    for headers in ({"content-type": "application/json"}, {}, {"content-type": "text/plain"}):
        response = deployment.call("POST", UPDATE, raw=raw, headers=headers)

        assert response.status in (400, 422), response.text
        assert response.json["detail"]


def test_a_base64_encoded_body_is_read(deployment: "Deployment") -> None:
    """API Gateway encodes bodies whose content type is not text; without one they are JSON all the same."""
    response = deployment.call("POST", UPDATE, raw=b'{"IMAGE_STEPS": 4}')

    assert response.status == 200
    assert response.json["IMAGE_STEPS"] == 4


def test_a_key_does_not_follow_its_url(deployment: "Deployment") -> None:
    """The refusal names the secret to send anew, and does not show it."""
    deployment.configure(COMFYUI_BASE_URL="http://a.example", COMFYUI_API_KEY="planted-key")

    response = deployment.call("POST", UPDATE, {"COMFYUI_BASE_URL": "http://b.example", "COMFYUI_API_KEY": MASK})

    assert (response.status, response.json["field"]) == (422, "COMFYUI_API_KEY")
    assert "planted" not in response.text
