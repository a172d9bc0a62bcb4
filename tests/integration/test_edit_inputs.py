"""Everything that an input of an edit can be, through the edit function; what is refused reaches no engine."""

import base64
import io
import json
import zlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from PIL import ExifTags, Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.integration.sample_images import GREEN, RED, SIDE, data_url, encoded, opened, right_half, text

if TYPE_CHECKING:
    from tests.integration.conftest import Answer, Deployment, Served

UNKNOWN = "018f2b6e-7a10-7c3d-9a2b-0123456789ab-0"


@dataclass
class ImageServer:
    """A server of images that counts who asks."""

    url: str = ""
    requested: list[str] = field(default_factory=list)


@pytest.fixture
def image_server(serve: Callable[..., str]) -> ImageServer:
    """`/green.png` is an image, `/page` HTML that says it is one, `/endless` over 50 MB, `/to?url=` a redirect."""
    server = ImageServer()

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(51):
            yield bytes(1_000_000)

    async def answer(request: Request) -> Response:
        server.requested.append(request.url.path)
        if request.url.path == "/page":
            return Response("<!doctype html>", media_type="image/png")
        if request.url.path == "/endless":
            return StreamingResponse(endless(), media_type="image/png")
        if request.url.path == "/to":
            return RedirectResponse(request.query_params["url"])
        return Response(encoded(GREEN))

    server.url = serve(Starlette(routes=[Route("/{path:path}", answer)]))
    return server


@pytest.fixture
def engine(editing: Callable[[str], "Served"]) -> "Served":
    """The engine whose record holds the inputs themselves."""
    return editing("automatic1111")


def given(engine: "Served") -> Image.Image:
    """The input of the last edit, as the engine got it."""
    return opened(engine.requested("/img2img")[-1]["init_images"][0])


def assert_refused(deployment: "Deployment", engine: "Served", answer: "Answer", status: int, field: str) -> None:
    """It names the field, and the engine, the bucket and the list of jobs know nothing of it."""
    assert (answer.status, answer.json.get("field")) == (status, field), answer.text
    assert engine.state.record == []
    assert deployment.stored() == []
    assert deployment.jobs() == []


SPELLINGS: dict[str, Callable[[bytes], str]] = {
    "data URL": data_url,
    "data URL of another type": lambda data: f"data:text/html;charset=utf-8;base64,{text(data)}",
    "base64": text,
    "base64 in lines": lambda data: base64.encodebytes(data).decode(),
    "URL-safe base64 without padding": lambda data: base64.urlsafe_b64encode(data).decode().rstrip("="),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_an_image_in_the_request_is_read(deployment: "Deployment", engine: "Served", spelling: str) -> None:
    """Data URLs and base64 of any spelling give the image."""
    assert deployment.edit(SPELLINGS[spelling](encoded(GREEN))).status == 200

    assert given(engine).getpixel((0, 0)) == GREEN


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "AVIF", "BMP", "TIFF", "MPO"])
def test_each_type_of_image_is_read(deployment: "Deployment", engine: "Served", kind: str) -> None:
    """Whatever its type, the engine gets a PNG or a JPEG that looks the same."""
    assert deployment.edit(text(encoded(RED, kind))).status == 200

    red, green, blue = given(engine).convert("RGB").getpixel((SIDE // 2, SIDE // 2))  # type: ignore[misc]  # RGB
    assert given(engine).format in ("PNG", "JPEG")
    assert red > 240
    assert green < 15 > blue


def test_a_phones_photo_comes_upright_and_without_its_place(deployment: "Deployment", engine: "Served") -> None:
    """The orientation is applied, and nothing of the metadata is sent on."""
    photo = Image.new("RGB", (96, 64), RED)
    photo.paste(GREEN, (0, 0, 48, 64))
    exif = photo.getexif()
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (52.0, 31.0, 12.0)
    out = io.BytesIO()
    photo.save(out, "JPEG", exif=exif, quality=95)

    assert deployment.edit(text(out.getvalue())).status == 200

    upright = given(engine)
    assert upright.size == (64, 96)
    assert upright.getpixel((32, 8))[1] > 200  # type: ignore[index]  # RGB
    assert not upright.getexif()


def test_a_link_is_fetched_from_an_allowed_host(
    deployment: "Deployment", engine: "Served", image_server: ImageServer
) -> None:
    """The operator's list opens a host that is not public."""
    deployment.allow_hosts(image_server.url)

    assert deployment.edit(f"{image_server.url}/green.png").status == 200

    assert given(engine).getpixel((0, 0)) == GREEN
    assert image_server.requested == ["/green.png"]


def test_a_link_inside_is_never_followed(deployment: "Deployment", engine: "Served", image_server: ImageServer) -> None:
    """A server that is not public gets no request, and the answer says nothing about it."""
    answer = deployment.edit([f"{image_server.url}/green.png"])

    assert_refused(deployment, engine, answer, 400, "image[0]")
    assert answer.json["code"] == "invalid_url"
    assert image_server.requested == []


def test_a_redirect_leads_nowhere_inside(
    deployment: "Deployment", engine: "Served", image_server: ImageServer, serve: Callable[..., str]
) -> None:
    """An allowed host cannot send the gateway to one that is not allowed."""
    other = ImageServer()

    async def answer(request: Request) -> Response:
        other.requested.append(request.url.path)
        return Response(encoded())

    other.url = serve(Starlette(routes=[Route("/{path:path}", answer)]))
    deployment.allow_hosts(image_server.url)

    assert_refused(deployment, engine, deployment.edit(f"{image_server.url}/to?url={other.url}/p.png"), 400, "image")

    assert (image_server.requested, other.requested) == (["/to"], [])


@pytest.mark.parametrize("way", ["id", "url"])
@pytest.mark.parametrize("role", ["user", "admin"])
def test_an_image_of_this_deployment_is_an_input(
    deployment: "Deployment", engine: "Served", role: str, way: str
) -> None:
    """Its owner and an admin can go on from an image by its id or by the URL that was answered."""
    (made,) = deployment.edit(text(encoded(GREEN))).json

    answer = deployment.edit(made[way], role=role)

    assert answer.status == 200, answer.text
    assert given(engine).getpixel((6, 6)) == GREEN
    assert answer.json[0]["id"] != made["id"]


@pytest.mark.parametrize("way", ["id", "url"])
def test_somebody_elses_image_is_as_an_unknown_one(deployment: "Deployment", engine: "Served", way: str) -> None:
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
def test_an_unknown_id_is_a_404(deployment: "Deployment", engine: "Served", text: str) -> None:
    """An id that nothing has is told by its field."""
    assert_refused(deployment, engine, deployment.edit(text), 404, "image")


def test_other_objects_of_the_bucket_do_not_exist(deployment: "Deployment", engine: "Served") -> None:
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
def test_bombs_and_other_files_are_refused(deployment: "Deployment", engine: "Served", bomb: str) -> None:
    """What would burst, is cut off, or is no image is a 400 under its place in the list."""
    answer = deployment.edit([text(encoded()), data_url(BOMBS[bomb]())])

    assert_refused(deployment, engine, answer, 400, "image[1]")
    assert answer.json["code"] == "invalid_image"


@pytest.mark.parametrize(("path", "status"), [("page", 400), ("endless", 413)])
def test_a_link_to_no_image_is_refused(
    deployment: "Deployment", engine: "Served", image_server: ImageServer, path: str, status: int
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
def test_an_unusable_mask_is_told_how_to_make_one(deployment: "Deployment", engine: "Served", kind: str) -> None:
    """A mask that cannot be meant is refused before the engine sees anything."""
    data, words = MASKS[kind]

    answer = deployment.edit(mask=text(data))

    assert_refused(deployment, engine, answer, 400, "mask")
    assert words in answer.json["detail"]


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
    deployment: "Deployment", engine: "Served", field: str, value: Any
) -> None:
    """A value of the wrong type or number is a 422."""
    form = {"prompt": "a hat", "image": text(encoded()), field: value}

    answer = deployment.call("POST", "/api/v1/images/edit", form, role="user")

    assert_refused(deployment, engine, answer, 422, field)


def test_an_edit_needs_an_image(deployment: "Deployment", engine: "Served") -> None:
    """Without `image` nothing can be edited."""
    answer = deployment.call("POST", "/api/v1/images/edit", {"prompt": "a hat"}, role="user")

    assert_refused(deployment, engine, answer, 422, "image")


@pytest.mark.parametrize(
    "image",
    ["", " ", "data:", "data:image/png", "http://[::1", "http://[x]/", "http://a:99999/", "https://u:p@a.example/", "file:///etc/passwd",
     "ftp://a.example/p.png", "\ud800", "data:,\ud800", "http://\ud800/", "a\0b"],
)  # fmt: skip
def test_a_text_that_is_no_image_is_refused(deployment: "Deployment", engine: "Served", image: str) -> None:
    """No text makes a defect of the gateway: each is refused under its field."""
    raw = json.dumps({"prompt": "a hat", "image": [image]}).encode()

    answer = deployment.call("POST", "/api/v1/images/edit", raw=raw, role="user")

    assert answer.status in (400, 422), answer.text
    assert_refused(deployment, engine, answer, answer.status, answer.json["field"])
    assert answer.json["field"].startswith("image")


@pytest.mark.parametrize(
    "extra", [{"zoom": "x" * 500_000}, {"zoom": "\ud800"}, {"x" * 100_000: 1}, {f"x{n}": n for n in range(5000)}]
)
def test_a_field_of_no_meaning_does_no_harm(deployment: "Deployment", engine: "Served", extra: dict[str, Any]) -> None:
    """Whatever an unknown field holds, the image is made, and a warning says that the field was ignored."""
    form = {"prompt": "a hat", "image": text(encoded()), **extra}
    raw = json.dumps(form).encode()

    answer = deployment.call("POST", "/api/v1/images/edit", raw=raw, role="user")

    assert answer.status == 200, answer.text
    assert "is not a field of this request" in answer.json[0]["warnings"][0]
    assert len(deployment.jobs()[0].model_dump_json()) < 20_000


def test_editing_that_is_off_fetches_nothing(
    deployment: "Deployment", engine: "Served", image_server: ImageServer
) -> None:
    """403 comes before any link is followed."""
    deployment.allow_hosts(image_server.url)
    deployment.configure(ENABLE_IMAGE_EDIT=False)

    answer = deployment.edit(f"{image_server.url}/green.png", mask=f"{image_server.url}/green.png")

    assert (answer.status, answer.json["code"]) == (403, "disabled")
    assert image_server.requested == []
    assert engine.state.record == []
    assert deployment.jobs() == []
