"""Generations through the OpenAI API that are refused."""

from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.openai_api.generation import PATH, generate

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"prompt": None}, "prompt", "invalid_request"),
        ({"prompt": ""}, "prompt", "invalid_request"),
        ({"prompt": "x" * 32_001}, "prompt", "invalid_request"),
        *(
            ({"stream": stream}, "stream", "invalid_request")
            for stream in (True, 1, "1", "true", "Yes", "on", "t", "perhaps")
        ),
        ({"n": 0}, "n", "invalid_request"),
        *(({name: True}, name, "invalid_request") for name in ("n", "seed", "steps", "output_compression")),
        ({"n": 11}, "n", "invalid_request"),
        ({"n": "two"}, "n", "invalid_request"),
        ({"size": "big"}, "size", "invalid_size"),
        ({"background": "blue"}, "background", "invalid_request"),
        ({"moderation": "none"}, "moderation", "invalid_request"),
        ({"output_format": "svg"}, "output_format", "invalid_request"),
        ({"output_format": "bmp"}, "output_format", "invalid_request"),
        ({"output_format": "gif"}, "output_format", "engine_rejected"),
        ({"frame_count": 0}, "frame_count", "invalid_request"),
        ({"frame_count": 9}, "frame_count", "engine_rejected"),
        ({"complexity": "some"}, "complexity", "invalid_request"),
        ({"output_compression": 101}, "output_compression", "invalid_request"),
        ({"response_format": "file"}, "response_format", "invalid_request"),
        ({"seed": -2}, "seed", "invalid_request"),
        ({"quality": "x" * 257}, "quality", "invalid_request"),
        ({"user": "x" * 513}, "user", "invalid_request"),
        ({"quality": "ultra"}, "quality", "engine_rejected"),
        ({"model": "gpt-image-9"}, "model", "engine_rejected"),
        ({"prompt": "a forbidden thing"}, None, "moderation_blocked"),
    ],
)
def test_an_invalid_request_is_an_error_in_openais_shape(
    openai_deployment: "Deployment", fields: dict[str, Any], param: str | None, code: str
) -> None:
    """The 4xx names the parameter, even if it was the engine that rejected it."""
    response = generate(openai_deployment, **fields)

    error = response.json["error"]
    assert response.status == (404 if code == "not_found" else 400)
    assert (error["param"], error["code"], error["type"]) == (param, code, "invalid_request_error")
    assert error["message"]
    assert response.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"a fox"', b"\xff"])
def test_a_body_that_is_not_a_json_object_is_refused(openai_deployment: "Deployment", body: bytes) -> None:
    """The error has OpenAI's shape."""
    response = openai_deployment.call("POST", PATH, raw=body, role="user", headers={"Content-Type": "application/json"})

    assert response.status == 400
    assert response.json["error"]["code"] == "invalid_request"


@pytest.mark.parametrize("path", [PATH, "/v1/images/edits"])
@pytest.mark.parametrize(
    ("content_type", "is_json"),
    [
        ("", True),
        ("application/json; charset=utf-8", True),
        ("application/problem+json", True),
        ("text/plain", False),
        ("application/x-www-form-urlencoded", False),
    ],
)
def test_the_content_type_decides_what_is_read_as_json(
    openai_deployment: "Deployment", path: str, content_type: str, is_json: bool
) -> None:
    """Both routes use the content type, or the body if there is none."""
    response = openai_deployment.call(
        "POST", path, raw=b'{"n": 0}', role="user", headers={"Content-Type": content_type}
    )

    assert response.status == 400
    assert (response.json["error"]["param"] is not None) is is_json


@pytest.mark.parametrize("body", [b'{"prompt": "\xff"}', b"[" * 100_000], ids=["no UTF-8", "too deep"])
@pytest.mark.parametrize("path", [PATH, "/v1/images/edits"])
def test_json_that_cannot_be_parsed_is_refused(openai_deployment: "Deployment", path: str, body: bytes) -> None:
    """The same error stands for a wrong encoding and for too many levels."""
    response = openai_deployment.call("POST", path, raw=body, role="user", headers={"Content-Type": "application/json"})

    assert response.json["error"]["message"] == "The body cannot be read as JSON in UTF-8"


def test_disabled_generation_is_a_permission_error(openai_deployment: "Deployment") -> None:
    """The error's type is one that clients know."""
    openai_deployment.configure(ENABLE_IMAGE_GENERATION=False)

    response = generate(openai_deployment)

    assert response.status == 403
    assert (response.json["error"]["type"], response.json["error"]["code"]) == ("permission_error", "disabled")
