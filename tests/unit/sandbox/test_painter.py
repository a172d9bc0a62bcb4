"""The painter of the sandbox engines."""

import io
from typing import Any

import pytest
from PIL import Image, ImageDraw

from sandbox.engines.painter import NOTICE, paint


def decode(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


def plain_image(size: tuple[int, int], color: tuple[int, ...], mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, color).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_the_image_has_the_requested_size_and_format(format: str) -> None:
    """All three formats are supported."""
    image = decode(paint("a fox", 80, 48, format=format))

    assert (image.format, image.size) == (format, (80, 48))


@pytest.mark.parametrize("size", [(1, 1), (16, 16), (16, 48), (48, 16), (1024, 16)])
def test_small_images_are_painted(size: tuple[int, int]) -> None:
    """The caption may not fit."""
    assert decode(paint("a fox in the snow", *size)).size == size


def test_equal_arguments_give_the_same_image() -> None:
    """Prompt, size and seed are equal."""
    assert paint("a fox", 64, 64, seed=3) == paint("a fox", 64, 64, seed=3)


@pytest.mark.parametrize("changed", [{"prompt": "an owl"}, {"seed": 4}])
def test_another_prompt_or_seed_gives_another_image(changed: dict[str, Any]) -> None:
    """The rest is equal."""
    arguments: dict[str, Any] = {"prompt": "a fox", "width": 64, "height": 64, "seed": 3}

    assert paint(**arguments) != paint(**{**arguments, **changed})


def test_the_caption_has_the_prompt_and_a_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The notice says that no model made the image."""
    written: list[str] = []
    write = ImageDraw.ImageDraw.multiline_text

    def noted(draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, **options: Any) -> None:
        written.append(text)
        write(draw, place, text, **options)

    monkeypatch.setattr(ImageDraw.ImageDraw, "multiline_text", noted)

    paint("a fox", 256, 256)

    assert written == [f"a fox\n{NOTICE}"]


@pytest.mark.parametrize(("transparent", "mode"), [(True, "RGBA"), (False, "RGB")])
def test_the_background_is_transparent_only_if_requested(mode: str, *, transparent: bool) -> None:
    """The mode of the image shows it."""
    assert decode(paint("a fox", 64, 64, transparent=transparent)).mode == mode


def test_an_edit_is_painted_on_the_first_input() -> None:
    """Its color is still visible."""
    red = plain_image((64, 64), (255, 0, 0))

    colors = decode(paint("a fox", 256, 256, inputs=[red])).convert("RGB").getcolors(1 << 20)

    assert colors
    assert (255, 0, 0) in [color for _, color in colors]


def test_further_inputs_are_shown() -> None:
    """Each has a thumbnail on the image."""
    red, blue = plain_image((64, 64), (255, 0, 0)), plain_image((64, 64), (0, 0, 255))

    image = decode(paint("a fox", 256, 256, inputs=[red, blue]))

    assert image.getpixel((4 + 42 + 4 + 20, 20)) == (0, 0, 255)


def test_opaque_pixels_of_the_mask_do_not_change() -> None:
    """Not even the caption is written there."""
    red, keep = plain_image((64, 64), (255, 0, 0)), plain_image((64, 64), (0, 0, 0, 255), "RGBA")

    assert decode(paint("a fox", 64, 64, inputs=[red], mask=keep)).getcolors() == [(64 * 64, (255, 0, 0))]


def test_transparent_pixels_of_the_mask_may_change() -> None:
    """The image changes there."""
    red, change = plain_image((64, 64), (255, 0, 0)), plain_image((64, 64), (0, 0, 0, 0), "RGBA")

    assert decode(paint("a fox", 64, 64, inputs=[red], mask=change)).getcolors() != [(64 * 64, (255, 0, 0))]
