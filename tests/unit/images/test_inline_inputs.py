"""Data URLs and base64, in every form that clients send."""

import asyncio
import base64
import io
import random
import textwrap
import tracemalloc
from contextlib import suppress
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from image_gateway.errors import InvalidImage, InvalidUrl
from image_gateway.images.decoding.decoder import Decoder
from image_gateway.images.inputs import ImageInputs
from tests.unit.images.input_sources import BASE64_PNG, OWNER, PNG, FakeStoredImages, FakeWeb, png

URL_SAFE_PNG = base64.urlsafe_b64encode(PNG).decode()
FORMS = {
    "data URL": f"data:image/png;base64,{BASE64_PNG}",
    "upper case": f"DATA:IMAGE/PNG;BASE64,{BASE64_PNG}",
    "no media type": f"data:;base64,{BASE64_PNG}",
    "wrong media type": f"data:text/html;base64,{BASE64_PNG}",
    "parameters": f'data:image/png;charset=utf-8;name="a b.png";base64,{BASE64_PNG}',
    "spaces": f"  data: image/png ; base64 , {BASE64_PNG} \n",
    "line breaks": "data:image/png;base64,\r\n" + "\r\n".join(textwrap.wrap(BASE64_PNG, 20)),
    "percent-encoded base64": f"data:image/png;base64,{quote(BASE64_PNG, safe='')}",
    "percent-encoded line breaks": "data:image/png;base64," + "%0D%0A".join(textwrap.wrap(BASE64_PNG, 20)),
    "URL-safe in a data URL": f"data:image/png;base64,{URL_SAFE_PNG}",
    "no padding in a data URL": f"data:image/png;base64,{BASE64_PNG.rstrip('=')}",
    "percent-encoded bytes": f"data:image/png,{quote(PNG, safe='')}",
    "percent-encoded bytes, no type": f"data:,{quote(PNG)}",
    "base64": BASE64_PNG,
    "base64 without padding": BASE64_PNG.rstrip("="),
    "URL-safe base64": URL_SAFE_PNG,
    "URL-safe base64 without padding": URL_SAFE_PNG.rstrip("="),
    "base64 in lines": "\n".join(textwrap.wrap(BASE64_PNG, 20)),
}


@pytest.mark.anyio
@pytest.mark.parametrize("form", FORMS)
async def test_inline_data_in_any_form_is_decoded(form: str, inputs: ImageInputs, web: FakeWeb) -> None:
    """Nothing is fetched for data URLs and base64."""
    (image,), mask = await inputs.resolve(FORMS[form], None, OWNER)

    assert (image.width, image.height, image.content_type) == (3, 2, "image/png")
    assert mask is None
    assert web.fetched_urls == []


SHORT_PIECES = {
    "base64": lambda: "QQ " * 400_000,
    "base64 in lines of one letter": lambda: "Q\n" * 600_000,
    "base64 with other spaces": lambda: "Q\u2003" * 300_000,
    "escapes": lambda: "data:," + "%41" * 300_000,
    "escaped base64": lambda: "data:;base64," + "%51" * 300_000,
}


@pytest.mark.anyio
@pytest.mark.parametrize("name", SHORT_PIECES)
async def test_text_of_short_pieces_takes_little_memory(name: str, inputs: ImageInputs) -> None:
    """A text of 32 MB in a request file would otherwise take a gigabyte of the worker, whatever it contains."""
    text = SHORT_PIECES[name]()
    tracemalloc.start()
    try:
        with suppress(InvalidImage):
            await inputs.resolve(text, None, OWNER)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 4 * len(text.encode()) + 3_000_000


@pytest.mark.anyio
async def test_a_long_data_url_with_escapes_is_unquoted(inputs: ImageInputs) -> None:
    """It is unquoted in parts, between two escapes."""
    noise = Image.frombytes("L", (600, 600), random.Random(7).randbytes(360_000))
    out = io.BytesIO()
    noise.save(out, "PNG")

    (image,), _ = await inputs.resolve(f"data:image/png,{quote(out.getvalue(), safe='')}", None, OWNER)

    assert Image.open(io.BytesIO(image.data)).convert("L").tobytes() == noise.tobytes()


def resolved_width(text: str) -> int:
    """Resolve a string in an event loop of its own, and return the width of the image."""
    images, _ = asyncio.run(ImageInputs(FakeWeb().fetch, FakeStoredImages(), Decoder()).resolve(text, None, OWNER))
    return images[0].width


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=80))
def test_arbitrary_text_is_an_error_with_the_field(text: str) -> None:
    """No text causes any other exception."""
    with pytest.raises((InvalidImage, InvalidUrl)) as caught:
        resolved_width(text)

    assert caught.value.field == "image"


@settings(max_examples=150, deadline=None)
@given(header=st.text(max_size=20), data=st.text(max_size=40), marker=st.sampled_from(["", ";base64", "; BASE64 "]))
def test_an_arbitrary_data_url_causes_no_other_exception(header: str, data: str, marker: str) -> None:
    """It is an image or `InvalidImage`."""
    with suppress(InvalidImage):
        resolved_width(f"data:{header}{marker},{data}")


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 40),
    url_safe=st.booleans(),
    padded=st.booleans(),
    line=st.integers(4, 200),
    prefix=st.sampled_from(["", "data:;base64,", "Data:image/PNG;charset=x;Base64,"]),
    escaped=st.booleans(),
)
def test_base64_of_any_form_is_decoded_to_the_same_bytes(
    width: int, *, url_safe: bool, padded: bool, line: int, prefix: str, escaped: bool
) -> None:
    """The alphabet, padding, line length and percent-encoding can vary."""
    data = png(width)
    text = (base64.urlsafe_b64encode if url_safe else base64.b64encode)(data).decode()
    text = "\n".join(textwrap.wrap(text if padded else text.rstrip("="), line))

    assert resolved_width(prefix + (quote(text, safe="") if escaped and prefix else text)) == width


@settings(max_examples=60, deadline=None)
@given(width=st.integers(1, 40), safe=st.sampled_from(["", "/+;,:@", "~!*()"]))
def test_percent_encoded_bytes_are_decoded(width: int, safe: str) -> None:
    """A data URL without base64 is decoded to the bytes that were encoded."""
    assert resolved_width(f"data:image/png,{quote(png(width), safe=safe)}") == width
