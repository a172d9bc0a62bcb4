"""Edits through the OpenAI API: forms as clients write them, and JSON."""

import base64
from typing import TYPE_CHECKING, Any

import pytest
from openai.types import ImagesResponse

from image_gateway.api import WARNINGS_HEADER
from tests import web
from tests.integration.openai_api.edit import PATH, edit, edit_json, file
from tests.integration.sample_images import BLUE, GREEN, RED, data_url, encoded, opened, right_half, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.deployment import ApiResponse, Deployment
    from tests.integration.sandbox_engine import SandboxEngine


def base64_images(response: "ApiResponse") -> list[str]:
    """Return the base64 of a successful response's images."""
    assert response.status == 200, response.text
    return [image.b64_json or "" for image in ImagesResponse.model_validate_json(response.text).data or ()]


@pytest.mark.parametrize("name", ["image", "image[]", "image[0]", "images"])
def test_a_file_may_have_any_of_the_usual_field_names(
    deployment: "Deployment", use_edit_engine: "Callable[[str], SandboxEngine]", name: str
) -> None:
    """Clients differ in the name of the field."""
    engine = use_edit_engine("openai")

    response = edit(deployment, [file(name, encoded(RED))])

    assert opened(base64_images(response)[0]).size == (1024, 1024)
    assert [sent["name"] for sent in engine.state.record[-1].files] == ["image"]


def test_a_text_parameter_may_be_sent_as_a_file(
    deployment: "Deployment", use_edit_engine: "Callable[[str], SandboxEngine]"
) -> None:
    """Some clients give every part a file name: the prompt is the content, not its base64."""
    engine = use_edit_engine("openai")
    files = [("prompt", ("blob", "ein Hüt".encode(), "text/plain")), ("n", ("blob", b"2", "text/plain"))]

    response = edit(deployment, [file("image", encoded(RED)), *files, file("extra", b"\xff")], prompt=[])

    assert len(base64_images(response)) == 2
    assert engine.state.record[-1].json["prompt"] == "ein Hüt"
    assert "extra is not a field" in response.headers[WARNINGS_HEADER]


@pytest.mark.parametrize("name", ["openai", "gemini", "comfyui", "automatic1111"])
def test_several_files_and_a_mask_work_with_every_engine(
    deployment: "Deployment", use_edit_engine: "Callable[[str], SandboxEngine]", name: str
) -> None:
    """A warning names what the engine does not support."""
    engine = use_edit_engine(name)
    files = [file("image[]", encoded(color)) for color in (RED, GREEN, BLUE)]

    response = edit(deployment, [*files, file("mask", base64.b64decode(right_half()))], size="64x64")

    assert base64_images(response)
    if name == "openai":
        names = [sent["name"] for sent in engine.state.record[-1].files]
        assert names == ["image[]", "image[]", "image[]", "mask"]
    else:
        warnings = response.headers.get(WARNINGS_HEADER, "")
        assert {"gemini": "mask is not", "comfyui": "", "automatic1111": "only the first of 3"}[name] in warnings


def test_every_form_parameter_reaches_the_engine(
    deployment: "Deployment", use_edit_engine: "Callable[[str], SandboxEngine]"
) -> None:
    """Numbers are parsed from text; empty parameters are ignored."""
    engine = use_edit_engine("openai")

    response = edit(
        deployment, [file("image", encoded(RED))], n="2", size="64x64", quality="low", background="opaque",
        output_format="jpeg", output_compression="40", moderation="auto", user="", stream="false",
        response_format="url", input_fidelity="high",
    )  # fmt: skip

    expected = {"model": "gpt-image-2", "n": 2, "size": "64x64", "quality": "low", "background": "opaque"}
    output = {"output_format": "jpeg", "output_compression": 40, "moderation": "auto"}
    assert engine.state.record[-1].json == {"prompt": "a hat", **expected, **output}
    assert [web.get(image["url"]).headers["content-type"] for image in response.json["data"]] == ["image/jpeg"] * 2
    # gpt-image-2 does not support input_fidelity.
    assert '"input_fidelity is not supported' in response.headers[WARNINGS_HEADER]


@pytest.mark.parametrize(
    "body",
    [
        {"image": text(encoded(RED))},
        {"image": [data_url(encoded(RED)), data_url(encoded(GREEN))]},
        {"images": [{"image_url": data_url(encoded(RED))}]},
        {"images": [{"image_url": data_url(encoded(RED))}], "mask": {"image_url": f"data:;base64,{right_half()}"}},
    ],
)
def test_an_edit_may_be_json(
    deployment: "Deployment", use_edit_engine: "Callable[[str], SandboxEngine]", body: dict[str, Any]
) -> None:
    """Images are texts, or OpenAI's objects that contain them."""
    engine = use_edit_engine("openai")

    assert base64_images(edit_json(deployment, **body, size="64x64"))
    assert len(engine.state.record[-1].files) == len(body.get("images") or [1]) + ("mask" in body) + (
        isinstance(body.get("image"), list)
    )


def test_an_output_image_is_an_input_as_file_id(
    deployment: "Deployment", use_edit_engine: "Callable[[str], SandboxEngine]"
) -> None:
    """The id of an image of this gateway is accepted from its owner."""
    use_edit_engine("openai")
    edit_json(deployment, image=text(encoded(RED)), size="64x64")
    image = f"{deployment.jobs()[0].id}-0"

    assert base64_images(edit_json(deployment, images=[{"file_id": image}]))


@pytest.mark.parametrize("path", ["/v1/images/edits", "/api/v1/images/edit"])
def test_the_gateways_address_of_an_image_is_an_input(
    deployment: "Deployment", use_edit_engine: "Callable[[str], SandboxEngine]", path: str
) -> None:
    """Its host is the one that the request is sent to."""
    use_edit_engine("openai")
    edit_json(deployment, image=text(encoded(RED)), size="64x64")
    url = f"https://gateway.example/api/v1/images/{deployment.jobs()[0].id}-0"

    body = {"prompt": "a hat", "image": {"image_url": {"url": url}}, "size": "64x64"}
    response = deployment.call("POST", path, body, role="user", headers={"Host": "gateway.example"})

    assert response.status == 200


EMPTY_FILE = b'--x\r\nContent-Disposition: form-data; name="%s"; filename=""\r\nContent-Type: %s\r\n\r\n\r\n'
PLAIN = b'--x\r\nContent-Disposition: form-data; name="%s"\r\n%s\r\n%s\r\n'
OCTETS = b"application/octet-stream"
HAT = PLAIN % (b"prompt", b"", b"a hat")


def edit_raw(deployment: "Deployment", *parts: bytes) -> "ApiResponse":
    """Send a form of these parts, unchanged."""
    body = b"".join(parts) + b"--x--\r\n"
    return deployment.call(
        "POST", PATH, raw=body, headers={"Content-Type": "multipart/form-data; boundary=x"}, role="user"
    )


def test_an_image_part_without_a_file_name_is_a_file(
    deployment: "Deployment", use_edit_engine: "Callable[[str], SandboxEngine]"
) -> None:
    """A part with an image's content type is a file."""
    engine = use_edit_engine("openai")
    image = PLAIN % (b"image", b"Content-Type: image/png\r\n", encoded(RED))

    assert base64_images(edit_raw(deployment, image, HAT))
    assert [sent["name"] for sent in engine.state.record[-1].files] == ["image"]


@pytest.mark.parametrize("kind", [OCTETS, b"image/png"])
def test_empty_file_fields_are_ignored(
    deployment: "Deployment", use_edit_engine: "Callable[[str], SandboxEngine]", kind: bytes
) -> None:
    """Browsers send an empty file without a name for a file field that was left empty."""
    engine = use_edit_engine("openai")
    image = PLAIN % (b"image", b"Content-Type: image/png\r\n", encoded(RED))

    response = edit_raw(deployment, image, EMPTY_FILE % (b"image[]", kind), EMPTY_FILE % (b"mask", kind), HAT)
    without = edit_raw(deployment, EMPTY_FILE % (b"image", kind), HAT)

    assert base64_images(response)
    assert [sent["name"] for sent in engine.state.record[-1].files] == ["image"]
    assert (without.status, without.json["error"]["message"]) == (400, "image: Field required")


def test_a_mask_may_be_sent_as_a_list_of_one(
    deployment: "Deployment", use_edit_engine: "Callable[[str], SandboxEngine]"
) -> None:
    """Some clients send every file as `name[]`."""
    engine = use_edit_engine("openai")

    response = edit(deployment, [file("image[]", encoded(RED)), file("mask[]", base64.b64decode(right_half()))])

    assert base64_images(response)
    assert [sent["name"] for sent in engine.state.record[-1].files] == ["image", "mask"]
    assert WARNINGS_HEADER not in response.headers


def test_the_image_type_is_detected_from_the_content(
    deployment: "Deployment", use_edit_engine: "Callable[[str], SandboxEngine]"
) -> None:
    """A TIFF sent as `application/octet-stream` is converted to a PNG."""
    engine = use_edit_engine("openai")

    base64_images(edit(deployment, [file("image", encoded(RED, "TIFF"), "application/octet-stream")]))

    assert engine.state.record[-1].files[0]["content_type"] == "image/png"
