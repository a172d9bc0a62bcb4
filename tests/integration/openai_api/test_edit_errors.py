"""Edits through the OpenAI API that are refused."""

import base64
from typing import TYPE_CHECKING, Any

import pytest

from image_gateway.api import WARNINGS_HEADER
from tests.integration.openai_api.edit import PATH, Files, edit, edit_json, file
from tests.integration.sample_images import RED, encoded, right_half, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.deployment import Deployment
    from tests.integration.sandbox_engine import SandboxEngine


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"images": [{"file_id": "file-abc123"}]}, "image"),
        ({"image": {"file_id": "https://example.com/a.png"}}, "image"),
        ({"image": text(encoded(RED)), "mask": {"file_id": "aGVsbG8="}}, "mask"),
    ],
)
def test_a_file_id_of_openai_is_refused(
    deployment: "Deployment", use_edit_engine: "Callable[[str], SandboxEngine]", body: dict[str, Any], param: str
) -> None:
    """The error says what a `file_id` is here; the id is not read as an image."""
    use_edit_engine("openai")

    error = edit_json(deployment, **body).json["error"]

    assert error["param"] == param
    assert error["message"] == f"{param}: file_id must be the id of an image or upload of this gateway"


@pytest.mark.parametrize("names", [("mask", "mask"), ("mask[]", "mask[]"), ("mask", "mask[]")])
def test_two_masks_are_refused(
    deployment: "Deployment", use_edit_engine: "Callable[[str], SandboxEngine]", names: tuple[str, str]
) -> None:
    """Neither of them is ignored silently."""
    use_edit_engine("openai")
    masks = [file(name, base64.b64decode(right_half())) for name in names]

    error = edit(deployment, [file("image", encoded(RED)), *masks]).json["error"]

    assert (error["param"], error["message"]) == ("mask", "mask: was sent more than once")


def test_a_repeated_parameter_is_refused(
    deployment: "Deployment", use_edit_engine: "Callable[[str], SandboxEngine]"
) -> None:
    """The gateway does not choose between two sizes; unknown fields may be repeated."""
    use_edit_engine("openai")
    image = file("image", encoded(RED))

    error = edit(deployment, [image], size=["64x64", "128x128"]).json["error"]
    response = edit(deployment, [image], tag=["a", "b"])

    assert (error["param"], error["message"]) == ("size", "size: was sent more than once")
    assert '"tag is not a field' in response.headers[WARNINGS_HEADER]


def test_an_empty_prompt_has_the_same_error_in_a_form_and_in_json(
    deployment: "Deployment", use_edit_engine: "Callable[[str], SandboxEngine]"
) -> None:
    """Both are validated by the same rules."""
    use_edit_engine("openai")

    as_form = edit(deployment, [file("image", encoded(RED))], prompt="")
    as_json = edit_json(deployment, image=text(encoded(RED)), prompt="")

    assert as_form.json == as_json.json


@pytest.mark.parametrize(
    ("files", "fields", "param"),
    [
        ([], {}, "image"),
        ([file("image", b"")], {}, "image"),
        ([file("image", b"no image")], {}, "image"),
        ([file("image[]", encoded(RED)), file("image[]", encoded(RED)[:-20])], {}, "image[1]"),
        ([file("image", encoded(RED))] * 17, {}, "image"),
        ([file("image", encoded(RED)), file("mask", encoded(RED))], {}, "mask"),
        ([file("image", encoded(RED))], {"prompt": ""}, "prompt"),
        ([file("image", encoded(RED)), file("markup", encoded(RED))], {}, "markup"),
        ([file("image", encoded(RED))], {"output_format": "svg"}, "output_format"),
        ([file("image", encoded(RED))], {"n": "many"}, "n"),
        *(([file("image", encoded(RED))], {"stream": stream}, "stream") for stream in ("true", "1", "yes", "on", "t")),
        ([file("image", encoded(RED))], {"response_format": "file"}, "response_format"),
        ([file("image", encoded(RED))], {"quality": b"\xff"}, "quality"),
    ],
)
def test_an_invalid_form_names_the_field(
    deployment: "Deployment",
    use_edit_engine: "Callable[[str], SandboxEngine]",
    files: Files,
    fields: dict[str, str],
    param: str,
) -> None:
    """It is a 400 in OpenAI's shape, before the engine is called."""
    engine = use_edit_engine("openai")

    # Without a file httpx would send a form of another content type.
    response = edit(deployment, files or [file("nothing", b"")], **fields)

    assert (response.status, response.json["error"]["param"]) == (400, param)
    assert response.json["error"]["type"] == "invalid_request_error"
    assert not engine.state.record


def test_a_gif_is_refused_before_inputs_are_read_if_the_engine_makes_none(
    deployment: "Deployment", use_edit_engine: "Callable[[str], SandboxEngine]"
) -> None:
    """The link is not fetched."""
    use_edit_engine("gemini")

    response = edit_json(deployment, image="http://10.0.0.1/secret.png", output_format="gif")

    assert (response.status, response.json["error"]["param"]) == (400, "output_format")


@pytest.mark.parametrize(
    ("content_type", "body", "reason"),
    [
        ("multipart/form-data", b"--x--", "boundary"),
        (
            "multipart/form-data; boundary=x",
            b"--x\r\nContent-Disposition: form-data; name=image\r\n\r\nabc",
            "truncated",
        ),
        ("multipart/form-data; boundary=x", b"", "truncated"),
        ("application/x-www-form-urlencoded", b"prompt=x", "a JSON object, sent with Content-Type: application/json"),
        ("application/x-www-form-urlencoded", b'{"prompt": "x", "image": "a"}', "or a form (multipart/form-data)"),
        ("text/plain", b'{"prompt": "x", "image": "a"}', "a JSON object, sent with Content-Type: application/json"),
        ("application/json", b"{", "cannot be read as JSON in UTF-8"),
        ("application/json", b'{"prompt": "\xff"}', "cannot be read as JSON in UTF-8"),
        ("", b"{", "cannot be read as JSON in UTF-8"),
        ("application/vnd.api+json", b"[]", "object"),
        ("application/json", b"[]", "object"),
        ("application/json", b'{"prompt": "x", "image": "a", "images": ["b"]}', "send one of them"),
        ("application/json", b'{"prompt": "x", "images": [{}]}', "image_url or file_id"),
        ("application/json", b'{"prompt": "x", "image": "a", "mask": {"x": 1}}', "image_url or file_id"),
    ],
)
def test_an_unreadable_body_is_refused_with_the_expected_form(
    deployment: "Deployment",
    use_edit_engine: "Callable[[str], SandboxEngine]",
    content_type: str,
    body: bytes,
    reason: str,
) -> None:
    """The error says what the body should be."""
    use_edit_engine("openai")

    response = deployment.call("POST", PATH, raw=body, headers={"Content-Type": content_type}, role="user")

    assert response.status == 400
    assert reason in response.json["error"]["message"]


def test_a_disabled_edit_fetches_no_input(
    deployment: "Deployment", use_edit_engine: "Callable[[str], SandboxEngine]"
) -> None:
    """A body with links that cannot be fetched is the same 403."""
    use_edit_engine("openai")
    deployment.configure(ENABLE_IMAGE_EDIT=False)

    response = edit_json(deployment, image="http://10.0.0.1/secret.png")

    assert (response.status, response.json["error"]["code"]) == (403, "disabled")
