"""Images as base64 in JSON."""

import base64
import tracemalloc

import pytest

from image_gateway.engines.base64_images import decode_base64
from image_gateway.errors import EngineUnavailable

BYTES = bytes(range(70))
TEXT = base64.b64encode(BYTES).decode()


@pytest.mark.parametrize(
    "text",
    [TEXT, f"data:image/png;base64,{TEXT}", base64.encodebytes(BYTES).decode(), f" {TEXT}\r\n"],
    ids=["bare", "data URL", "lines", "spaces around"],
)
def test_base64_is_decoded_in_every_form(text: str) -> None:
    """It may be plain, a data URL, or have line breaks."""
    assert decode_base64(text, "engine") == BYTES


@pytest.mark.parametrize(
    "text",
    [
        None,
        5,
        "",
        "data:image/png;base64,",
        TEXT[:-1],
        TEXT[:-3],
        "<html>not an image</html>",
        "é" * 8,
        f"{TEXT}{TEXT}",
    ],
)
def test_invalid_base64_is_unavailable(text: object) -> None:
    """Invalid or truncated base64 is the engine's failure; the image was paid for."""
    with pytest.raises(EngineUnavailable, match="engine returned an image that is not valid base64") as error:
        decode_base64(text, "engine")
    assert error.value.may_have_cost


def test_line_breaks_are_removed_without_a_text_for_each_line() -> None:
    """With very short lines, these texts would take many times the memory of the whole."""
    text = "QUJD\n" * 100_000
    tracemalloc.start()
    try:
        data = decode_base64(text, "engine")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert data == b"ABC" * 100_000
    assert peak < 4 * len(text)
