"""The size in an engine's request, from what the form and the configuration say."""

from typing import Any

import pytest

from image_gateway.engines.protocol import InputImage
from image_gateway.jobs.engine_request import build_engine_request, size_warnings
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import Size
from image_gateway.models.forms import CreateImageForm, EditImageForm
from image_gateway.routing.destination import Destination


def destination(**config: Any) -> Destination:
    return Destination(engine="openai", model="gpt-image-2", config=ImagesConfig(**config))


def form(**fields: Any) -> CreateImageForm:
    return CreateImageForm.model_validate({"prompt": "a fox", **fields})


@pytest.mark.parametrize("fields", [{"size": "16:9"}, {"aspect_ratio": "16:9"}, {"size": "1K", "aspect_ratio": "16:9"}])
def test_a_ratio_is_a_requested_size(fields: dict[str, str]) -> None:
    """Engines get pixels, and warn about the size if they have none."""
    request = build_engine_request(form(**fields), destination(), "job")

    assert (request.size, request.aspect_ratio, request.approximate_size) == (Size(1360, 768), "16:9", True)
    assert request.requested == {"prompt", "size"}


def test_a_size_in_pixels_is_exact() -> None:
    """It is sent as it is."""
    request = build_engine_request(form(size="640x384"), destination(IMAGE_SIZE="16:9"), "job")

    assert (request.size, request.aspect_ratio, request.approximate_size) == (Size(640, 384), None, False)


def test_a_configured_ratio_is_the_default() -> None:
    """It is none of the caller's fields."""
    request = build_engine_request(form(), destination(IMAGE_SIZE="3:2"), "job")

    assert (request.size, set(request.requested)) == (Size(1248, 832), {"prompt"})


def test_a_size_class_of_an_edit_has_the_shape_of_the_first_input() -> None:
    """The others do not count."""
    images = [InputImage(b"", "image/png", *size) for size in ((400, 300), (100, 900))]
    edit = EditImageForm(prompt="night", image=["a", "b"], size="1K")

    request = build_engine_request(edit, destination(), "job", images)

    assert (request.size, request.images) == (Size(1184, 880), tuple(images))


@pytest.mark.parametrize(
    ("fields", "warned"),
    [
        ({"size": "1024x1024", "aspect_ratio": "16:9"}, True),
        ({"size": "3:2", "aspect_ratio": "16:9"}, True),
        ({"size": "1376x768", "aspect_ratio": "16:9"}, False),
        ({"size": "16:9", "aspect_ratio": "16:9"}, False),
        ({"size": "2K", "aspect_ratio": "16:9"}, False),
        ({"size": "auto", "aspect_ratio": "16:9"}, False),
        ({"aspect_ratio": "16:9"}, False),
        ({"size": "1024x1024"}, False),
    ],
)
def test_a_ratio_beside_another_size_is_ignored_with_a_warning(fields: dict[str, str], *, warned: bool) -> None:
    """The size says more."""
    expected = [f"aspect_ratio was ignored: the size {fields.get('size')} has another one"] if warned else []

    assert size_warnings(form(**fields)) == expected
