"""Inputs of an edit that are refused: no engine is called, and nothing is stored."""

import base64
import json
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from image_gateway.images.decoding.process import end_all
from tests.integration.image_server import ImageServer
from tests.integration.sample_images import RED, data_url, encoded, right_half, text
from tests.loop_time import LoopTime
from tests.polling import meanwhile, wait_until
from tests.unit.images.decoding.bombs import BOMBS, slow_image
from tests.unit.images.decoding.processes import decoding_processes, is_decoding

if TYPE_CHECKING:
    from tests.integration.deployment import ApiResponse, Deployment
    from tests.integration.sandbox_engine import SandboxEngine

UNKNOWN_ID = "018f2b6e-7a10-7c3d-9a2b-0123456789ab-0"


def assert_refused(
    deployment: "Deployment", engine: "SandboxEngine", response: "ApiResponse", status: int, field: str
) -> None:
    """The error names the field; the engine was not called, and no image and no job were stored."""
    assert (response.status, response.json.get("field")) == (status, field), response.text
    assert engine.state.record == []
    assert deployment.stored() == []
    assert deployment.jobs() == []


def test_a_link_to_a_private_address_is_not_fetched(
    deployment: "Deployment", engine: "SandboxEngine", image_server: ImageServer
) -> None:
    """The server receives no request, and the error says nothing about it."""
    response = deployment.edit([f"{image_server.url}/green.png"])

    assert_refused(deployment, engine, response, 400, "image[0]")
    assert response.json["code"] == "invalid_url"
    assert image_server.requested == []


def test_a_redirect_to_a_private_address_is_not_followed(
    deployment: "Deployment", engine: "SandboxEngine", image_server: ImageServer, serve: Callable[..., str]
) -> None:
    """An allowed host cannot redirect the gateway to a host that is not allowed."""
    private_server = ImageServer()

    async def respond(request: Request) -> Response:
        private_server.requested.append(request.url.path)
        return Response(encoded())

    private_server.url = serve(Starlette(routes=[Route("/{path:path}", respond)]))
    deployment.allow_hosts(image_server.url)

    assert_refused(
        deployment, engine, deployment.edit(f"{image_server.url}/to?url={private_server.url}/p.png"), 400, "image"
    )

    assert (image_server.requested, private_server.requested) == (["/to"], [])


@pytest.mark.parametrize("reference", ["id", "url"])
def test_an_image_of_another_owner_is_not_found(
    deployment: "Deployment", engine: "SandboxEngine", reference: str
) -> None:
    """The response differs from that for an unknown id in the id alone."""
    (first,) = deployment.edit().json
    engine.state.record.clear()

    other_owners = deployment.edit(first[reference], role="stranger")
    unknown = deployment.edit(UNKNOWN_ID, role="stranger")

    assert (other_owners.status, other_owners.json["code"], other_owners.json["field"]) == (404, "not_found", "image")
    compared = ("type", "title", "status", "code", "field")
    assert [other_owners.json[name] for name in compared] == [unknown.json[name] for name in compared]
    assert other_owners.json["detail"].replace(first["id"], UNKNOWN_ID) == unknown.json["detail"]
    individual = ("content-length", "x-request-id")
    assert {name: value for name, value in other_owners.headers.items() if name not in individual} == {
        name: value for name, value in unknown.headers.items() if name not in individual
    }
    assert engine.state.record == []


@pytest.mark.parametrize("text", [UNKNOWN_ID, UNKNOWN_ID.upper(), UNKNOWN_ID[:-1] + "99", "upload-" + UNKNOWN_ID[:-2]])
def test_an_unknown_id_is_a_404(deployment: "Deployment", engine: "SandboxEngine", text: str) -> None:
    """The error names the field."""
    assert_refused(deployment, engine, deployment.edit(text), 404, "image")


def test_other_objects_of_the_bucket_are_not_found(deployment: "Deployment", engine: "SandboxEngine") -> None:
    """The URL of a configuration value in the bucket is a 404, even for an admin; nothing is fetched."""
    gateway = deployment.gateway
    url, _ = gateway.images.url("config/workflow.json")

    assert_refused(deployment, engine, deployment.edit(url, role="admin"), 404, "image")


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a PNG chunk with its length and checksum."""
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def png(width: int, height: int, *chunks: bytes) -> bytes:
    """Return a PNG with this header, whatever the chunks contain."""
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\0\0\0\0"
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


INVALID_FILES: dict[str, Callable[[], bytes]] = {
    "50,000 x 50,000 pixels in 50 KB": lambda: png(
        50_000, 50_000, chunk(b"IDAT", zlib.compress(bytes(50_000_000), 9)[:50_000])
    ),
    **{
        name: BOMBS[name]
        for name in (
            "tiff: a deflated tile of 46,336 x 46,336 pixels",
            "jpeg: 20,000 scans",
        )
    },
    "one byte": lambda: b"\x89",
    "HTML": lambda: b"<!doctype html><title>no image</title>",
    "SVG": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "a truncated JPEG": lambda: encoded(RED, "JPEG", size=(256, 256))[:-200],
}  # fmt: skip


@pytest.mark.parametrize("file", INVALID_FILES)
def test_decompression_bombs_and_files_that_are_not_images_are_refused(
    deployment: "Deployment", engine: "SandboxEngine", file: str
) -> None:
    """The 400 names the input's position in the list."""
    response = deployment.edit([text(encoded()), data_url(INVALID_FILES[file]())])

    assert_refused(deployment, engine, response, 400, "image[1]")
    assert response.json["code"] == "invalid_image"


def test_a_zip_bomb_in_metadata_is_not_unpacked(deployment: "Deployment", engine: "SandboxEngine") -> None:
    """The pixels are sound, so the image is edited."""
    text_chunk = chunk(b"iTXt", b"XML:com.adobe.xmp\0\x01\0\0\0" + zlib.compress(bytes(60_000_000), 9))
    image = png(64, 64, text_chunk, chunk(b"IDAT", zlib.compress(bytes(65 * 64))))

    response = deployment.edit(data_url(image))

    assert response.status == 200, response.text
    assert engine.state.record


def test_reading_inputs_ends_when_the_time_of_the_response_is_over(
    deployment: "Deployment", engine: "SandboxEngine", event_loop_time: LoopTime
) -> None:
    """The caller gets an error in time, and nothing goes on in the function after that."""
    end_all()

    def advance_time() -> None:
        wait_until(is_decoding)
        event_loop_time.advance(30)

    with meanwhile(advance_time):
        response = deployment.edit(data_url(slow_image()))

    assert_refused(deployment, engine, response, 400, "image")
    assert "could not be read in the time that a request has" in response.json["detail"]
    assert decoding_processes() == set()


@pytest.mark.parametrize(("path", "status"), [("page", 400), ("endless", 413)])
def test_a_link_to_html_or_to_an_endless_stream_is_refused(
    deployment: "Deployment", engine: "SandboxEngine", image_server: ImageServer, path: str, status: int
) -> None:
    """HTML sent as `image/png` is a 400; a stream of 51 MB without a length is a 413."""
    deployment.allow_hosts(image_server.url)

    assert_refused(deployment, engine, deployment.edit(f"{image_server.url}/{path}"), status, "image")


MASKS = {
    "without alpha": (encoded(RED), "no alpha channel"),
    "of another size": (base64.b64decode(right_half((32, 32))), "32x32 and the first image 64x64"),
    "opaque": (encoded((0, 0, 0, 255)), "opaque everywhere"),
    "no image": (b"mask", "Not an image"),
}


@pytest.mark.parametrize("kind", MASKS)
def test_an_unusable_mask_is_refused_with_the_reason(
    deployment: "Deployment", engine: "SandboxEngine", kind: str
) -> None:
    """The mask is checked before the engine is called."""
    data, reason = MASKS[kind]

    response = deployment.edit(mask=text(data))

    assert_refused(deployment, engine, response, 400, "mask")
    assert reason in response.json["detail"]


INVALID_FIELDS: list[tuple[str, Any]] = [
    ("image", None),
    ("image", 7),
    ("image", True),
    ("image", {"url": "x"}),
    ("image", []),
    ("image", [None]),
    ("image", [["x"]]),
    ("image", ["x"] * 17),
    ("mask", 7),
    ("mask", ["x"]),
    ("prompt", ""),
    ("n", 0),
    ("n", 11),
    ("seed", -2),
    ("background", 7),
]


@pytest.mark.parametrize(("field", "value"), INVALID_FIELDS, ids=[str(pair)[:40] for pair in INVALID_FIELDS])
def test_an_invalid_field_is_named(deployment: "Deployment", engine: "SandboxEngine", field: str, value: Any) -> None:
    """A value of the wrong type or out of bounds is a 422."""
    form = {"prompt": "a hat", "image": text(encoded()), field: value}

    response = deployment.call("POST", "/api/v1/images/edit", form, role="user")

    assert_refused(deployment, engine, response, 422, field)


def test_an_edit_without_an_image_is_refused(deployment: "Deployment", engine: "SandboxEngine") -> None:
    """`image` is required."""
    response = deployment.call("POST", "/api/v1/images/edit", {"prompt": "a hat"}, role="user")

    assert_refused(deployment, engine, response, 422, "image")


@pytest.mark.parametrize(
    "image",
    ["", " ", "data:", "data:image/png", "http://[::1", "http://[x]/", "http://a:99999/", "https://u:p@a.example/", "file:///etc/passwd",
     "ftp://a.example/p.png", "\ud800", "data:,\ud800", "http://\ud800/", "a\0b"],
)  # fmt: skip
def test_a_text_that_is_neither_image_nor_link_nor_id_is_refused(
    deployment: "Deployment", engine: "SandboxEngine", image: str
) -> None:
    """Every text is refused with the field's name; none is an internal error."""
    raw = json.dumps({"prompt": "a hat", "image": [image]}).encode()

    response = deployment.call("POST", "/api/v1/images/edit", raw=raw, role="user")

    assert response.status in (400, 422), response.text
    assert_refused(deployment, engine, response, response.status, response.json["field"])
    assert response.json["field"].startswith("image")


def test_a_disabled_edit_fetches_no_input(
    deployment: "Deployment", engine: "SandboxEngine", image_server: ImageServer
) -> None:
    """The 403 is returned before any link is fetched."""
    deployment.allow_hosts(image_server.url)
    deployment.configure(ENABLE_IMAGE_EDIT=False)

    response = deployment.edit(f"{image_server.url}/green.png", mask=f"{image_server.url}/green.png")

    assert (response.status, response.json["code"]) == (403, "disabled")
    assert image_server.requested == []
    assert engine.state.record == []
    assert deployment.jobs() == []
