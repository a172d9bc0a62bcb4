"""Sizes as people write them, and the pixels that they become."""

import pytest
from pydantic import ValidationError

from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import Size
from image_gateway.models.forms import CreateImageForm, EditImageForm
from image_gateway.models.openai import ImageGenerateParams
from image_gateway.models.sizes import WantedSize, fitting, has_proportion, wanted_size


def near(width: int, height: int, ratio: str | None = None) -> WantedSize:
    """A size that was calculated from a ratio or a class."""
    return WantedSize(Size(width, height), aspect_ratio=ratio, is_approximate=True)


@pytest.mark.parametrize(
    ("text", "usual"),
    [
        ("1024x1024", "1024x1024"),
        ("1024*768", "1024x768"),
        ("1024\u00d7768", "1024x768"),
        ("1024 X 768", "1024x768"),
        ("1024 x 768 px", "1024x768"),
        ("16:9", "16:9"),
        (" 16 : 9 ", "16:9"),
        ("16/9", "16:9"),
        ("1.91:1", "1.91:1"),
        ("2k", "2K"),
        ("4K", "4K"),
        ("AUTO", "auto"),
        ("", ""),
    ],
)
def test_a_size_may_be_written_in_many_ways(text: str, usual: str) -> None:
    """In requests of both channels and in the configuration."""
    for form in (CreateImageForm, ImageGenerateParams):
        assert form.model_validate({"prompt": "a fox", "size": text}).size == usual
    config = ImagesConfig(IMAGE_SIZE=text, IMAGE_EDIT_SIZE=text)
    sizes = config.model_dump(include={"IMAGE_SIZE", "IMAGE_EDIT_SIZE"})
    assert set(sizes.values()) == {usual}


@pytest.mark.parametrize(
    "text", ["big", "3K", "16:0", "0:9", "99:1", "16:9:1", "16:", "1e3x5", "\uff116:9", "1024x", "x*x"]
)
def test_another_size_is_refused(text: str) -> None:
    """The error is the one of sizes, and says which forms there are."""
    with pytest.raises(ValidationError) as caught:
        CreateImageForm(prompt="a fox", size=text)

    assert caught.value.errors()[0]["type"] == "invalid_size"


@pytest.mark.parametrize("ratio", ["16:9", " 16 / 9 ", "1:1"])
def test_an_aspect_ratio_is_a_field_of_its_own(ratio: str) -> None:
    """As with other APIs, for generations and edits."""
    usual = ratio.replace(" ", "").replace("/", ":")

    assert CreateImageForm(prompt="a fox", aspect_ratio=ratio).aspect_ratio == usual
    assert EditImageForm(prompt="night", image="a", aspect_ratio=ratio).aspect_ratio == usual


@pytest.mark.parametrize("ratio", ["wide", "16x9", "2K", "17:1", ""])
def test_another_aspect_ratio_is_refused(ratio: str) -> None:
    """The error names the field."""
    with pytest.raises(ValidationError) as caught:
        CreateImageForm(prompt="a fox", aspect_ratio=ratio)

    assert [error["loc"] for error in caught.value.errors()] == [("aspect_ratio",)]


@pytest.mark.parametrize(
    ("size", "ratio", "default", "wanted"),
    [
        ("640x384", None, "512x512", WantedSize(Size(640, 384))),
        (None, None, "512x512", WantedSize(Size(512, 512))),
        (None, None, "", WantedSize(None)),
        ("auto", None, "512x512", WantedSize(None, auto=True)),
        ("16:9", None, "", near(1360, 768, "16:9")),
        (None, "16:9", "", near(1360, 768, "16:9")),
        ("auto", "16:9", "", near(1360, 768, "16:9")),
        (None, "16:9", "512x512", near(688, 384, "16:9")),
        (None, "9:16", "2K", near(1536, 2736, "9:16")),
        ("2K", "16:9", "512x512", near(2736, 1536, "16:9")),
        ("2K", None, "", near(2048, 2048)),
        ("2K", None, "640x320", near(2896, 1456)),
        ("640x384", "16:9", "", WantedSize(Size(640, 384))),
        ("3:2", "16:9", "", near(1248, 832, "3:2")),
        (None, None, "3:2", near(1248, 832, "3:2")),
        (None, "1:1", "3:2", near(1024, 1024, "1:1")),
    ],
)
def test_ratio_and_class_become_pixels(size: str | None, ratio: str | None, default: str, wanted: WantedSize) -> None:
    """The area is that of the class, else of the configured size, else of 1K; sides are multiples of 16."""
    assert wanted_size(size, ratio, default, None) == wanted


def test_a_class_of_an_edit_keeps_the_inputs_shape() -> None:
    """Only the ratio of the first input counts."""
    assert wanted_size("1K", None, "", Size(4000, 3000)).size == Size(1184, 880)


@pytest.mark.parametrize("ratio", ["1:1", "16:9", "9:16", "21:9", "3:1", "4:5"])
@pytest.mark.parametrize("name", ["1K", "2K", "4K"])
def test_the_pixels_have_the_ratio(ratio: str, name: str) -> None:
    """Also after they were reduced to what OpenAI's models make."""
    size = wanted_size(name, ratio, "", None).size

    assert size
    assert has_proportion(size, ratio)
    reduced = fitting(size, 3840, 2160)
    assert has_proportion(reduced, ratio)
    assert max(reduced.width, reduced.height) <= 3840
    assert min(reduced.width, reduced.height) <= 2160
