"""Edits by the OpenAI channel: forms as clients write them, and JSON."""

import base64
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from openai.types import ImagesResponse

from image_gateway.api import WARNINGS
from tests.integration.sample_images import BLUE, GREEN, RED, data_url, encoded, opened, right_half, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.integration.conftest import Answer, Deployment, Served

PATH = "/v1/images/edits"
Files = list[tuple[str, tuple[str, bytes, str]]]


def file(name: str, data: bytes, kind: str = "image/png") -> tuple[str, tuple[str, bytes, str]]:
    return name, ("an image.png", data, kind)


def edit(deployment: "Deployment", files: Files, role: str = "user", **fields: Any) -> "Answer":
    """Send a form as httpx writes it, which API Gateway hands on in base64."""
    request = httpx.Request("POST", "http://gateway.example", data={"prompt": "a hat", **fields}, files=files)
    headers = {"Content-Type": request.headers["content-type"]}
    return deployment.call("POST", PATH, raw=request.read(), headers=headers, role=role)


def edit_json(deployment: "Deployment", **body: Any) -> "Answer":
    return deployment.call("POST", PATH, {"prompt": "a hat", **body}, role="user")


def made(answer: "Answer") -> list[str]:
    """The base64 of an answer's images."""
    assert answer.status == 200, answer.text
    return [image.b64_json or "" for image in ImagesResponse.model_validate_json(answer.text).data or ()]


@pytest.mark.parametrize("name", ["image", "image[]", "image[0]", "images"])
def test_one_file(deployment: "Deployment", editing: "Callable[[str], Served]", name: str) -> None:
    """Under any of the names that clients give it."""
    engine = editing("openai")

    answer = edit(deployment, [file(name, encoded(RED))])

    assert opened(made(answer)[0]).size == (1024, 1024)
    assert [sent["name"] for sent in engine.state.record[-1].files] == ["image"]


def test_a_text_that_comes_as_a_file(deployment: "Deployment", editing: "Callable[[str], Served]") -> None:
    """Some clients give every part a file's name: a prompt is its text, and no base64 that is paid for."""
    engine = editing("openai")
    files = [("prompt", ("blob", "ein Hüt".encode(), "text/plain")), ("n", ("blob", b"2", "text/plain"))]

    answer = edit(deployment, [file("image", encoded(RED)), *files, file("extra", b"\xff")], prompt=[])

    assert len(made(answer)) == 2
    assert engine.state.record[-1].json["prompt"] == "ein Hüt"
    assert "extra is not a field" in answer.headers[WARNINGS]


@pytest.mark.parametrize("name", ["openai", "gemini", "comfyui", "automatic1111"])
def test_several_files_and_a_mask(deployment: "Deployment", editing: "Callable[[str], Served]", name: str) -> None:
    """Whichever engine is behind; what it cannot do is named."""
    engine = editing(name)
    files = [file("image[]", encoded(colour)) for colour in (RED, GREEN, BLUE)]

    answer = edit(deployment, [*files, file("mask", base64.b64decode(right_half()))], size="64x64")

    assert made(answer)
    if name == "openai":
        names = [sent["name"] for sent in engine.state.record[-1].files]
        assert names == ["image[]", "image[]", "image[]", "mask"]
    else:
        said = answer.headers.get(WARNINGS, "")
        assert {"gemini": "mask is not", "comfyui": "", "automatic1111": "only the first of 3"}[name] in said


def test_every_parameter_of_a_form_reaches_the_engine(
    deployment: "Deployment", editing: "Callable[[str], Served]"
) -> None:
    """Texts are numbers where numbers are wanted; empty ones are not there."""
    engine = editing("openai")

    answer = edit(
        deployment, [file("image", encoded(RED))], n="2", size="64x64", quality="low", background="opaque",
        output_format="jpeg", output_compression="40", moderation="auto", user="", stream="false",
        response_format="url", input_fidelity="high",
    )  # fmt: skip

    requested = {"model": "gpt-image-2", "n": 2, "size": "64x64", "quality": "low", "background": "opaque"}
    given = {"output_format": "jpeg", "output_compression": 40, "moderation": "auto"}
    assert engine.state.record[-1].json == {"prompt": "a hat", **requested, **given}
    assert [httpx.get(image["url"]).headers["content-type"] for image in answer.json["data"]] == ["image/jpeg"] * 2
    # gpt-image-2 knows no input_fidelity.
    assert '"input_fidelity is not known' in answer.headers[WARNINGS]


@pytest.mark.parametrize(
    "body",
    [
        {"image": text(encoded(RED))},
        {"image": [data_url(encoded(RED)), data_url(encoded(GREEN))]},
        {"images": [{"image_url": data_url(encoded(RED))}]},
        {"images": [{"image_url": data_url(encoded(RED))}], "mask": {"image_url": f"data:;base64,{right_half()}"}},
    ],
)
def test_json(deployment: "Deployment", editing: "Callable[[str], Served]", body: dict[str, Any]) -> None:
    """Texts, or OpenAI's objects that hold them."""
    engine = editing("openai")

    assert made(edit_json(deployment, **body, size="64x64"))
    assert len(engine.state.record[-1].files) == len(body.get("images") or [1]) + ("mask" in body) + (
        isinstance(body.get("image"), list)
    )


def test_an_image_by_its_id(deployment: "Deployment", editing: "Callable[[str], Served]") -> None:
    """An image of this gateway is an input as `file_id`, for its owner."""
    editing("openai")
    edit_json(deployment, image=text(encoded(RED)), size="64x64")
    image = f"{deployment.jobs()[0].id}-0"

    assert made(edit_json(deployment, images=[{"file_id": image}]))


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"images": [{"file_id": "file-abc123"}]}, "image"),
        ({"image": {"file_id": "https://example.com/a.png"}}, "image"),
        ({"image": text(encoded(RED)), "mask": {"file_id": "aGVsbG8="}}, "mask"),
    ],
)
def test_a_file_id_of_elsewhere(
    deployment: "Deployment", editing: "Callable[[str], Served]", body: dict[str, Any], param: str
) -> None:
    """OpenAI's files are not here: it says so, and does not try to read the id as an image."""
    editing("openai")

    error = edit_json(deployment, **body).json["error"]

    assert error["param"] == param
    assert error["message"] == f"{param}: file_id must be the id of an image or upload of this gateway"


NOT_CHOSEN = b'--x\r\nContent-Disposition: form-data; name="%s"; filename=""\r\nContent-Type: %s\r\n\r\n\r\n'
PLAIN = b'--x\r\nContent-Disposition: form-data; name="%s"\r\n%s\r\n%s\r\n'
OCTETS = b"application/octet-stream"
HAT = PLAIN % (b"prompt", b"", b"a hat")


def edit_raw(deployment: "Deployment", *parts: bytes) -> "Answer":
    """Send a form as it is written here."""
    body = b"".join(parts) + b"--x--\r\n"
    return deployment.call(
        "POST", PATH, raw=body, headers={"Content-Type": "multipart/form-data; boundary=x"}, role="user"
    )


def test_a_file_without_a_name(deployment: "Deployment", editing: "Callable[[str], Served]") -> None:
    """What says that it is an image is one, also where its client names no file."""
    engine = editing("openai")
    image = PLAIN % (b"image", b"Content-Type: image/png\r\n", encoded(RED))

    assert made(edit_raw(deployment, image, HAT))
    assert [sent["name"] for sent in engine.state.record[-1].files] == ["image"]


@pytest.mark.parametrize("kind", [OCTETS, b"image/png"])
def test_a_file_that_was_not_chosen(deployment: "Deployment", editing: "Callable[[str], Served]", kind: bytes) -> None:
    """Browsers send an empty file without a name for a field that was left empty: there is none."""
    engine = editing("openai")
    image = PLAIN % (b"image", b"Content-Type: image/png\r\n", encoded(RED))

    answer = edit_raw(deployment, image, NOT_CHOSEN % (b"image[]", kind), NOT_CHOSEN % (b"mask", kind), HAT)
    without = edit_raw(deployment, NOT_CHOSEN % (b"image", kind), HAT)

    assert made(answer)
    assert [sent["name"] for sent in engine.state.record[-1].files] == ["image"]
    assert (without.status, without.json["error"]["message"]) == (400, "image: Field required")


def test_a_mask_in_a_list_of_one(deployment: "Deployment", editing: "Callable[[str], Served]") -> None:
    """Some clients name every file so."""
    engine = editing("openai")

    answer = edit(deployment, [file("image[]", encoded(RED)), file("mask[]", base64.b64decode(right_half()))])

    assert made(answer)
    assert [sent["name"] for sent in engine.state.record[-1].files] == ["image", "mask"]
    assert WARNINGS not in answer.headers


@pytest.mark.parametrize("names", [("mask", "mask"), ("mask[]", "mask[]"), ("mask", "mask[]")])
def test_two_masks(deployment: "Deployment", editing: "Callable[[str], Served]", names: tuple[str, str]) -> None:
    """None of them is dropped in silence."""
    editing("openai")
    masks = [file(name, base64.b64decode(right_half())) for name in names]

    error = edit(deployment, [file("image", encoded(RED)), *masks]).json["error"]

    assert (error["param"], error["message"]) == ("mask", "mask: was sent more than once")


def test_a_text_that_is_sent_twice(deployment: "Deployment", editing: "Callable[[str], Served]") -> None:
    """Which of two sizes counts is not for the gateway to guess; what means nothing may come as often as it likes."""
    editing("openai")
    image = file("image", encoded(RED))

    error = edit(deployment, [image], size=["64x64", "128x128"]).json["error"]
    answer = edit(deployment, [image], tag=["a", "b"])

    assert (error["param"], error["message"]) == ("size", "size: was sent more than once")
    assert '"tag is not a field' in answer.headers[WARNINGS]


def test_an_empty_prompt_is_refused_in_the_same_words(
    deployment: "Deployment", editing: "Callable[[str], Served]"
) -> None:
    """In a form as in JSON."""
    editing("openai")

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
        *(([file("image", encoded(RED))], {"stream": yes}, "stream") for yes in ("true", "1", "yes", "on", "t")),
        ([file("image", encoded(RED))], {"response_format": "file"}, "response_format"),
        ([file("image", encoded(RED))], {"quality": b"\xff"}, "quality"),
    ],
)
def test_what_is_wrong_names_its_field(
    deployment: "Deployment", editing: "Callable[[str], Served]", files: Files, fields: dict[str, str], param: str
) -> None:
    """A 400 in OpenAI's shape, before the engine is asked."""
    engine = editing("openai")

    # Without a file httpx would write another kind of form.
    answer = edit(deployment, files or [file("nothing", b"")], **fields)

    assert (answer.status, answer.json["error"]["param"]) == (400, param)
    assert answer.json["error"]["type"] == "invalid_request_error"
    assert not engine.state.record


def test_an_edit_is_no_gif_where_the_engine_makes_none(
    deployment: "Deployment", editing: "Callable[[str], Served]"
) -> None:
    """The refusal comes before any input is read."""
    editing("gemini")

    answer = edit_json(deployment, image="http://10.0.0.1/secret.png", output_format="gif")

    assert (answer.status, answer.json["error"]["param"]) == (400, "output_format")


@pytest.mark.parametrize(
    ("content_type", "body", "said"),
    [
        ("multipart/form-data", b"--x--", "boundary"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=image\r\n\r\nabc", "cut off"),
        ("multipart/form-data; boundary=x", b"", "cut off"),
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
def test_bodies_that_cannot_be_read(
    deployment: "Deployment", editing: "Callable[[str], Served]", content_type: str, body: bytes, said: str
) -> None:
    """Each is told what it should be."""
    editing("openai")

    answer = deployment.call("POST", PATH, raw=body, headers={"Content-Type": content_type}, role="user")

    assert answer.status == 400
    assert said in answer.json["error"]["message"]


def test_a_phone_s_photo(deployment: "Deployment", editing: "Callable[[str], Served]") -> None:
    """What is sent is believed by its bytes alone, and turned into what every engine takes."""
    engine = editing("openai")

    made(edit(deployment, [file("image", encoded(RED, "TIFF"), "application/octet-stream")]))

    assert engine.state.record[-1].files[0]["content_type"] == "image/png"


def test_nothing_is_fetched_for_whom_a_switch_turns_away(
    deployment: "Deployment", editing: "Callable[[str], Served]"
) -> None:
    """A body full of links that cannot be fetched is the same 403."""
    editing("openai")
    deployment.configure(ENABLE_IMAGE_EDIT=False)

    answer = edit_json(deployment, image="http://10.0.0.1/secret.png")

    assert (answer.status, answer.json["error"]["code"]) == (403, "disabled")
