"""Images inside JSON."""

import base64

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
def test_decodes(text: str) -> None:
    """Base64 is read bare, as a data URL, and broken into lines."""
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
def test_refuses(text: object) -> None:
    """Whatever is no base64, or is cut off, is the engine's failure, paid for all the same."""
    with pytest.raises(EngineUnavailable, match="engine returned an image that is not valid base64") as error:
        decode_base64(text, "engine")
    assert error.value.may_have_cost
