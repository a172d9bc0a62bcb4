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


def test_every_field_is_returned_including_nulls(deployment: "Deployment") -> None:
    """Existing clients require every field."""
    response = deployment.call("GET", CONFIG)

    assert response.status == 200
    assert set(response.json) == set(ImagesConfig.model_fields)
    assert response.headers["etag"] == '"0"'


def test_writing_back_the_configuration_changes_nothing(deployment: "Deployment") -> None:
    """With nulls dropped and secrets masked, there is no new version, and no secret is lost."""
    deployment.configure(IMAGES_OPENAI_API_KEY="planted-key", COMFYUI_WORKFLOW=WORKFLOW, AUTOMATIC1111_API_AUTH="u:p")
    read = deployment.call("GET", CONFIG)
    sent = {name: value for name, value in read.json.items() if value is not None}

    written = deployment.call("POST", UPDATE, sent)

    assert written.headers["etag"] == read.headers["etag"] == '"1"'
    assert {name: value for name, value in written.json.items() if name != "warnings"} == read.json
    assert written.json["IMAGES_OPENAI_API_KEY"] == written.json["AUTOMATIC1111_API_AUTH"] == MASK
    assert written.json["COMFYUI_WORKFLOW"] == WORKFLOW


def test_an_update_returns_the_whole_configuration_masked(deployment: "Deployment") -> None:
    """The response is the same as that of a read."""
    updated = deployment.configure(IMAGES_GEMINI_API_KEY="planted-key", IMAGE_SIZE="64x64")

    assert updated == deployment.call("GET", CONFIG).json
    assert updated["IMAGES_GEMINI_API_KEY"] == MASK


@pytest.mark.parametrize(
    ("tag", "status"), [('"0"', 200), ("*", 200), ('"7", "0"', 200), ('"1"', 412), ('W/"0"', 412), ("x", 412)]
)
def test_if_match_must_name_the_current_version(deployment: "Deployment", tag: str, status: int) -> None:
    """An update with `If-Match` is applied only if it names the current version."""
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
def test_an_invalid_field_is_named_and_nothing_is_stored(deployment: "Deployment", body: Any, field: str) -> None:
    """The problem document says which field is invalid and why."""
    response = deployment.call("POST", UPDATE, body)

    assert response.status == 422
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json["code"] == "invalid_request"
    assert field in response.json["detail"]
    assert deployment.call("GET", CONFIG).headers["etag"] == '"0"'


def test_an_invalid_size_has_its_own_code(deployment: "Deployment") -> None:
    """An invalid size in the configuration is 400 `invalid_size`, as in a request."""
    response = deployment.call("POST", UPDATE, {"IMAGE_SIZE": "0x0"})

    assert (response.status, response.json["code"], response.json["field"]) == (400, "invalid_size", "IMAGE_SIZE")


@pytest.mark.parametrize("raw", [b"", b"null", b"[]", b"7", b'"x"', b"{", b"\xff\xfe", b'{"IMAGE_SIZE": "\\ud800"}'])
def test_a_body_that_is_not_a_json_object_is_refused(deployment: "Deployment", raw: bytes) -> None:
    """Nothing, null, a list, broken JSON and other encodings are errors that say so, never a 500."""
    for headers in ({"content-type": "application/json"}, {}, {"content-type": "text/plain"}):
        response = deployment.call("POST", UPDATE, raw=raw, headers=headers)

        assert response.status in (400, 422), response.text
        assert response.json["detail"]


def test_a_base64_encoded_body_is_read(deployment: "Deployment") -> None:
    """API Gateway sends bodies without a text content type in base64; without a content type they are read as JSON."""
    response = deployment.call("POST", UPDATE, raw=b'{"IMAGE_STEPS": 4}')

    assert response.status == 200
    assert response.json["IMAGE_STEPS"] == 4


def test_a_key_is_not_kept_for_a_new_url(deployment: "Deployment") -> None:
    """The error names the secret to send again, and does not show it."""
    deployment.configure(COMFYUI_BASE_URL="http://a.example", COMFYUI_API_KEY="planted-key")

    response = deployment.call("POST", UPDATE, {"COMFYUI_BASE_URL": "http://b.example", "COMFYUI_API_KEY": MASK})

    assert (response.status, response.json["field"]) == (422, "COMFYUI_API_KEY")
    assert "planted" not in response.text
