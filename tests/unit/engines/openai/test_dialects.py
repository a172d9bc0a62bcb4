"""Dialects of OpenAI's API, against servers that refuse what the real ones refuse."""

import base64
import io
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from PIL import Image

from image_gateway.engines import Connection, create_engine
from image_gateway.engines.openai.answers import find_images
from image_gateway.engines.openai.dialects import dialect_of
from image_gateway.engines.openai.engine import OpenAIEngine
from image_gateway.engines.protocol import ImageRequest, InputImage
from image_gateway.errors import EngineRejected
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import Size
from image_gateway.models.servers import Dialect, ServerAccess
from sandbox.engines import openrouter, xai
from sandbox.engines.state import SandboxState

pytestmark = pytest.mark.anyio

Make = Callable[..., OpenAIEngine]
MakeRequest = Callable[..., ImageRequest]


@pytest.fixture
def state() -> SandboxState:
    state = SandboxState()
    state.knobs.key = "sk-test"
    return state


@pytest.fixture
def make(connect: Callable[..., Connection]) -> Make:
    """Create an engine for a server with a dialect."""

    def make(url: str, dialect: Dialect, params: dict[str, Any] | None = None) -> OpenAIEngine:
        access = ServerAccess("my-server", dialect=dialect)
        fields = {"IMAGES_OPENAI_API_BASE_URL": url, "IMAGES_OPENAI_API_KEY": "sk-test"}
        config = ImagesConfig().with_access(access, {**fields, "IMAGES_OPENAI_API_PARAMS": params})
        engine = create_engine("openai", config, connect())
        assert isinstance(engine, OpenAIEngine)
        return engine

    return make


@pytest.fixture
def grok(serve: Callable[..., str], state: SandboxState, make: Make) -> OpenAIEngine:
    return make(f"{serve(xai.create_app(state))}/v1", "xai")


@pytest.fixture
def router(serve: Callable[..., str], state: SandboxState, make: Make) -> OpenAIEngine:
    return make(f"{serve(openrouter.create_app(state))}/api/v1", "openrouter")


def photo(width: int = 32, height: int = 16) -> InputImage:
    out = io.BytesIO()
    Image.new("RGB", (width, height), "red").save(out, "PNG")
    return InputImage(out.getvalue(), "image/png", width, height)


PHOTO_URL = f"data:image/png;base64,{base64.b64encode(photo().data).decode()}"


def size_of(data: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(data)).size


@pytest.mark.parametrize(
    ("url", "chosen", "expected"),
    [
        ("https://api.openai.com/v1", "auto", "plain"),
        ("https://api.x.ai/v1", "auto", "xai"),
        ("https://openrouter.ai/api/v1", "auto", "openrouter"),
        ("https://eu.openai.azure.com/openai/v1", "auto", "azure"),
        ("https://api.x.ai.evil.example/v1", "auto", "plain"),
        ("https://proxy.example/v1", "xai", "xai"),
        ("https://api.x.ai/v1", "plain", "plain"),
    ],
)
async def test_the_dialect_is_the_connections_or_that_of_the_host(
    connect: Callable[..., Connection], url: str, chosen: Dialect, expected: str
) -> None:
    """What a connection says goes first; the configuration's own server has that of its host."""
    named = replace(connect(), access=ServerAccess("my-server", dialect=chosen))

    assert dialect_of(named.access, url) == expected
    if chosen == "auto":
        assert dialect_of(None, url) == expected


async def test_azure_dialect_sends_azures_header_to_any_host(
    openai_url: str, openai_state: SandboxState, make: Make
) -> None:
    """Azure behind a proxy with a host of its own gets the key where Azure expects it."""
    await make(openai_url, "azure").verify()

    assert openai_state.record[0].headers["api-key"] == "sk-test"
    assert "authorization" not in openai_state.record[0].headers


async def test_xai_gets_a_ratio_instead_of_a_size(
    grok: OpenAIEngine, state: SandboxState, make_request: MakeRequest
) -> None:
    """The nearest ratio and class are requested, which a warning says if pixels were; all images come in one call."""
    request = make_request(model=xai.MODEL, size=Size(1920, 1080), n=2, quality="low", user="u", seed=7)

    result = await grok.generate(request)

    (sent,) = state.record
    assert sent.json == {
        "prompt": "a fox",
        "model": xai.MODEL,
        "n": 2,
        "aspect_ratio": "16:9",
        "resolution": "2k",
        "quality": "low",
        "user": "u",
        "response_format": "b64_json",
    }
    assert [size_of(image.data) for image in result.images] == [(2048, 1152), (2048, 1152)]
    assert result.warnings == [
        "seed is not supported by xai and was ignored",
        "size is not supported by xai: the aspect ratio 16:9 was requested instead",
    ]
    assert result.sent is not None
    assert (result.sent.size, result.sent.quality) == ("1920x1080", "low")


@pytest.mark.parametrize(("count", "field"), [(1, "image"), (2, "images"), (4, "images")])
async def test_xai_edits_are_json_with_data_urls(
    grok: OpenAIEngine, state: SandboxState, make_request: MakeRequest, count: int, field: str
) -> None:
    """One image is an object and several are a list, three at most. Without a size, that of the first image counts."""
    request = make_request(model=xai.MODEL, size=None, images=tuple(photo() for _ in range(count)), mask=photo())

    result = await grok.edit(request)

    (sent,) = state.record
    assert sent.path == "/v1/images/edits"
    source = {"url": f"data:image/png;base64,{base64.b64encode(photo().data).decode()}", "type": "image_url"}
    assert sent.json[field] == (source if count == 1 else [source] * min(count, 3))
    assert size_of(result.images[0].data) == (1024, 512)
    assert "mask is not supported by xai and was ignored" in result.warnings
    assert any("input images" in warning for warning in result.warnings) == (count > 3)


@pytest.mark.parametrize(
    ("fields", "text"), [({"prompt": "forbidden"}, "content moderation"), ({"model": "grok-x"}, "does not exist")]
)
async def test_xai_errors_are_shown(
    grok: OpenAIEngine, make_request: MakeRequest, fields: dict[str, Any], text: str
) -> None:
    """Errors of xAI are a text and a code, without OpenAI's object."""
    with pytest.raises(EngineRejected, match=text):
        await grok.generate(make_request(**{"model": xai.MODEL, **fields}))


async def test_xai_lists_its_image_models(grok: OpenAIEngine) -> None:
    """Language models are left out."""
    assert [model.id for model in await grok.models()] == [xai.MODEL]


async def test_openrouter_has_a_route_of_its_own(
    router: OpenAIEngine, state: SandboxState, make_request: MakeRequest
) -> None:
    """A ratio is requested as a ratio and a class, and parameters that the model does not have are left out."""
    request = make_request(
        model="black-forest-labs/flux.2-pro",
        size=Size(1360, 768),
        aspect_ratio="16:9",
        approximate_size=True,
        n=2,
        seed=7,
        quality="high",
    )

    result = await router.generate(request)

    assert [sent.path for sent in state.record] == ["/api/v1/images", "/api/v1/images"]
    assert state.record[-1].json == {
        "prompt": "a fox",
        "model": "black-forest-labs/flux.2-pro",
        "n": 2,
        "aspect_ratio": "16:9",
        "resolution": "1K",
        "seed": 7,
    }
    assert len({image.data for image in result.images}) == 2
    assert result.warnings == ["quality is not supported by this model and was left out"]


async def test_openrouter_edits_with_references(
    router: OpenAIEngine, state: SandboxState, make_request: MakeRequest
) -> None:
    """Input images are references of the same request. A size in pixels is sent as it is."""
    request = make_request(model="openai/gpt-image-2", size=Size(96, 64), images=(photo(), photo()), mask=photo())

    result = await router.edit(request)

    (sent,) = state.record
    assert [reference["type"] for reference in sent.json["input_references"]] == ["image_url", "image_url"]
    assert (sent.json["size"], size_of(result.images[0].data)) == ("96x64", (96, 64))
    assert result.warnings == ["mask is not supported by openrouter and was ignored"]


async def test_server_without_the_route_makes_images_in_chat(
    serve: Callable[..., str], state: SandboxState, make: Make, make_request: MakeRequest
) -> None:
    """Where there is no such route, each image is a chat completion with modalities."""
    engine = make(f"{serve(openrouter.create_app(state, has_images=False))}/api/v1", "openrouter")
    request = make_request(
        model="openai/gpt-image-2",
        size=Size(1024, 1024),
        aspect_ratio="1:1",
        approximate_size=True,
        n=2,
        images=(photo(),),
    )

    result = await engine.edit(request)

    posts = [sent for sent in state.record if sent.path.endswith("/chat/completions")]
    assert len(result.images) == len(posts) == 2
    assert posts[0].json["modalities"] == ["image", "text"]
    assert posts[0].json["image_config"] == {"aspect_ratio": "1:1", "image_size": "1K"}
    assert [part["type"] for part in posts[0].json["messages"][0]["content"]] == ["text", "image_url"]


async def test_openrouter_model_that_does_not_exist_is_an_error(
    router: OpenAIEngine, make_request: MakeRequest
) -> None:
    """A 404 about the model is one in both routes."""
    with pytest.raises(EngineRejected, match="No endpoints found for unknown/model"):
        await router.generate(make_request(model="unknown/model"))


async def test_openrouter_lists_models_that_make_images(router: OpenAIEngine) -> None:
    """They are requested from the server, so names need not say it."""
    assert [model.id for model in await router.models()] == list(openrouter.PARAMETERS)


async def test_operators_params_have_the_last_word(
    serve: Callable[..., str], state: SandboxState, make: Make, make_request: MakeRequest
) -> None:
    """Parameters of a connection replace what the dialect would send."""
    engine = make(f"{serve(xai.create_app(state))}/v1", "xai", {"resolution": "2k", "response_format": None})

    await engine.generate(make_request(model=xai.MODEL))

    assert state.record[0].json["resolution"] == "2k"
    assert "response_format" not in state.record[0].json


@pytest.mark.parametrize(
    ("answer", "content", "is_url"),
    [
        # docs.x.ai, "Image generations", read in November 2026.
        (
            {"data": [{"b64_json": "data:image/png;base64,aaaa", "revised_prompt": "…"}]},
            "data:image/png;base64,aaaa",
            False,
        ),
        (
            {"data": [{"url": "https://imgen.x.ai/xai-imgen/xai-tmp-imgen-1.jpeg", "revised_prompt": "…"}]},
            "https://imgen.x.ai/xai-imgen/xai-tmp-imgen-1.jpeg",
            True,
        ),
        # OpenRouter's documentation, "Image generation", read in November 2026.
        (
            {
                "choices": [
                    {
                        "message": {
                            "role": "assistant",
                            "content": "Here is an image.",
                            "images": [{"type": "image_url", "image_url": {"url": PHOTO_URL}}],
                        }
                    }
                ]
            },
            PHOTO_URL,
            False,
        ),
    ],
)
async def test_documented_answers_have_their_images(answer: Any, content: str, is_url: bool) -> None:
    """Images are found in the providers' own examples."""
    (image,) = find_images(answer)

    assert (image.content, image.is_url) == (content, is_url)
