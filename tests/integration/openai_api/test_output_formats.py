"""Images in the requested format, whatever the engine makes."""

import io
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image, PngImagePlugin

from image_gateway.api import WARNINGS_HEADER
from sandbox.engines.comfyui_workflows import CHECKPOINT
from sandbox.engines.state import SandboxState
from tests import web
from tests.integration.sample_images import encoded, opened

if TYPE_CHECKING:
    from tests.integration.deployment import ApiResponse, Deployment

TRANSPARENT_RED = (255, 0, 0, 0)


@pytest.fixture
def use_png_engine(deployment: "Deployment", serve: Callable[..., str]) -> Callable[[str], None]:
    """Generate with one of the sandbox's engines that make PNG only."""

    def start(name: str) -> None:
        url = serve(import_module(f"sandbox.engines.{name}").create_app(SandboxState()))
        fields: dict[str, Any] = {
            "gemini": {
                "IMAGE_GENERATION_MODEL": "gemini-sandbox-image",
                "IMAGES_GEMINI_API_BASE_URL": f"{url}/v1beta",
                "IMAGES_GEMINI_API_KEY": "planted-engine-key",
            },
            "comfyui": {"COMFYUI_BASE_URL": url, **CHECKPOINT.fields("COMFYUI")},
            "automatic1111": {"AUTOMATIC1111_BASE_URL": url},
        }[name]
        deployment.configure(
            ENABLE_IMAGE_GENERATION=True, IMAGE_GENERATION_ENGINE=name, IMAGE_ENGINE_TIMEOUT=20, **fields
        )

    return start


def generate(deployment: "Deployment", **fields: Any) -> "ApiResponse":
    """Send a generation that succeeds."""
    response = deployment.call("POST", "/v1/images/generations", {"prompt": "a fox", **fields}, role="user")
    assert response.status == 200, response.text
    return response


def returned_image(response: "ApiResponse") -> Image.Image:
    """Return the image of a response."""
    return opened(response.json["data"][0]["b64_json"])


@pytest.mark.parametrize("engine", ["gemini", "comfyui", "automatic1111"])
@pytest.mark.parametrize("format", ["jpeg", "webp", "png"])
def test_an_image_is_converted_to_the_requested_format(
    deployment: "Deployment", use_png_engine: Callable[[str], None], engine: str, format: str
) -> None:
    """It is stored in that format, without a warning."""
    use_png_engine(engine)

    response = generate(deployment, output_format=format)

    assert returned_image(response).format == format.upper()
    assert response.json["output_format"] == format
    assert "output_format" not in response.headers.get(WARNINGS_HEADER, "")
    assert deployment.jobs()[0].images[0].content_type == f"image/{format}"


@pytest.mark.parametrize("engine", ["gemini", "comfyui", "automatic1111"])
def test_a_gif_is_refused_by_engines_that_make_none(
    deployment: "Deployment", use_png_engine: Callable[[str], None], engine: str
) -> None:
    """A converted image would not be animated: the request is refused before there is a job."""
    use_png_engine(engine)

    response = deployment.call(
        "POST", "/v1/images/generations", {"prompt": "a fox", "output_format": "gif"}, role="user"
    )

    assert (response.status, response.json["error"]["param"]) == (400, "output_format")
    assert f"{engine} does not support gif" in response.json["error"]["message"]
    assert not deployment.jobs()


def test_parameters_of_openai_only_are_ignored_with_a_warning(
    deployment: "Deployment", use_png_engine: Callable[[str], None]
) -> None:
    """The image is made without them."""
    use_png_engine("automatic1111")

    response = generate(deployment, complexity="high", frame_count=4, frame_duration_ms=100)

    for name in ("complexity", "frame_count", "frame_duration_ms"):
        assert f"{name} is not supported by automatic1111" in response.headers[WARNINGS_HEADER]


def test_a_requested_gif_has_a_warning_only_if_another_format_came(
    deployment: "Deployment", use_image: Callable[[bytes], None]
) -> None:
    """A compatible server may ignore the parameter and make a gif or a png."""
    use_image(encoded((255, 0, 0), "GIF"))
    gif = generate(deployment, output_format="gif")
    use_image(encoded())
    png = generate(deployment, output_format="gif")

    assert (gif.json["output_format"], WARNINGS_HEADER in gif.headers) == ("gif", False)
    assert (png.json["output_format"], WARNINGS_HEADER in png.headers) == ("png", True)


def test_the_images_api_converts_as_well(deployment: "Deployment", use_png_engine: Callable[[str], None]) -> None:
    """Both APIs use the same conversion."""
    use_png_engine("automatic1111")

    body = {"prompt": "a fox", "output_format": "webp", "output_compression": 10}
    response = deployment.call("POST", "/api/v1/images/generations", body, role="user")

    assert response.json[0]["content_type"] == "image/webp"
    assert response.json[0]["name"].endswith(".webp")
    assert web.get(response.json[0]["url"]).headers["content-type"] == "image/webp"


def test_a_lower_compression_quality_is_a_smaller_image(
    deployment: "Deployment", use_image: Callable[[bytes], None]
) -> None:
    """It applies to a conversion, when the engine ignored the parameter together with the format."""
    use_image(noise())

    small, large = (
        len(generate(deployment, output_format="webp", output_compression=quality).text) for quality in (5, 95)
    )

    assert small * 2 < large


def test_output_compression_of_a_png_is_ignored_with_a_warning(
    deployment: "Deployment", use_png_engine: Callable[[str], None]
) -> None:
    """A PNG has no quality."""
    use_png_engine("automatic1111")

    response = generate(deployment, output_compression=50)

    assert "output_compression is for jpeg and webp: png has none" in response.headers[WARNINGS_HEADER]


def test_transparency_becomes_white_in_a_jpeg_with_a_warning(
    deployment: "Deployment", use_image: Callable[[bytes], None]
) -> None:
    """An opaque image has no warning."""
    use_image(encoded(TRANSPARENT_RED))
    transparent = generate(deployment, output_format="jpeg")
    use_image(encoded((255, 0, 0, 255)))
    opaque = generate(deployment, output_format="jpeg")

    assert returned_image(transparent).getpixel((9, 9)) == (255, 255, 255)
    assert "flattened onto white" in transparent.headers[WARNINGS_HEADER]
    assert WARNINGS_HEADER not in opaque.headers


def test_transparency_is_kept_in_a_webp(deployment: "Deployment", use_image: Callable[[bytes], None]) -> None:
    """WebP has an alpha channel."""
    use_image(encoded(TRANSPARENT_RED))

    assert returned_image(generate(deployment, output_format="webp")).convert("RGBA").getpixel((9, 9))[3] == 0  # type: ignore[index]  # a tuple


def test_a_converted_image_has_no_metadata(deployment: "Deployment", use_image: Callable[[bytes], None]) -> None:
    """Engines write prompts and workflows into their images."""
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a planted prompt")
    exif = Image.Exif()
    exif[0x010E] = "a planted description"
    out = io.BytesIO()
    Image.new("RGB", (64, 64)).save(out, "PNG", pnginfo=info, exif=exif)
    use_image(out.getvalue())

    converted = returned_image(generate(deployment, output_format="webp"))

    assert not converted.getexif()
    assert "planted" not in str(converted.info)


def test_operator_parameters_for_the_format_are_not_converted_away(
    deployment: "Deployment", use_image: Callable[[bytes], None]
) -> None:
    """The operator's format overrides the request, with a warning."""
    use_image(encoded())
    deployment.configure(IMAGES_OPENAI_API_PARAMS={"output_format": "png"})

    response = generate(deployment, output_format="webp")

    assert returned_image(response).format == "PNG"
    assert "output_format was set to 'png' by the operator" in response.headers[WARNINGS_HEADER]


def test_an_image_in_the_requested_format_is_not_encoded_again(
    openai_deployment: "Deployment", openai: SandboxState
) -> None:
    """The engine's bytes are stored unchanged."""
    response = generate(openai_deployment, size="64x64", output_format="webp", output_compression=30)

    assert openai.record[-1].json["output_compression"] == 30
    assert returned_image(response).format == "WEBP"


def test_a_damaged_image_is_returned_unconverted_with_a_warning(
    deployment: "Deployment", use_image: Callable[[bytes], None]
) -> None:
    """It may have been paid for."""
    broken = bytearray(noise())
    broken[200:400] = bytes(200)
    use_image(bytes(broken))

    response = generate(deployment, output_format="jpeg")

    assert response.json["output_format"] == "png"
    assert "output_format could not be jpeg: it is damaged" in response.headers[WARNINGS_HEADER]


def test_an_image_with_too_many_pixels_is_returned_unconverted_with_a_warning(
    deployment: "Deployment", use_image: Callable[[bytes], None]
) -> None:
    """A conversion would need more memory than the function has."""
    use_image(encoded(size=(6000, 4001)))

    response = generate(deployment, output_format="jpeg")

    assert response.json["size"] == "6000x4001"
    assert "more than 24 megapixels" in response.headers[WARNINGS_HEADER]


def test_an_unknown_format_is_ignored_with_a_warning_in_the_images_api(
    deployment: "Deployment", use_png_engine: Callable[[str], None]
) -> None:
    """It accepts any text, and the warning lists the supported formats."""
    use_png_engine("automatic1111")

    body = {"prompt": "a fox", "output_format": "bmp"}
    response = deployment.call("POST", "/api/v1/images/generations", body, role="user")

    assert response.json[0]["content_type"] == "image/png"
    assert "output_format can be png, jpeg or webp" in response.json[0]["warnings"][0]


def noise(side: int = 256) -> bytes:
    """Return a PNG that compresses badly."""
    out = io.BytesIO()
    Image.effect_noise((side, side), 90).convert("RGB").save(out, "PNG")
    return out.getvalue()


def test_an_image_too_large_for_the_format_is_returned_unconverted_with_a_warning(
    deployment: "Deployment", use_image: Callable[[bytes], None]
) -> None:
    """A WebP has at most 16,383 pixels per side; an image that was paid for is not lost."""
    use_image(encoded(size=(16_384, 8)))

    response = generate(deployment, output_format="webp")

    assert (returned_image(response).format, returned_image(response).size) == ("PNG", (16_384, 8))
    assert "output_format could not be webp: 16384x8 pixels are too many for it" in response.headers[WARNINGS_HEADER]


def test_operator_parameters_for_the_engines_response_do_not_affect_the_caller(
    deployment: "Deployment", use_image: Callable[[bytes], None]
) -> None:
    """Some servers need a `response_format`; the caller gets the requested one."""
    use_image(encoded())
    deployment.configure(IMAGES_OPENAI_API_PARAMS={"response_format": "b64_json", "stream": False})

    response = generate(deployment, response_format="url", stream=False)

    assert opened(web.get(response.json["data"][0]["url"]).content).tobytes() == opened(encoded()).tobytes()
    assert WARNINGS_HEADER not in response.headers
