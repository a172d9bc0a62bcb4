"""Errors of input images: each has the name of its field."""

import pytest

from image_gateway.errors import GatewayError, InvalidImage, InvalidUrl, NotFound, TooLarge
from image_gateway.images.inputs import ImageInputs
from image_gateway.net.public_fetch import MAX_BYTES
from tests.unit.images.input_sources import (
    BASE64_PNG,
    BUCKET_URL,
    IMAGE_ID,
    MASK_URL,
    OWNER,
    UNKNOWN_ID,
    FakeStoredImages,
    FakeWeb,
    data_url,
)

pytestmark = pytest.mark.anyio


async def test_the_error_for_an_unknown_id_has_the_id(inputs: ImageInputs) -> None:
    """The caller learns which id, in which field."""
    with pytest.raises(NotFound, match=UNKNOWN_ID) as caught:
        await inputs.resolve(IMAGE_ID, UNKNOWN_ID, OWNER)

    assert caught.value.field == "mask"


async def test_other_objects_in_the_bucket_are_not_found(inputs: ImageInputs, web: FakeWeb) -> None:
    """A URL of the bucket that is not one of an image is an error before anything is read or fetched."""
    with pytest.raises(NotFound) as caught:
        await inputs.resolve(["http://images.example/", f"{BUCKET_URL}config/1.json"], None, OWNER)

    assert caught.value.field == "image[1]"
    assert web.fetched_urls == []


async def test_the_error_for_a_stored_input_that_is_too_large_has_its_field(inputs: ImageInputs) -> None:
    """The store itself does not know the field."""
    with pytest.raises(TooLarge) as caught:
        await inputs.resolve([IMAGE_ID, IMAGE_ID + "99"], None, OWNER)

    assert caught.value.field == "image[1]"


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
async def test_any_other_text_is_an_error_with_its_field(
    text: str, error: type[GatewayError], inputs: ImageInputs
) -> None:
    """It has none of the accepted forms, or its data is not an image."""
    with pytest.raises(error) as caught:
        await inputs.resolve([BASE64_PNG, text], None, OWNER)

    assert caught.value.field == "image[1]"


@pytest.mark.parametrize("malformed", ["data:image/png;base64,!", "ftp://images.example/", "", "?"])
async def test_nothing_is_fetched_if_any_string_is_malformed(
    malformed: str, inputs: ImageInputs, web: FakeWeb, stored: FakeStoredImages
) -> None:
    """All strings, including the mask's, are parsed before the first request."""
    for image, mask in (
        ([IMAGE_ID, "http://images.example/", malformed], None),
        ("http://images.example/", malformed),
    ):
        with pytest.raises((InvalidImage, InvalidUrl)):
            await inputs.resolve(image, mask, OWNER)

    assert web.fetched_urls == []
    assert stored.read_ids == []


@pytest.mark.parametrize("count", [0, 17])
async def test_an_edit_without_images_or_with_over_sixteen_is_an_error(count: int, inputs: ImageInputs) -> None:
    """The field is the list itself."""
    with pytest.raises(InvalidImage, match="1 to 16") as caught:
        await inputs.resolve([BASE64_PNG] * count, None, OWNER)

    assert caught.value.field == "image"


async def test_the_error_of_a_failed_fetch_has_its_field(inputs: ImageInputs, web: FakeWeb) -> None:
    """It also cancels the other fetches."""
    texts = ["http://images.example/" + "1" * 500, "http://images.example/gone", BASE64_PNG]

    with pytest.raises(InvalidUrl) as caught:
        await inputs.resolve(texts, None, OWNER)

    assert caught.value.field == "image[1]"
    assert web.concurrent == 1


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("A" * (MAX_BYTES * 4 // 3 + 8), "image"),
        ("data:;base64," + "A" * (MAX_BYTES * 4 // 3 + 8), "image"),
        ("data:," + "A" * (MAX_BYTES + 1), "image"),
    ],
    ids=["base64", "data URL", "percent-encoded"],
)
async def test_inline_data_over_fifty_megabytes_is_too_large(text: str, field: str, inputs: ImageInputs) -> None:
    """The limit for fetched images also applies to inline data."""
    with pytest.raises(TooLarge, match="50 MB") as caught:
        await inputs.resolve(text, None, OWNER)

    assert caught.value.field == field


async def test_the_total_size_of_the_images_is_limited(inputs: ImageInputs, monkeypatch: pytest.MonkeyPatch) -> None:
    """All images of an edit must fit into memory together."""
    monkeypatch.setattr("image_gateway.images.inputs.MAX_TOTAL_BYTES", 200)

    with pytest.raises(TooLarge, match="together") as caught:
        await inputs.resolve([BASE64_PNG] * 4, None, OWNER)

    assert caught.value.field == "image"


async def test_the_error_of_the_first_image_precedes_that_of_its_mask(inputs: ImageInputs) -> None:
    """The mask cannot be checked without the image."""
    with pytest.raises(InvalidImage) as caught:
        await inputs.resolve("AAAA", MASK_URL, OWNER)

    assert caught.value.field == "image"
