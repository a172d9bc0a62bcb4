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

from tests.integration.images_api.image_server import ImageServer
from tests.integration.sample_images import RED, data_url, encoded, right_half, text

if TYPE_CHECKING:
    from tests.integration.deployment import ApiResponse, Deployment
    from tests.integration.sandbox_engine import SandboxEngine

UNKNOWN = "018f2b6e-7a10-7c3d-9a2b-0123456789ab-0"


def assert_refused(
    deployment: "Deployment", engine: "SandboxEngine", response: "ApiResponse", status: int, field: str
) -> None:
    """It names the field, and the engine, the bucket and the list of jobs know nothing of it."""
    assert (response.status, response.json.get("field")) == (status, field), response.text
    assert engine.state.record == []
    assert deployment.stored() == []
    assert deployment.jobs() == []


def test_a_link_inside_is_never_followed(
    deployment: "Deployment", engine: "SandboxEngine", image_server: ImageServer
) -> None:
    """A server that is not public gets no request, and the answer says nothing about it."""
    response = deployment.edit([f"{image_server.url}/green.png"])

    assert_refused(deployment, engine, response, 400, "image[0]")
    assert response.json["code"] == "invalid_url"
    assert image_server.requested == []


def test_a_redirect_leads_nowhere_inside(
    deployment: "Deployment", engine: "SandboxEngine", image_server: ImageServer, serve: Callable[..., str]
) -> None:
    """An allowed host cannot send the gateway to one that is not allowed."""
    other = ImageServer()

    async def respond(request: Request) -> Response:
        other.requested.append(request.url.path)
        return Response(encoded())

    other.url = serve(Starlette(routes=[Route("/{path:path}", respond)]))
    deployment.allow_hosts(image_server.url)

    assert_refused(deployment, engine, deployment.edit(f"{image_server.url}/to?url={other.url}/p.png"), 400, "image")

    assert (image_server.requested, other.requested) == (["/to"], [])


@pytest.mark.parametrize("way", ["id", "url"])
def test_somebody_elses_image_is_as_an_unknown_one(deployment: "Deployment", engine: "SandboxEngine", way: str) -> None:
    """The answers differ in the id alone."""
    (made,) = deployment.edit().json
    engine.state.record.clear()

    theirs = deployment.edit(made[way], role="stranger")
    unknown = deployment.edit(UNKNOWN, role="stranger")

    assert (theirs.status, theirs.json["code"], theirs.json["field"]) == (404, "not_found", "image")
    same = ("type", "title", "status", "code", "field")
    assert [theirs.json[name] for name in same] == [unknown.json[name] for name in same]
    assert theirs.json["detail"].replace(made["id"], UNKNOWN) == unknown.json["detail"]
    own = ("content-length", "x-request-id")
    assert {name: value for name, value in theirs.headers.items() if name not in own} == {
        name: value for name, value in unknown.headers.items() if name not in own
    }
    assert engine.state.record == []


@pytest.mark.parametrize("text", [UNKNOWN, UNKNOWN.upper(), UNKNOWN[:-1] + "99", "upload-" + UNKNOWN[:-2]])
def test_an_unknown_id_is_a_404(deployment: "Deployment", engine: "SandboxEngine", text: str) -> None:
    """An id that nothing has is told by its field."""
    assert_refused(deployment, engine, deployment.edit(text), 404, "image")


def test_other_objects_of_the_bucket_do_not_exist(deployment: "Deployment", engine: "SandboxEngine") -> None:
    """A URL of a configuration value in the bucket is a 404, also for an admin; nothing is fetched."""
    gateway = deployment.gateway
    url, _ = gateway.images.url("config/workflow.json")

    assert_refused(deployment, engine, deployment.edit(url, role="admin"), 404, "image")


def chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def png(width: int, height: int, *chunks: bytes) -> bytes:
    """A PNG of this header, whatever its chunks hold."""
    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\0\0\0\0"
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunks) + chunk(b"IEND", b"")


BOMBS: dict[str, Callable[[], bytes]] = {
    "50,000 x 50,000 pixels in 50 KB": lambda: png(
        50_000, 50_000, chunk(b"IDAT", zlib.compress(bytes(50_000_000), 9)[:50_000])
    ),
    "a zip bomb in iTXt": lambda: png(
        8, 1, chunk(b"iTXt", b"Comment\0\x01\0\0\0" + zlib.compress(bytes(60_000_000), 9)),
        chunk(b"IDAT", zlib.compress(bytes(9))),
    ),
    "one byte": lambda: b"\x89",
    "HTML": lambda: b"<!doctype html><title>no image</title>",
    "SVG": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "a truncated JPEG": lambda: encoded(RED, "JPEG", size=(256, 256))[:-200],
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_and_other_files_are_refused(deployment: "Deployment", engine: "SandboxEngine", bomb: str) -> None:
    """What would burst, is cut off, or is no image is a 400 under its place in the list."""
    response = deployment.edit([text(encoded()), data_url(BOMBS[bomb]())])

    assert_refused(deployment, engine, response, 400, "image[1]")
    assert response.json["code"] == "invalid_image"


@pytest.mark.parametrize(("path", "status"), [("page", 400), ("endless", 413)])
def test_a_link_to_no_image_is_refused(
    deployment: "Deployment", engine: "SandboxEngine", image_server: ImageServer, path: str, status: int
) -> None:
    """HTML that says it is a PNG, and a stream of 51 MB that does not say its length."""
    deployment.allow_hosts(image_server.url)

    assert_refused(deployment, engine, deployment.edit(f"{image_server.url}/{path}"), status, "image")


MASKS = {
    "without alpha": (encoded(RED), "no alpha channel"),
    "of another size": (base64.b64decode(right_half((32, 32))), "32x32 and the first image 64x64"),
    "opaque": (encoded((0, 0, 0, 255)), "opaque everywhere"),
    "no image": (b"mask", "Not an image"),
}


@pytest.mark.parametrize("kind", MASKS)
def test_an_unusable_mask_is_told_how_to_make_one(deployment: "Deployment", engine: "SandboxEngine", kind: str) -> None:
    """A mask that cannot be meant is refused before the engine sees anything."""
    data, words = MASKS[kind]

    response = deployment.edit(mask=text(data))

    assert_refused(deployment, engine, response, 400, "mask")
    assert words in response.json["detail"]


BAD_FIELDS: list[tuple[str, Any]] = [
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
    ("seed", -1),
    ("background", 7),
]


@pytest.mark.parametrize(("field", "value"), BAD_FIELDS, ids=[str(bad)[:40] for bad in BAD_FIELDS])
def test_a_field_that_does_not_validate_is_named(
    deployment: "Deployment", engine: "SandboxEngine", field: str, value: Any
) -> None:
    """A value of the wrong type or number is a 422."""
    form = {"prompt": "a hat", "image": text(encoded()), field: value}

    response = deployment.call("POST", "/api/v1/images/edit", form, role="user")

    assert_refused(deployment, engine, response, 422, field)


def test_an_edit_needs_an_image(deployment: "Deployment", engine: "SandboxEngine") -> None:
    """Without `image` nothing can be edited."""
    response = deployment.call("POST", "/api/v1/images/edit", {"prompt": "a hat"}, role="user")

    assert_refused(deployment, engine, response, 422, "image")


@pytest.mark.parametrize(
    "image",
    ["", " ", "data:", "data:image/png", "http://[::1", "http://[x]/", "http://a:99999/", "https://u:p@a.example/", "file:///etc/passwd",
     "ftp://a.example/p.png", "\ud800", "data:,\ud800", "http://\ud800/", "a\0b"],
)  # fmt: skip
def test_a_text_that_is_no_image_is_refused(deployment: "Deployment", engine: "SandboxEngine", image: str) -> None:
    """No text makes a defect of the gateway: each is refused under its field."""
    raw = json.dumps({"prompt": "a hat", "image": [image]}).encode()

    response = deployment.call("POST", "/api/v1/images/edit", raw=raw, role="user")

    assert response.status in (400, 422), response.text
    assert_refused(deployment, engine, response, response.status, response.json["field"])
    assert response.json["field"].startswith("image")


def test_editing_that_is_off_fetches_nothing(
    deployment: "Deployment", engine: "SandboxEngine", image_server: ImageServer
) -> None:
    """403 comes before any link is followed."""
    deployment.allow_hosts(image_server.url)
    deployment.configure(ENABLE_IMAGE_EDIT=False)

    response = deployment.edit(f"{image_server.url}/green.png", mask=f"{image_server.url}/green.png")

    assert (response.status, response.json["code"]) == (403, "disabled")
    assert image_server.requested == []
    assert engine.state.record == []
    assert deployment.jobs() == []
