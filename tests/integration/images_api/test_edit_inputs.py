"""The forms that an input of an edit can have."""

import base64
import io
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from PIL import ExifTags, Image

from tests.integration.image_server import ImageServer
from tests.integration.sample_images import GREEN, RED, SIDE, data_url, encoded, opened, text

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment
    from tests.integration.sandbox_engine import SandboxEngine


def received_input(engine: "SandboxEngine") -> Image.Image:
    """Return the input of the last edit as the engine received it."""
    return opened(engine.posted("/img2img")[-1]["init_images"][0])


ENCODINGS: dict[str, Callable[[bytes], str]] = {
    "data URL": data_url,
    "data URL of another type": lambda data: f"data:text/html;charset=utf-8;base64,{text(data)}",
    "base64": text,
    "base64 in lines": lambda data: base64.encodebytes(data).decode(),
    "URL-safe base64 without padding": lambda data: base64.urlsafe_b64encode(data).decode().rstrip("="),
}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_data_url_or_base64_of_any_variant_is_an_input(
    deployment: "Deployment", engine: "SandboxEngine", encoding: str
) -> None:
    """Data URLs and all variants of base64 are decoded."""
    assert deployment.edit(ENCODINGS[encoding](encoded(GREEN))).status == 200

    assert received_input(engine).getpixel((0, 0)) == GREEN


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "AVIF", "BMP", "TIFF", "MPO"])
def test_each_image_type_is_converted_to_png_or_jpeg(
    deployment: "Deployment", engine: "SandboxEngine", kind: str
) -> None:
    """Whatever the input's type, the engine receives a PNG or a JPEG that looks the same."""
    assert deployment.edit(text(encoded(RED, kind))).status == 200

    red, green, blue = received_input(engine).convert("RGB").getpixel((SIDE // 2, SIDE // 2))  # type: ignore[misc]  # RGB
    assert received_input(engine).format in ("PNG", "JPEG")
    assert red > 240
    assert green < 15 > blue


def test_a_photo_is_rotated_upright_and_loses_its_metadata(deployment: "Deployment", engine: "SandboxEngine") -> None:
    """The EXIF orientation is applied, and no metadata such as the GPS position reaches the engine."""
    photo = Image.new("RGB", (96, 64), RED)
    photo.paste(GREEN, (0, 0, 48, 64))
    exif = photo.getexif()
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (52.0, 31.0, 12.0)
    out = io.BytesIO()
    photo.save(out, "JPEG", exif=exif, quality=95)

    assert deployment.edit(text(out.getvalue())).status == 200

    upright = received_input(engine)
    assert upright.size == (64, 96)
    assert upright.getpixel((32, 8))[1] > 200  # type: ignore[index]  # RGB
    assert not upright.getexif()


def test_a_link_to_an_allowed_host_is_fetched(
    deployment: "Deployment", engine: "SandboxEngine", image_server: ImageServer
) -> None:
    """The operator's list allows a host that is not public."""
    deployment.allow_hosts(image_server.url)

    assert deployment.edit(f"{image_server.url}/green.png").status == 200

    assert received_input(engine).getpixel((0, 0)) == GREEN
    assert image_server.requested == ["/green.png"]


@pytest.mark.parametrize("reference", ["id", "url"])
@pytest.mark.parametrize("role", ["user", "admin"])
def test_an_earlier_output_image_is_an_input(
    deployment: "Deployment", engine: "SandboxEngine", role: str, reference: str
) -> None:
    """Its owner and an admin can use an output image by its id or by its presigned URL."""
    (first,) = deployment.edit(text(encoded(GREEN))).json

    response = deployment.edit(first[reference], role=role)

    assert response.status == 200, response.text
    assert received_input(engine).getpixel((6, 6)) == GREEN
    assert response.json[0]["id"] != first["id"]


@pytest.mark.parametrize(
    "extra", [{"zoom": "x" * 500_000}, {"zoom": "\ud800"}, {"x" * 100_000: 1}, {f"x{n}": n for n in range(5000)}]
)
def test_an_unknown_field_is_ignored_with_a_warning(
    deployment: "Deployment", engine: "SandboxEngine", extra: dict[str, Any]
) -> None:
    """Whatever an unknown field contains, the image is made, and a warning names the field."""
    form = {"prompt": "a hat", "image": text(encoded()), **extra}
    raw = json.dumps(form).encode()

    response = deployment.call("POST", "/api/v1/images/edit", raw=raw, role="user")

    assert response.status == 200, response.text
    assert "is not a field of this request" in response.json[0]["warnings"][0]
    assert len(deployment.jobs()[0].model_dump_json()) < 20_000
