"""The painter of the sandbox engines."""

import io
from typing import Any

import pytest
from PIL import Image, ImageDraw

from sandbox.engines.painter import NOTICE, paint


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def flat(size: tuple[int, int], colour: tuple[int, ...], mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, colour).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_size_and_format(format: str) -> None:
    """The image has the size and the format asked for."""
    image = opened(paint("a fox", 80, 48, format=format))

    assert (image.format, image.size) == (format, (80, 48))


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (16, 48), (48, 16), (1024, 16)])
def test_small_sizes(size: tuple[int, int]) -> None:
    """Even an image too small for words is painted."""
    assert opened(paint("a fox in the snow", *size)).size == size


def test_same_request_same_image() -> None:
    """The same prompt, size and seed give the same bytes."""
    assert paint("a fox", 64, 64, seed=3) == paint("a fox", 64, 64, seed=3)


@pytest.mark.parametrize("changed", [{"prompt": "an owl"}, {"seed": 4}])
def test_other_request_other_image(changed: dict[str, Any]) -> None:
    """Another prompt or seed gives another image."""
    requested: dict[str, Any] = {"prompt": "a fox", "width": 64, "height": 64, "seed": 3}

    assert paint(**requested) != paint(**{**requested, **changed})


def test_image_says_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """The prompt, and that no model painted it, is written on the image."""
    written: list[str] = []
    write = ImageDraw.ImageDraw.multiline_text

    def noted(draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, **options: Any) -> None:
        written.append(text)
        write(draw, place, text, **options)

    monkeypatch.setattr(ImageDraw.ImageDraw, "multiline_text", noted)

    paint("a fox", 256, 256)

    assert written == [f"a fox\n{NOTICE}"]


@pytest.mark.parametrize(("transparent", "mode"), [(True, "RGBA"), (False, "RGB")])
def test_transparency(mode: str, *, transparent: bool) -> None:
    """A transparent background is there only where it is asked for."""
    assert opened(paint("a fox", 64, 64, transparent=transparent)).mode == mode


def test_edit_keeps_the_ground() -> None:
    """An edit is painted on the first input, not beside it."""
    red = flat((64, 64), (255, 0, 0))

    colours = opened(paint("a fox", 256, 256, inputs=[red])).convert("RGB").getcolors(1 << 20)

    assert colours
    assert (255, 0, 0) in [colour for _, colour in colours]


def test_inputs_are_shown() -> None:
    """Each further input is to be seen on the image."""
    red, blue = flat((64, 64), (255, 0, 0)), flat((64, 64), (0, 0, 255))

    image = opened(paint("a fox", 256, 256, inputs=[red, blue]))

    assert image.getpixel((4 + 42 + 4 + 20, 20)) == (0, 0, 255)


def test_mask_protects_what_is_opaque() -> None:
    """Where the mask is opaque nothing changes, not even for the caption."""
    red, keep = flat((64, 64), (255, 0, 0)), flat((64, 64), (0, 0, 0, 255), "RGBA")

    assert opened(paint("a fox", 64, 64, inputs=[red], mask=keep)).getcolors() == [(64 * 64, (255, 0, 0))]


def test_mask_opens_what_is_transparent() -> None:
    """Where the mask is transparent the image changes."""
    red, change = flat((64, 64), (255, 0, 0)), flat((64, 64), (0, 0, 0, 0), "RGBA")

    assert opened(paint("a fox", 64, 64, inputs=[red], mask=change)).getcolors() != [(64 * 64, (255, 0, 0))]
