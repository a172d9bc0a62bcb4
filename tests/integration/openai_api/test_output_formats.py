"""Images in the format that was asked for, whatever the engine makes."""

import io
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from PIL import Image, PngImagePlugin
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from image_gateway.api import WARNINGS_HEADER
from sandbox.engines.comfyui_workflows import CHECKPOINT
from sandbox.engines.state import SandboxState
from tests.integration.sample_images import encoded, opened, text

if TYPE_CHECKING:
    from tests.integration.deployment import ApiResponse, Deployment


CLEAR_RED = (255, 0, 0, 0)


@pytest.fixture
def generating_with(deployment: "Deployment", serve: Callable[..., str]) -> Callable[[str], None]:
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


@pytest.fixture
def answering(deployment: "Deployment", serve: Callable[..., str]) -> Callable[[bytes], None]:
    """Generate with an OpenAI-compatible server that always answers the same image."""

    def start(image: bytes) -> None:
        async def generations(_request: Request) -> Response:
            return JSONResponse({"data": [{"b64_json": text(image)}]})

        app = Starlette(routes=[Route("/v1/images/generations", generations, methods=["POST"])])
        deployment.configure(
            ENABLE_IMAGE_GENERATION=True,
            IMAGES_OPENAI_API_BASE_URL=f"{serve(app)}/v1",
            IMAGES_OPENAI_API_KEY="k",
            IMAGE_ENGINE_TIMEOUT=20,
        )

    return start


def generate(deployment: "Deployment", **fields: Any) -> "ApiResponse":
    response = deployment.call("POST", "/v1/images/generations", {"prompt": "a fox", **fields}, role="user")
    assert response.status == 200, response.text
    return response


def image_of(response: "ApiResponse") -> Image.Image:
    return opened(response.json["data"][0]["b64_json"])


@pytest.mark.parametrize("engine", ["gemini", "comfyui", "automatic1111"])
@pytest.mark.parametrize("format", ["jpeg", "webp", "png"])
def test_engines_that_make_one_format(
    deployment: "Deployment", generating_with: Callable[[str], None], engine: str, format: str
) -> None:
    """The image is converted, stored as that, and no warning is left."""
    generating_with(engine)

    response = generate(deployment, output_format=format)

    assert image_of(response).format == format.upper()
    assert response.json["output_format"] == format
    assert "output_format" not in response.headers.get(WARNINGS_HEADER, "")
    assert deployment.jobs()[0].images[0].content_type == f"image/{format}"


@pytest.mark.parametrize("engine", ["gemini", "comfyui", "automatic1111"])
def test_nothing_is_converted_to_a_gif(
    deployment: "Deployment", generating_with: Callable[[str], None], engine: str
) -> None:
    """It would not move: the request is refused before it is a job."""
    generating_with(engine)

    response = deployment.call(
        "POST", "/v1/images/generations", {"prompt": "a fox", "output_format": "gif"}, role="user"
    )

    assert (response.status, response.json["error"]["param"]) == (400, "output_format")
    assert f"{engine} does not support gif" in response.json["error"]["message"]
    assert not deployment.jobs()


def test_what_only_openai_has_is_named(deployment: "Deployment", generating_with: Callable[[str], None]) -> None:
    """The image is made without it."""
    generating_with("automatic1111")

    response = generate(deployment, complexity="high", frame_count=4, frame_duration_ms=100)

    for name in ("complexity", "frame_count", "frame_duration_ms"):
        assert f"{name} is not supported by automatic1111" in response.headers[WARNINGS_HEADER]


def test_a_format_that_came_unasked(deployment: "Deployment", answering: Callable[[bytes], None]) -> None:
    """A gif where one was asked for, from a server that has no word for formats, needs no warning; a png does."""
    answering(encoded((255, 0, 0), "GIF"))
    moving = generate(deployment, output_format="gif")
    answering(encoded())
    still = generate(deployment, output_format="gif")

    assert (moving.json["output_format"], WARNINGS_HEADER in moving.headers) == ("gif", False)
    assert (still.json["output_format"], WARNINGS_HEADER in still.headers) == ("png", True)


def test_the_other_channel_too(deployment: "Deployment", generating_with: Callable[[str], None]) -> None:
    """It is one service."""
    generating_with("automatic1111")

    body = {"prompt": "a fox", "output_format": "webp", "output_compression": 10}
    response = deployment.call("POST", "/api/v1/images/generations", body, role="user")

    assert response.json[0]["content_type"] == "image/webp"
    assert response.json[0]["name"].endswith(".webp")
    assert httpx.get(response.json[0]["url"]).headers["content-type"] == "image/webp"


def test_compression(deployment: "Deployment", answering: Callable[[bytes], None]) -> None:
    """A lower number is a smaller image, also where the engine ignored it together with the format."""
    answering(noise())

    small, large = (
        len(generate(deployment, output_format="webp", output_compression=quality).text) for quality in (5, 95)
    )

    assert small * 2 < large


def test_a_format_without_compression(deployment: "Deployment", generating_with: Callable[[str], None]) -> None:
    """A png has none, and that is said."""
    generating_with("automatic1111")

    response = generate(deployment, output_compression=50)

    assert "output_compression is for jpeg and webp: png has none" in response.headers[WARNINGS_HEADER]


def test_transparency_in_a_jpeg_becomes_white(deployment: "Deployment", answering: Callable[[bytes], None]) -> None:
    """With a warning; an image that is opaque has none."""
    answering(encoded(CLEAR_RED))
    clear = generate(deployment, output_format="jpeg")
    answering(encoded((255, 0, 0, 255)))
    opaque = generate(deployment, output_format="jpeg")

    assert image_of(clear).getpixel((9, 9)) == (255, 255, 255)
    assert "laid on white" in clear.headers[WARNINGS_HEADER]
    assert WARNINGS_HEADER not in opaque.headers


def test_transparency_in_a_webp_stays(deployment: "Deployment", answering: Callable[[bytes], None]) -> None:
    """It has an alpha channel of its own."""
    answering(encoded(CLEAR_RED))

    assert image_of(generate(deployment, output_format="webp")).convert("RGBA").getpixel((9, 9))[3] == 0  # type: ignore[index]  # a tuple


def test_no_metadata_is_left(deployment: "Deployment", answering: Callable[[bytes], None]) -> None:
    """Engines write prompts and workflows into their images."""
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a planted prompt")
    exif = Image.Exif()
    exif[0x010E] = "a planted description"
    out = io.BytesIO()
    Image.new("RGB", (64, 64)).save(out, "PNG", pnginfo=info, exif=exif)
    answering(out.getvalue())

    found = image_of(generate(deployment, output_format="webp"))

    assert not found.getexif()
    assert "planted" not in str(found.info)


def test_the_operator_has_the_last_word(deployment: "Deployment", answering: Callable[[bytes], None]) -> None:
    """What the parameters say of the format is not undone by a conversion."""
    answering(encoded())
    deployment.configure(IMAGES_OPENAI_API_PARAMS={"output_format": "png"})

    response = generate(deployment, output_format="webp")

    assert image_of(response).format == "PNG"
    assert "output_format was set to 'png' by the operator" in response.headers[WARNINGS_HEADER]


def test_what_the_engine_honoured_is_not_encoded_again(openai_deployment: "Deployment", openai: SandboxState) -> None:
    """Its bytes are stored as they came."""
    response = generate(openai_deployment, size="64x64", output_format="webp", output_compression=30)

    assert openai.record[-1].json["output_compression"] == 30
    assert image_of(response).format == "WEBP"


def test_an_image_that_cannot_be_converted_is_given_as_it_is(
    deployment: "Deployment", answering: Callable[[bytes], None]
) -> None:
    """It is paid for; a warning says why."""
    broken = bytearray(noise())
    broken[200:400] = bytes(200)
    answering(bytes(broken))

    response = generate(deployment, output_format="jpeg")

    assert response.json["output_format"] == "png"
    assert "output_format could not be jpeg: it is damaged" in response.headers[WARNINGS_HEADER]


def test_an_image_with_too_many_pixels_is_given_as_it_is(
    deployment: "Deployment", answering: Callable[[bytes], None]
) -> None:
    """To convert it would need more memory than there is."""
    answering(encoded(size=(6000, 4001)))

    response = generate(deployment, output_format="jpeg")

    assert response.json["size"] == "6000x4001"
    assert "more than 24 megapixels" in response.headers[WARNINGS_HEADER]


def test_formats_that_there_are_not(deployment: "Deployment", generating_with: Callable[[str], None]) -> None:
    """The other channel takes any word, and says what it can do."""
    generating_with("automatic1111")

    body = {"prompt": "a fox", "output_format": "bmp"}
    response = deployment.call("POST", "/api/v1/images/generations", body, role="user")

    assert response.json[0]["content_type"] == "image/png"
    assert "output_format can be png, jpeg or webp" in response.json[0]["warnings"][0]


def noise(side: int = 256) -> bytes:
    out = io.BytesIO()
    Image.effect_noise((side, side), 90).convert("RGB").save(out, "PNG")
    return out.getvalue()


def test_an_image_that_the_format_cannot_hold_is_given_as_it_is(
    deployment: "Deployment", answering: Callable[[bytes], None]
) -> None:
    """A webp has at most 16,383 pixels a side: an image that is paid for is not lost for that."""
    answering(encoded(size=(16_384, 8)))

    response = generate(deployment, output_format="webp")

    assert (image_of(response).format, image_of(response).size) == ("PNG", (16_384, 8))
    assert "output_format could not be webp: 16384x8 pixels are too many for it" in response.headers[WARNINGS_HEADER]


def test_how_an_engine_is_to_answer_is_no_callers_field(
    deployment: "Deployment", answering: Callable[[bytes], None]
) -> None:
    """Some servers must be told a `response_format` by the operator: the caller still gets the one asked for."""
    answering(encoded())
    deployment.configure(IMAGES_OPENAI_API_PARAMS={"response_format": "b64_json", "stream": False})

    response = generate(deployment, response_format="url", stream=False)

    assert httpx.get(response.json["data"][0]["url"]).content == encoded()
    assert WARNINGS_HEADER not in response.headers
