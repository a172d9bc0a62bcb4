"""What callers may write where an image is asked for."""

import asyncio
import base64
import io
import json
import subprocess
import sys
import textwrap
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from image_gateway.access.principals import Principal, Role
from image_gateway.errors import GatewayError, InvalidImage, InvalidUrl, NotFound, TooLarge
from image_gateway.images.inputs import ImageInputs
from image_gateway.models.forms import EditImageForm
from image_gateway.net.public_fetch import MAX_BYTES

OWNER = Principal("1", "owner", Role.USER)
STRANGER = Principal("2", "stranger", Role.USER)
IMAGE_ID = "018f2b6e-7a10-7c3d-9a2b-0123456789ab-0"
UPLOAD_ID = "upload-018f2b6e-7a10-7c3d-9a2b-0123456789ab"
UNKNOWN_ID = "upload-00000000-7a10-7c3d-9a2b-0123456789ab"
BUCKET = "https://images.s3.eu-central-1.amazonaws.com/"


def png(width: int = 3, height: int = 2, colour: str = "red", mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.new(mode, (width, height), colour).save(out, "PNG")
    return out.getvalue()


def data_url(data: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode()


class Stored:
    """A bucket with one image and one upload, both of `OWNER`."""

    def __init__(self) -> None:
        self.requested: list[str] = []

    def reference(self, url: str) -> str | None:
        if not url.startswith(BUCKET):
            return None
        if "config" in url:
            raise NotFound("There is no such image")
        return IMAGE_ID

    async def read(self, reference: str, principal: Principal) -> bytes | None:
        self.requested.append(reference)
        if reference.endswith("-099"):
            raise TooLarge("The upload is over 50 MB")
        owned = reference in (IMAGE_ID, UPLOAD_ID) and principal == OWNER
        return png(5, 5) if owned else None


class Web:
    """Answers links from a table, after as many turns of the event loop as there are digits in the URL."""

    def __init__(self) -> None:
        self.requested: list[str] = []
        self.answers: dict[str, bytes | GatewayError] = {}
        self.waiting = 0
        self.most_waiting = 0

    async def fetch(self, url: str, *, field: str | None = None) -> bytes:
        self.requested.append(url)
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        for _ in range(5 + sum(map(str.isdigit, url))):
            await asyncio.sleep(0)
        self.waiting -= 1
        answer = self.answers.get(url, InvalidUrl("absent", field=field))
        if isinstance(answer, GatewayError):
            answer.field = field
            raise answer
        return answer


@pytest.fixture
def stored() -> Stored:
    return Stored()


@pytest.fixture
def web() -> Web:
    return Web()


@pytest.fixture
def inputs(stored: Stored, web: Web) -> ImageInputs:
    return ImageInputs(web.fetch, stored)


IMAGE = png()
STANDARD = base64.b64encode(IMAGE).decode()
URL_SAFE = base64.urlsafe_b64encode(IMAGE).decode()
SPELLINGS = {
    "data URL": f"data:image/png;base64,{STANDARD}",
    "upper case": f"DATA:IMAGE/PNG;BASE64,{STANDARD}",
    "no media type": f"data:;base64,{STANDARD}",
    "wrong media type": f"data:text/html;base64,{STANDARD}",
    "parameters": f'data:image/png;charset=utf-8;name="a b.png";base64,{STANDARD}',
    "spaces": f"  data: image/png ; base64 , {STANDARD} \n",
    "line breaks": "data:image/png;base64,\r\n" + "\r\n".join(textwrap.wrap(STANDARD, 20)),
    "percent-encoded base64": f"data:image/png;base64,{quote(STANDARD, safe='')}",
    "percent-encoded line breaks": "data:image/png;base64," + "%0D%0A".join(textwrap.wrap(STANDARD, 20)),
    "URL-safe in a data URL": f"data:image/png;base64,{URL_SAFE}",
    "no padding in a data URL": f"data:image/png;base64,{STANDARD.rstrip('=')}",
    "percent-encoded bytes": f"data:image/png,{quote(IMAGE, safe='')}",
    "percent-encoded bytes, no type": f"data:,{quote(IMAGE)}",
    "base64": STANDARD,
    "base64 without padding": STANDARD.rstrip("="),
    "URL-safe base64": URL_SAFE,
    "URL-safe base64 without padding": URL_SAFE.rstrip("="),
    "base64 in lines": "\n".join(textwrap.wrap(STANDARD, 20)),
}


@pytest.mark.anyio
@pytest.mark.parametrize("spelling", SPELLINGS)
async def test_every_spelling_of_inline_data_is_read(spelling: str, inputs: ImageInputs, web: Web) -> None:
    """Data URLs and base64 give the image, however they are written, and fetch nothing."""
    (image,), mask = await inputs.resolve(SPELLINGS[spelling], None, OWNER)
    assert (image.width, image.height, image.content_type) == (3, 2, "image/png")
    assert mask is None
    assert web.requested == []


@pytest.mark.anyio
@pytest.mark.parametrize("url", ["http://images.example/1.png", " HTTPS://images.example/a,b;base64,c\n"])
async def test_a_link_is_fetched(url: str, inputs: ImageInputs, web: Web) -> None:
    """An http(s) URL is fetched as it is."""
    web.answers[url.strip()] = IMAGE
    (image,), _ = await inputs.resolve(url, None, OWNER)
    assert image.width == 3
    assert web.requested == [url.strip()]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("text", "reference"),
    [
        (IMAGE_ID, IMAGE_ID),
        (f" {IMAGE_ID.upper()}\n", IMAGE_ID),
        (UPLOAD_ID, UPLOAD_ID),
        (f"{BUCKET}images/2026/01/01/x/0.png?X-Amz-Signature=abc", IMAGE_ID),
    ],
)
async def test_ids_and_presigned_urls_are_read_from_the_store(
    text: str, reference: str, inputs: ImageInputs, stored: Stored, web: Web
) -> None:
    """What this deployment keeps is read where it lies, also by its presigned URL, and never fetched."""
    (image,), _ = await inputs.resolve(text, None, OWNER)
    assert image.width == 5
    assert stored.requested == [reference]
    assert web.requested == []


@pytest.mark.anyio
@pytest.mark.parametrize("text", [IMAGE_ID, UPLOAD_ID, f"{BUCKET}images/2026/01/01/x/0.png"])
async def test_somebody_elses_image_is_as_an_unknown_one(text: str, inputs: ImageInputs, web: Web) -> None:
    """A stranger gets what anybody gets for an id that does not exist, and the URL is not fetched either."""
    with pytest.raises(NotFound) as refusal:
        await inputs.resolve([IMAGE_ID.replace("0", "1"), text], None, STRANGER)
    assert refusal.value.field in ("image[0]", "image[1]")
    assert web.requested == []


@pytest.mark.anyio
async def test_an_unknown_id_is_named(inputs: ImageInputs) -> None:
    """The error says which id and in which field."""
    with pytest.raises(NotFound, match=UNKNOWN_ID) as refusal:
        await inputs.resolve(IMAGE_ID, UNKNOWN_ID, OWNER)
    assert refusal.value.field == "mask"


@pytest.mark.anyio
async def test_other_objects_of_the_bucket_do_not_exist(inputs: ImageInputs, web: Web) -> None:
    """A URL into the bucket that is no image's is refused before anything is read or fetched."""
    with pytest.raises(NotFound) as refusal:
        await inputs.resolve(["http://images.example/", f"{BUCKET}config/1.json"], None, OWNER)
    assert refusal.value.field == "image[1]"
    assert web.requested == []


@pytest.mark.anyio
async def test_a_stored_input_that_is_too_large_names_its_field(inputs: ImageInputs) -> None:
    """The store's own limit is told with the field."""
    with pytest.raises(TooLarge) as refusal:
        await inputs.resolve([IMAGE_ID, IMAGE_ID + "99"], None, OWNER)
    assert refusal.value.field == "image[1]"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", InvalidImage),
        (" \n", InvalidImage),
        ("data:image/png;base64", InvalidImage),
        ("data:image/png;base64,", InvalidImage),
        ("data:image/png;base64,%%%", InvalidImage),
        ("data:image/png;base64,é", InvalidImage),
        ("data:image/png,", InvalidImage),
        ("a", InvalidImage),
        ("not an image!", InvalidImage),
        ("ab=cd", InvalidImage),
        ("картина", InvalidImage),
        ("image/png;base64,AAAA", InvalidImage),
        ("AAAA", InvalidImage),
        (data_url(b"<!doctype html><title>no</title>"), InvalidImage),
        (data_url(b'<svg xmlns="http://www.w3.org/2000/svg"/>'), InvalidImage),
        (data_url(b"\x89"), InvalidImage),
        ("ftp://images.example/1.png", InvalidUrl),
        ("file:///etc/passwd", InvalidUrl),
        ("javascript:alert(1)", InvalidUrl),
        ("blob:https://images.example/1", InvalidUrl),
        ("http:images.example", InvalidUrl),
    ],
)
async def test_anything_else_is_refused_with_its_field(
    text: str, error: type[GatewayError], inputs: ImageInputs
) -> None:
    """What is none of the accepted forms, or no image, is refused by the field's name."""
    with pytest.raises(error) as refusal:
        await inputs.resolve([STANDARD, text], None, OWNER)
    assert refusal.value.field == "image[1]"


@pytest.mark.anyio
@pytest.mark.parametrize("broken", ["data:image/png;base64,!", "ftp://images.example/", "", "?"])
async def test_nothing_is_fetched_when_a_string_is_malformed(
    broken: str, inputs: ImageInputs, web: Web, stored: Stored
) -> None:
    """All strings, the mask's too, are read before the first request is made."""
    for image, mask in (([IMAGE_ID, "http://images.example/", broken], None), ("http://images.example/", broken)):
        with pytest.raises((InvalidImage, InvalidUrl)):
            await inputs.resolve(image, mask, OWNER)
    assert web.requested == []
    assert stored.requested == []


@pytest.mark.anyio
@pytest.mark.parametrize("count", [0, 17])
async def test_an_edit_takes_one_to_sixteen_images(count: int, inputs: ImageInputs) -> None:
    """No image, or more than sixteen, are refused."""
    with pytest.raises(InvalidImage, match="1 to 16") as refusal:
        await inputs.resolve([STANDARD] * count, None, OWNER)
    assert refusal.value.field == "image"


@pytest.mark.anyio
async def test_sixteen_images_keep_their_order(inputs: ImageInputs, web: Web) -> None:
    """Images of every source are resolved at the same time and come back in the order asked for."""
    texts: list[str] = []
    for width in range(1, 17):
        url = f"http://images.example/{'1' * (17 - width)}"
        web.answers[url] = png(width)
        texts.append(url if width % 2 else data_url(png(width)))
    images, _ = await inputs.resolve(texts, None, OWNER)
    assert [image.width for image in images] == list(range(1, 17))
    assert web.most_waiting > 1


@pytest.mark.anyio
async def test_a_failed_link_names_its_field(inputs: ImageInputs, web: Web) -> None:
    """The fetcher's error arrives with the name of the field, and ends the other fetches."""
    texts = ["http://images.example/" + "1" * 500, "http://images.example/gone", STANDARD]
    with pytest.raises(InvalidUrl) as refusal:
        await inputs.resolve(texts, None, OWNER)
    assert refusal.value.field == "image[1]"
    assert web.waiting == 1


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("A" * (MAX_BYTES * 4 // 3 + 8), "image"),
        ("data:;base64," + "A" * (MAX_BYTES * 4 // 3 + 8), "image"),
        ("data:," + "A" * (MAX_BYTES + 1), "image"),
    ],
    ids=["base64", "data URL", "percent-encoded"],
)
async def test_more_than_fifty_megabytes_are_refused(text: str, field: str, inputs: ImageInputs) -> None:
    """The cap on bytes holds for inline data too."""
    with pytest.raises(TooLarge, match="50 MB") as refusal:
        await inputs.resolve(text, None, OWNER)
    assert refusal.value.field == field


@pytest.mark.anyio
async def test_the_images_together_have_a_limit(inputs: ImageInputs, monkeypatch: pytest.MonkeyPatch) -> None:
    """An edit that would not fit into memory on its way to the engine is refused."""
    monkeypatch.setattr("image_gateway.images.inputs.MAX_TOTAL_BYTES", 200)
    with pytest.raises(TooLarge, match="together") as refusal:
        await inputs.resolve([STANDARD] * 4, None, OWNER)
    assert refusal.value.field == "image"


@pytest.mark.anyio
async def test_a_mask_belongs_to_the_first_image(inputs: ImageInputs) -> None:
    """The mask is checked against the first image's size."""
    mask = data_url(png(3, 2, "#00000000", "RGBA"))
    images, found = await inputs.resolve([STANDARD, data_url(png(9, 9))], mask, OWNER)
    assert len(images) == 2
    assert found is not None
    assert (found.width, found.height) == (3, 2)
    with pytest.raises(InvalidImage, match="3x2 and the first image 9x9") as refusal:
        await inputs.resolve([data_url(png(9, 9)), STANDARD], mask, OWNER)
    assert refusal.value.field == "mask"


@pytest.mark.anyio
async def test_a_mask_of_a_broken_image_leaves_the_images_error(inputs: ImageInputs) -> None:
    """When the first image is unusable, that is what is told."""
    with pytest.raises(InvalidImage) as refusal:
        await inputs.resolve("AAAA", data_url(png(3, 2, "#00000000", "RGBA")), OWNER)
    assert refusal.value.field == "image"


def _resolve(text: str) -> int:
    """Resolve on a loop of its own; gives the image's width."""
    images, _ = asyncio.run(ImageInputs(Web().fetch, Stored()).resolve(text, None, OWNER))
    return images[0].width


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=80))
def test_arbitrary_text_is_refused_in_words(text: str) -> None:
    """No text makes anything but a refusal that names the field."""
    with pytest.raises((InvalidImage, InvalidUrl)) as refusal:
        _resolve(text)
    assert refusal.value.field == "image"


@settings(max_examples=150, deadline=None)
@given(header=st.text(max_size=20), data=st.text(max_size=40), marker=st.sampled_from(["", ";base64", "; BASE64 "]))
def test_arbitrary_data_urls_are_refused_in_words(header: str, data: str, marker: str) -> None:
    """No data URL makes anything but a refusal."""
    with suppress(InvalidImage):
        _resolve(f"data:{header}{marker},{data}")


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 40),
    url_safe=st.booleans(),
    padded=st.booleans(),
    line=st.integers(4, 200),
    prefix=st.sampled_from(["", "data:;base64,", "Data:image/PNG;charset=x;Base64,"]),
    escaped=st.booleans(),
)
def test_base64_comes_back_whole(
    width: int, *, url_safe: bool, padded: bool, line: int, prefix: str, escaped: bool
) -> None:
    """Every way of writing base64 that is accepted gives the same bytes back."""
    data = png(width)
    text = (base64.urlsafe_b64encode if url_safe else base64.b64encode)(data).decode()
    text = "\n".join(textwrap.wrap(text if padded else text.rstrip("="), line))
    assert _resolve(prefix + (quote(text, safe="") if escaped and prefix else text)) == width


@settings(max_examples=60, deadline=None)
@given(width=st.integers(1, 40), safe=st.sampled_from(["", "/+;,:@", "~!*()"]))
def test_percent_encoding_comes_back_whole(width: int, safe: str) -> None:
    """A data URL without base64 gives the bytes that were percent-encoded."""
    assert _resolve(f"data:image/png,{quote(png(width), safe=safe)}") == width


BOMBS = textwrap.dedent("""
    import asyncio, json, pathlib, sys
    from image_gateway.errors import InvalidImage, TooLarge
    from image_gateway.net.public_fetch import PublicFetcher
    from image_gateway.images.inputs import ImageInputs
    from image_gateway.access.principals import Principal, Role
    assert not any(name.partition(".")[0] == "PIL" for name in sys.modules), "Pillow is loaded before any edit"
    from image_gateway.images import normalise

    def peak():
        # Not getrusage: its figure begins with that of the process that started this one.
        status = pathlib.Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    class Nothing:
        def reference(self, url):
            return None

    async def main():
        origin = sys.argv[1]
        fetcher = PublicFetcher(allowed_hosts=frozenset({origin.removeprefix("http://")}))
        inputs = ImageInputs(fetcher.fetch, Nothing())
        me = Principal("1", "me", Role.USER)
        pixel = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
        await inputs.resolve(pixel, None, me)
        idle = peak()
        refusals = []
        for path in json.loads(sys.argv[2]):
            try:
                await inputs.resolve([pixel, origin + path], None, me)
            except (InvalidImage, TooLarge) as error:
                refusals.append(error.field)
        print(json.dumps({"refusals": refusals, "above_idle_mb": peak() - idle, "idle_mb": idle}))

    asyncio.run(main())
""")


def chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def crafted(width: int, height: int, *chunks: bytes) -> bytes:
    """A PNG of 8-bit grey with these chunks."""
    header = chunk(b"IHDR", width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes((8, 0, 0, 0, 0)))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + chunk(b"IEND", b"")


class Bombs:
    """Serves what must not be swallowed, all of it as `image/png`."""

    def __init__(self) -> None:
        zeros = zlib.compress(bytes(100_000_000), 9)
        normalise = chunk(b"IDAT", zlib.compress(bytes(9)))
        self.bodies = {
            "/pixels": crafted(50_000, 50_000, chunk(b"IDAT", zeros[:50_000])),
            "/itxt": crafted(8, 1, chunk(b"iTXt", b"Comment\0\1\0\0\0" + zeros), normalise),
            "/ztxt": crafted(8, 1, normalise, chunk(b"zTXt", b"Comment\0\0" + zeros)),
            "/byte": b"\x89",
            "/html": b"<!doctype html><title>no image</title>",
            "/svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
            "/nothing": b"",
        }
        self.paths = [*self.bodies, "/stream"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = Request(scope).url.path
        body = self.bodies.get(path)
        response = StreamingResponse(self._stream()) if body is None else Response(body, media_type="image/png")
        await response(scope, receive, send)

    async def _stream(self) -> AsyncIterator[bytes]:
        for _ in range(51):
            yield bytes(1_000_000)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells the peak of a process's memory")
def test_bombs_need_little_memory(serve: Callable[[ASGIApp], str]) -> None:
    """Bombs of pixels, text and bytes are refused by field, and need less than 200 MB in all."""
    bombs = Bombs()
    command = [sys.executable, "-c", BOMBS, serve(bombs), json.dumps(bombs.paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)  # noqa: S603
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["refusals"] == ["image[1]"] * len(bombs.paths)
    assert 0 < result["above_idle_mb"] < 200


def test_the_form_takes_what_clients_send() -> None:
    """One image or several, and null where a client has nothing to say."""
    form = EditImageForm.model_validate(
        {"image": "a", "prompt": "night", "n": None, "mask": None, "background": "auto"}
    )
    assert (form.image, form.n) == ("a", None)
    assert form.requested().keys() == {"image", "prompt", "background"}
    assert EditImageForm(image=["a", "b"], prompt="night").image == ["a", "b"]
    assert "iVBOR" not in repr(EditImageForm(image="iVBOR", prompt="night", mask="iVBOR"))


@pytest.mark.parametrize("image", [[], ["a"] * 17])
def test_the_form_takes_one_to_sixteen_images(image: list[str]) -> None:
    """Another number of images does not validate."""
    with pytest.raises(ValueError, match="list of 1 to 16"):
        EditImageForm(image=image, prompt="night")
