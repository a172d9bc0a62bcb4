"""The forms that an input of an edit can have."""

import base64
import io
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from PIL import ExifTags, Image

from tests.integration.images_api.image_server import ImageServer
from tests.integration.sample_images import GREEN, RED, SIDE, data_url, encoded, opened, text

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment
    from tests.integration.sandbox_engine import SandboxEngine


def given(engine: "SandboxEngine") -> Image.Image:
    """The input of the last edit, as the engine got it."""
    return opened(engine.requested("/img2img")[-1]["init_images"][0])


SPELLINGS: dict[str, Callable[[bytes], str]] = {
    "data URL": data_url,
    "data URL of another type": lambda data: f"data:text/html;charset=utf-8;base64,{text(data)}",
    "base64": text,
    "base64 in lines": lambda data: base64.encodebytes(data).decode(),
    "URL-safe base64 without padding": lambda data: base64.urlsafe_b64encode(data).decode().rstrip("="),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_an_image_in_the_request_is_read(deployment: "Deployment", engine: "SandboxEngine", spelling: str) -> None:
    """Data URLs and base64 of any spelling give the image."""
    assert deployment.edit(SPELLINGS[spelling](encoded(GREEN))).status == 200

    assert given(engine).getpixel((0, 0)) == GREEN


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "AVIF", "BMP", "TIFF", "MPO"])
def test_each_type_of_image_is_read(deployment: "Deployment", engine: "SandboxEngine", kind: str) -> None:
    """Whatever its type, the engine gets a PNG or a JPEG that looks the same."""
    assert deployment.edit(text(encoded(RED, kind))).status == 200

    red, green, blue = given(engine).convert("RGB").getpixel((SIDE // 2, SIDE // 2))  # type: ignore[misc]  # RGB
    assert given(engine).format in ("PNG", "JPEG")
    assert red > 240
    assert green < 15 > blue


def test_a_phones_photo_comes_upright_and_without_its_place(deployment: "Deployment", engine: "SandboxEngine") -> None:
    """The orientation is applied, and nothing of the metadata is sent on."""
    photo = Image.new("RGB", (96, 64), RED)
    photo.paste(GREEN, (0, 0, 48, 64))
    exif = photo.getexif()
    exif[ExifTags.Base.Orientation] = 6
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (52.0, 31.0, 12.0)
    out = io.BytesIO()
    photo.save(out, "JPEG", exif=exif, quality=95)

    assert deployment.edit(text(out.getvalue())).status == 200

    upright = given(engine)
    assert upright.size == (64, 96)
    assert upright.getpixel((32, 8))[1] > 200  # type: ignore[index]  # RGB
    assert not upright.getexif()


def test_a_link_is_fetched_from_an_allowed_host(
    deployment: "Deployment", engine: "SandboxEngine", image_server: ImageServer
) -> None:
    """The operator's list opens a host that is not public."""
    deployment.allow_hosts(image_server.url)

    assert deployment.edit(f"{image_server.url}/green.png").status == 200

    assert given(engine).getpixel((0, 0)) == GREEN
    assert image_server.requested == ["/green.png"]


@pytest.mark.parametrize("way", ["id", "url"])
@pytest.mark.parametrize("role", ["user", "admin"])
def test_an_image_of_this_deployment_is_an_input(
    deployment: "Deployment", engine: "SandboxEngine", role: str, way: str
) -> None:
    """Its owner and an admin can go on from an image by its id or by the URL that was answered."""
    (made,) = deployment.edit(text(encoded(GREEN))).json

    response = deployment.edit(made[way], role=role)

    assert response.status == 200, response.text
    assert given(engine).getpixel((6, 6)) == GREEN
    assert response.json[0]["id"] != made["id"]


@pytest.mark.parametrize(
    "extra", [{"zoom": "x" * 500_000}, {"zoom": "\ud800"}, {"x" * 100_000: 1}, {f"x{n}": n for n in range(5000)}]
)
def test_a_field_of_no_meaning_does_no_harm(
    deployment: "Deployment", engine: "SandboxEngine", extra: dict[str, Any]
) -> None:
    """Whatever an unknown field holds, the image is made, and a warning says that the field was ignored."""
    form = {"prompt": "a hat", "image": text(encoded()), **extra}
    raw = json.dumps(form).encode()

    response = deployment.call("POST", "/api/v1/images/edit", raw=raw, role="user")

    assert response.status == 200, response.text
    assert "is not a field of this request" in response.json[0]["warnings"][0]
    assert len(deployment.jobs()[0].model_dump_json()) < 20_000
