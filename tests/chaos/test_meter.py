"""The meter recognizes images by their pixels."""

import io

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.chaos.meter import digest, marker_in


def png(color: tuple[int, int, int], text: str = "") -> bytes:
    out, metadata = io.BytesIO(), PngInfo()
    metadata.add_text("comment", text)
    Image.new("RGB", (64, 64), color).save(out, "PNG", pnginfo=metadata)
    return out.getvalue()


def test_metadata_do_not_change_a_digest() -> None:
    """The gateway adds some to the images that it stores."""
    assert digest(png((1, 2, 3))) == digest(png((1, 2, 3), "made by AI"))


def test_other_pixels_have_another_digest() -> None:
    """No two images of a run are the same."""
    assert digest(png((1, 2, 3))) != digest(png((1, 2, 4)))


def test_the_marker_of_a_request_is_found_in_a_longer_text() -> None:
    """It is a part of the prompt, which is a part of the request."""
    assert marker_in('{"prompt": "chaos-12 a fox"}') == "chaos-12"
    assert marker_in("a fox") == ""
