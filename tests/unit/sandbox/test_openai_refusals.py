"""Requests that the sandbox's OpenAI server refuses, with OpenAI's errors."""

import io
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from PIL import Image
from starlette.types import ASGIApp

from sandbox.engines.openai import create_app
from sandbox.engines.state import SandboxState
from tests import web


@pytest.fixture
def url(serve: Callable[[ASGIApp], str]) -> str:
    return serve(create_app(SandboxState())) + "/v1"


def image(size: tuple[int, int] = (32, 32), mode: str = "RGB", format: str = "PNG") -> bytes:
    out = io.BytesIO()
    Image.new(mode, size).save(out, format)
    return out.getvalue()


def error_of(response: httpx.Response, status: int = 400) -> dict[str, Any]:
    assert response.status_code == status, response.text
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return dict(error)


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"prompt": None}, "prompt", "missing_required_parameter"),
        ({"prompt": ""}, "prompt", "empty_string"),
        ({"prompt": 5}, "prompt", "invalid_type"),
        ({"prompt": "x" * 32_001}, "prompt", "string_above_max_length"),
        ({"prompt": "a Forbidden fox"}, None, "moderation_blocked"),
        ({"response_format": "url"}, "response_format", "unknown_parameter"),
        ({"style": "vivid"}, "style", "unknown_parameter"),
        ({"steps": 20}, "steps", "unknown_parameter"),
        ({"model": "gpt-5.6-mini"}, "model", "invalid_value"),
        ({"n": 0}, "n", "integer_below_min_value"),
        ({"n": 11}, "n", "integer_above_max_value"),
        ({"n": "2"}, "n", "invalid_type"),
        ({"n": True}, "n", "invalid_type"),
        ({"n": {}}, "n", "invalid_type"),
        ({"n": 2, "model": "sandbox-single"}, "n", "integer_above_max_value"),
        ({"size": "65x65"}, "size", "invalid_value"),
        ({"size": "big"}, "size", "invalid_value"),
        ({"size": "0x0"}, "size", "invalid_value"),
        ({"size": "1024x256"}, "size", "invalid_value"),
        ({"size": "3856x2160"}, "size", "invalid_value"),
        ({"quality": "xhigh"}, "quality", "invalid_value"),
        ({"background": "pink"}, "background", "invalid_value"),
        ({"background": "transparent", "output_format": "jpeg"}, "background", "invalid_value"),
        ({"output_format": "bmp"}, "output_format", "invalid_value"),
        ({"output_compression": 50}, "output_compression", "invalid_value"),
        ({"output_compression": 101}, "output_compression", "integer_above_max_value"),
        ({"moderation": "none"}, "moderation", "invalid_value"),
        ({"user": 7}, "user", "invalid_type"),
    ],
)
def test_invalid_fields_of_a_generation_are_refused(
    url: str, fields: dict[str, Any], param: str | None, code: str
) -> None:
    """The 400 names the field and has OpenAI's code."""
    error = error_of(web.post(f"{url}/images/generations", json={"prompt": "a fox", **fields}))

    assert (error["param"], error["code"]) == (param, code)


def test_a_size_is_refused_with_openais_message(url: str) -> None:
    """Width and height must be divisible by 16."""
    error = error_of(web.post(f"{url}/images/generations", json={"prompt": "a fox", "size": "65x65"}))

    assert error["message"] == "Invalid size '65x65'. Width and height must both be divisible by 16."


@pytest.mark.parametrize("size", ["48x16", "16x48", "3840x2160", "2160x3840"])
def test_sizes_at_the_limits_are_accepted(url: str, size: str) -> None:
    """The ratios 1:3 and 3:1 and the largest resolution are valid in both orientations."""
    assert web.post(f"{url}/images/generations", json={"prompt": "a fox", "size": size}, timeout=30).is_success


def test_a_later_model_supports_more_qualities(url: str) -> None:
    """`xhigh` is in the response."""
    fields = {"prompt": "a fox", "model": "gpt-image-2.6-sunburst", "quality": "xhigh", "size": "64x64"}

    assert web.post(f"{url}/images/generations", json=fields).json()["quality"] == "xhigh"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/images/generations", {"prompt": "a fox", "model": "dall-e-3"}),
        ("POST", "/chat/completions", {"model": "gpt-0", "messages": [{"role": "user", "content": "hi"}]}),
        ("POST", "/chat/completions", {"model": "gpt-image-2", "messages": [{"role": "user", "content": "hi"}]}),
        ("GET", "/models/dall-e-2", None),
    ],
)
def test_an_unknown_model_is_not_found(url: str, method: str, path: str, body: dict[str, Any] | None) -> None:
    """A model that does not exist or has another kind is a 404 on every route."""
    error = error_of(web.request(method, f"{url}{path}", json=body), 404)

    assert error["code"] == "model_not_found"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "model"),
        ({"model": "gpt-5.6-mini"}, "messages"),
        ({"model": "gpt-5.6-mini", "messages": [{"role": "system", "content": "hi"}]}, "messages"),
    ],
)
def test_an_incomplete_chat_completion_is_refused(url: str, body: dict[str, Any], param: str) -> None:
    """It needs a model and a user message."""
    assert error_of(web.post(f"{url}/chat/completions", json=body))["param"] == param


@pytest.mark.parametrize("content", [b"{not json", b"[1, 2]"])
def test_a_body_that_is_not_a_json_object_is_refused(url: str, content: bytes) -> None:
    """The response is a 400."""
    error_of(web.post(f"{url}/images/generations", content=content))


def test_an_edit_with_json_is_refused(url: str) -> None:
    """The edits route accepts only multipart."""
    error = error_of(web.post(f"{url}/images/edits", json={"prompt": "a fox"}))

    assert error["code"] == "unsupported_content_type"


def test_an_edit_with_invalid_multipart_is_refused(url: str) -> None:
    """The body has no boundary."""
    error_of(web.post(f"{url}/images/edits", content=b"--x", headers={"content-type": "multipart/form-data"}))


@pytest.mark.parametrize(
    ("fields", "files", "param", "code"),
    [
        ({}, [("mask", image())], "image", "missing_required_parameter"),
        ({"image": "in.png"}, [("mask", image())], "image", "invalid_type"),
        ({}, [("image", image()), ("markup", image())], "markup", "unknown_parameter"),
        ({}, [("image[]", image())] * 17, "image", "array_above_max_length"),
        ({}, [("image", b"no image")], "image", "invalid_image_file"),
        ({}, [("image", image(format="BMP"))], "image", "invalid_image_file"),
        ({}, [("image", image()), ("mask", b"no image")], "mask", "invalid_mask_image_format"),
        ({}, [("image", image()), ("mask", image((64, 64), "RGBA"))], "mask", "invalid_mask_image_format"),
        ({}, [("image", image()), ("mask", image())], "mask", "invalid_mask_image_format"),
        ({"n": "eleven"}, [("image", image())], "n", "invalid_type"),
        ({"n": "11"}, [("image", image())], "n", "integer_above_max_value"),
    ],
)
def test_an_edit_without_usable_images_is_refused(
    url: str, fields: dict[str, str], files: list[tuple[str, bytes]], param: str, code: str
) -> None:
    """The error names the field."""
    parts = [(name, ("file.png", data, "image/png")) for name, data in files]

    error = error_of(web.post(f"{url}/images/edits", data={"prompt": "a fox", **fields}, files=parts))

    assert (error["param"], error["code"]) == (param, code)


def test_a_large_mask_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is in bytes."""
    monkeypatch.setattr("sandbox.engines.openai_inputs._MAX_MASK_BYTES", 10)
    parts = [(name, ("file.png", image(mode="RGBA"), "image/png")) for name in ("image", "mask")]

    error = error_of(web.post(f"{url}/images/edits", data={"prompt": "a fox"}, files=parts))

    assert error["message"] == "Invalid mask image format - mask must be less than 4MB"
