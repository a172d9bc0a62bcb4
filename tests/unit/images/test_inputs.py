"""Input images from URLs, ids and inline data."""

import asyncio

import pytest

from image_gateway.errors import InvalidImage, NotFound
from image_gateway.images.inputs import ImageInputs
from tests.unit.images.input_sources import (
    BASE64_PNG,
    BUCKET_URL,
    IMAGE_ID,
    MASK_URL,
    OTHER_OWNER,
    OWNER,
    PNG,
    UPLOAD_ID,
    FakeStoredImages,
    FakeWeb,
    data_url,
    png,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("url", ["http://images.example/1.png", " HTTPS://images.example/a,b;base64,c\n"])
async def test_a_url_is_fetched(url: str, inputs: ImageInputs, web: FakeWeb) -> None:
    """An http(s) URL is fetched unchanged, without the whitespace around it."""
    web.responses[url.strip()] = PNG

    (image,), _ = await inputs.resolve(url, None, OWNER)

    assert image.width == 3
    assert web.fetched_urls == [url.strip()]


@pytest.mark.parametrize(
    ("text", "reference"),
    [
        (IMAGE_ID, IMAGE_ID),
        (f" {IMAGE_ID.upper()}\n", IMAGE_ID),
        (UPLOAD_ID, UPLOAD_ID),
        (f"{BUCKET_URL}images/2026/01/01/x/0.png?X-Amz-Signature=abc", IMAGE_ID),
    ],
)
async def test_an_id_or_presigned_url_is_read_from_the_bucket(
    text: str, reference: str, inputs: ImageInputs, stored: FakeStoredImages, web: FakeWeb
) -> None:
    """A presigned URL of this deployment is not fetched over HTTP."""
    (image,), _ = await inputs.resolve(text, None, OWNER)

    assert image.width == 5
    assert stored.read_ids == [reference]
    assert web.fetched_urls == []


@pytest.mark.parametrize("text", [IMAGE_ID, UPLOAD_ID, f"{BUCKET_URL}images/2026/01/01/x/0.png"])
async def test_an_image_of_another_owner_is_not_found(text: str, inputs: ImageInputs, web: FakeWeb) -> None:
    """The error is the same as for an unknown id, and the URL is not fetched either."""
    with pytest.raises(NotFound) as caught:
        await inputs.resolve([IMAGE_ID.replace("0", "1"), text], None, OTHER_OWNER)

    assert caught.value.field in ("image[0]", "image[1]")
    assert web.fetched_urls == []


async def test_sixteen_images_are_resolved_concurrently_in_order(inputs: ImageInputs, web: FakeWeb) -> None:
    """The images have the order of the strings, whatever their sources and however long a fetch takes."""
    texts: list[str] = []
    for width in range(1, 17):
        url = f"http://images.example/{'1' * (17 - width)}"
        web.responses[url] = png(width)
        texts.append(url if width % 4 in (1, 2) else data_url(png(width)))

    images, _ = await inputs.resolve(texts, None, OWNER)

    assert [image.width for image in images] == list(range(1, 17))
    assert web.max_concurrent > 1


async def test_an_edit_with_many_images_leaves_turns_to_others(web: FakeWeb, inputs: ImageInputs) -> None:
    """An image of another edit of the same worker does not wait for all sixteen."""
    many, one = [f"http://images.example/many/{number}" for number in range(16)], "http://images.example/one"
    web.responses.update({url: png(3) for url in [*many, one]})

    await asyncio.gather(inputs.resolve(many, None, OWNER), inputs.resolve(one, None, OTHER_OWNER))

    assert web.fetched_urls.index(one) < 4


async def test_a_mask_must_have_the_size_of_the_first_image(inputs: ImageInputs) -> None:
    """The other images can have any size."""
    images, mask = await inputs.resolve([BASE64_PNG, data_url(png(9, 9))], MASK_URL, OWNER)
    assert len(images) == 2
    assert mask is not None
    assert (mask.width, mask.height) == (3, 2)

    with pytest.raises(InvalidImage, match="3x2 and the first image 9x9") as caught:
        await inputs.resolve([data_url(png(9, 9)), BASE64_PNG], MASK_URL, OWNER)
    assert caught.value.field == "mask"


@pytest.mark.parametrize(
    "url",
    [
        f"https://gateway.example/api/v1/images/{IMAGE_ID}",
        f" HTTPS://Gateway.example/stage/api/v1/images/{IMAGE_ID.upper()}?x=1",
        f"http://gateway.example/api/v1/images/{IMAGE_ID}",
    ],
)
async def test_the_address_of_an_image_on_the_gateway_is_its_id(
    inputs: ImageInputs, stored: FakeStoredImages, web: FakeWeb, url: str
) -> None:
    """The manual calls it the address to keep. It is not fetched, because the gateway's token is not sent anywhere."""
    (image,), mask = await inputs.resolve([url], None, OWNER, own_host="gateway.example")

    assert (image.width, mask) == (5, None)
    assert web.fetched_urls == []


@pytest.mark.parametrize(
    "url",
    [
        f"https://other.example/api/v1/images/{IMAGE_ID}",
        f"https://gateway.example.other/api/v1/images/{IMAGE_ID}",
        f"https://gateway.example/elsewhere/{IMAGE_ID}",
        "https://gateway.example/api/v1/images/photo.png",
    ],
)
async def test_other_addresses_are_fetched(inputs: ImageInputs, web: FakeWeb, url: str) -> None:
    """Only the request's own host is the gateway."""
    web.responses[url] = PNG

    await inputs.resolve(url, None, OWNER, own_host="gateway.example")

    assert web.fetched_urls == [url]


async def test_the_address_of_another_owners_image_is_not_found(inputs: ImageInputs) -> None:
    """The address gives no more rights than the id."""
    url = f"https://gateway.example/api/v1/images/{IMAGE_ID}"

    with pytest.raises(NotFound):
        await inputs.resolve(url, None, OTHER_OWNER, own_host="gateway.example")
