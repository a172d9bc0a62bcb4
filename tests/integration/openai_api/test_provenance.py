"""What is stored and returned says that AI made it, and keeps what the engine says about that."""

import base64
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from image_gateway.api import WARNINGS_HEADER
from image_gateway.images.provenance import own_mark
from tests import web
from tests.aws_clients import aws_client
from tests.integration.sample_images import RED, encoded, opened, text
from tests.unit.images.crafted_png import png_chunk
from tests.unit.images.sound_pngs import with_chunks

if TYPE_CHECKING:
    from tests.integration.deployment import ApiResponse, Deployment

UseImage = Callable[[bytes], None]
GENERATED, EDITED = b"/trainedAlgorithmicMedia<", b"/compositeWithTrainedAlgorithmicMedia<"
PROMPT = "a planted prompt"


def with_c2pa() -> bytes:
    """Return a PNG with a manifest, as OpenAI's models make it."""
    return with_chunks(encoded(), png_chunk(b"caBX", b"\0\0\0\x10jumb\0\0\0\x08jumd"))


def generate(deployment: "Deployment", **fields: Any) -> "ApiResponse":
    """Send a generation that succeeds."""
    response = deployment.call("POST", "/v1/images/generations", {"prompt": PROMPT, **fields}, role="user")
    assert response.status == 200, response.text
    return response


def returned(response: "ApiResponse") -> bytes:
    """Return the encoded image of a response."""
    return base64.b64decode(response.json["data"][0]["b64_json"])


def stored(deployment: "Deployment") -> bytes:
    """Return the only stored image."""
    (key,) = deployment.stored()
    return aws_client("s3").get_object(Bucket=deployment.gateway.settings.bucket, Key=key)["Body"].read()


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_a_generated_image_is_marked(deployment: "Deployment", use_image: UseImage, format: str) -> None:
    """The response and the bucket have the same bytes, with the engine's pixels and without the prompt."""
    use_image(encoded(format=format))

    response = generate(deployment, model="gpt-image-2")

    data = returned(response)
    assert data == stored(deployment)
    assert GENERATED in data
    assert b"openai/gpt-image-2" in data
    assert PROMPT.encode() not in data
    assert opened(data).tobytes() == opened(encoded(format=format)).tobytes()
    assert WARNINGS_HEADER not in response.headers
    assert deployment.jobs()[0].images[0].size == len(data)


def test_an_edited_image_is_marked_as_an_edit(deployment: "Deployment", use_image: UseImage) -> None:
    """It consists of another image and of what AI made."""
    use_image(encoded())

    response = deployment.edit(text(encoded(RED)))

    assert EDITED in web.get(response.json[0]["url"]).content


@pytest.mark.parametrize("provenance", ["mark", "keep", "off"])
def test_an_image_that_the_engine_marked_is_stored_as_it_is(
    deployment: "Deployment", use_image: UseImage, provenance: str
) -> None:
    """Its signature stays valid."""
    use_image(with_c2pa())
    deployment.configure(IMAGE_PROVENANCE=provenance)

    response = generate(deployment)

    assert returned(response) == stored(deployment) == with_c2pa()
    assert WARNINGS_HEADER not in response.headers


@pytest.mark.parametrize("provenance", ["keep", "off"])
def test_without_mark_nothing_is_added(deployment: "Deployment", use_image: UseImage, provenance: str) -> None:
    """The engine's bytes are stored unchanged."""
    use_image(encoded())
    deployment.configure(IMAGE_PROVENANCE=provenance)

    assert returned(generate(deployment)) == stored(deployment) == encoded()


@pytest.mark.parametrize(("provenance", "has_warning"), [("mark", True), ("keep", True), ("off", False)])
def test_a_conversion_that_removes_the_engines_mark_has_a_warning(
    deployment: "Deployment", use_image: UseImage, provenance: str, *, has_warning: bool
) -> None:
    """With `mark`, the converted image gets the gateway's mark instead."""
    use_image(with_c2pa())
    deployment.configure(IMAGE_PROVENANCE=provenance)

    response = generate(deployment, output_format="webp")

    assert ("(C2PA)" in response.headers.get(WARNINGS_HEADER, "")) is has_warning
    assert own_mark(returned(response)) == ("IPTC" if provenance == "mark" else None)


def test_an_image_that_cannot_be_marked_is_stored_with_a_warning(deployment: "Deployment", use_image: UseImage) -> None:
    """It was paid for."""
    data = encoded(format="JPEG", xmp=b"nothing that can be read")
    use_image(data)

    response = generate(deployment)

    assert returned(response) == data
    assert "not marked as made by AI: its XMP cannot be read" in response.headers[WARNINGS_HEADER]


def test_only_the_three_values_are_valid(deployment: "Deployment") -> None:
    """The configuration of a new deployment marks images."""
    read = deployment.call("GET", "/api/v1/images/config").json
    response = deployment.call("POST", "/api/v1/images/config/update", {"IMAGE_PROVENANCE": "sign"})

    assert read["IMAGE_PROVENANCE"] == "mark"
    assert response.status == 422


def test_a_jpeg_without_its_end_is_stored_with_it(deployment: "Deployment", use_image: UseImage) -> None:
    """No pixel is missing."""
    data = encoded(format="JPEG")
    deployment.configure(IMAGE_PROVENANCE="keep")
    use_image(data[:-2])

    assert returned(generate(deployment)) == data


def test_a_jpeg_without_its_last_rows_is_refused(deployment: "Deployment", use_image: UseImage) -> None:
    """The error says that the engine's image is truncated, and that it may have been paid for."""
    data = encoded(format="JPEG")
    use_image(data[:-20])

    response = deployment.call("POST", "/v1/images/generations", {"prompt": PROMPT}, role="user")

    assert (response.status, response.headers["x-should-retry"]) == (502, "false")
    assert "the image is truncated" in response.json["error"]["message"]
