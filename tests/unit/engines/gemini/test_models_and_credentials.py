"""The gemini engine: the list of models, verification, keys and configuration."""

from collections.abc import Callable
from typing import Any

import pytest

from image_gateway.engines import Connection, create_engine
from image_gateway.engines.gemini.engine import GeminiEngine
from image_gateway.errors import (
    EngineRejected,
    EngineUnavailable,
    GatewayError,
    NotConfigured,
)
from image_gateway.models.config import ImagesConfig
from sandbox.engines.gemini import create_app
from sandbox.engines.state import Fault, SandboxState
from tests.unit.engines.gemini.requests_and_responses import (
    FLASH,
    IMAGE,
    IMAGEN,
    Connect,
    MakeEngine,
    Serve,
    engine_returning,
    image_request,
)

pytestmark = pytest.mark.anyio

NEWER = ("gemini-3.1-flash-image", "gemini-nano-banana-2.1")


@pytest.mark.parametrize(("edit", "field"), [(False, "IMAGE_GENERATION_MODEL"), (True, "IMAGE_EDIT_MODEL")])
async def test_a_missing_model_names_its_field(make_engine: MakeEngine, edit: bool, field: str) -> None:
    """Gemini has no default model."""
    engine = make_engine(edit=edit)
    with pytest.raises(NotConfigured) as caught:
        await (engine.edit if edit else engine.generate)(image_request(model=None))
    assert caught.value.field == field


@pytest.mark.parametrize(("edit", "prefix"), [(False, "IMAGES_GEMINI"), (True, "IMAGES_EDIT_GEMINI")])
async def test_the_official_host_needs_a_key(connect: Connect, edit: bool, prefix: str) -> None:
    """No request is sent to Google without a key."""
    with pytest.raises(NotConfigured) as caught:
        create_engine("gemini", ImagesConfig(), connect(), edit=edit)
    assert caught.value.field == f"{prefix}_API_KEY"


def test_a_missing_url_names_its_field(connect: Callable[..., Connection]) -> None:
    """No request is sent."""
    with pytest.raises(NotConfigured) as caught:
        GeminiEngine(ImagesConfig(IMAGES_GEMINI_API_BASE_URL=""), connect())
    assert caught.value.field == "IMAGES_GEMINI_API_BASE_URL"


async def test_another_host_needs_no_key(make_engine: MakeEngine, state: SandboxState) -> None:
    """No empty header is sent."""
    await make_engine(key="").generate(image_request())
    assert "x-goog-api-key" not in state.record[0].headers


async def test_image_models_of_all_pages_are_listed(make_engine: MakeEngine, state: SandboxState) -> None:
    """The sandbox's pages have two entries; language, embedding and video models are left out."""
    found = await make_engine().models()
    assert [(model.id, model.name) for model in found] == [
        ("gemini-sandbox-image", "Gemini Sandbox Image"),
        ("gemini-sandbox-flash-image", "Gemini Sandbox Flash Image"),
        ("gemini-3.1-flash-image", "Nano Banana 2"),
        ("gemini-nano-banana-2.1", "Nano Banana 2.1"),
        ("imagen-sandbox-001", "Imagen Sandbox"),
    ]
    assert [entry.query.get("pageToken") for entry in state.record] == [None, "2", "4", "6"]


@pytest.mark.parametrize(
    ("method", "edit", "expected"),
    [
        ("", False, {IMAGE, FLASH, *NEWER, IMAGEN}),
        ("generateContent", False, {IMAGE, FLASH, *NEWER}),
        ("predict", False, {IMAGEN}),
        ("predict", True, {IMAGE, FLASH, *NEWER}),
    ],
)
async def test_models_that_support_the_method_are_listed(
    make_engine: MakeEngine, method: str, edit: bool, expected: set[str]
) -> None:
    """The method is the configured one, or for edits the only one that takes images."""
    engine = make_engine(method=method, edit=edit)
    assert {model.id for model in await engine.models()} == expected


async def test_at_most_twenty_pages_of_models_are_read(serve: Serve, connect: Connect) -> None:
    """A server may return pages without an end."""
    body = {"models": [{"name": "models/nano-banana"}, {"name": 5}, "x"], "nextPageToken": "again"}
    found = await engine_returning(serve, connect, body).models()
    assert [model.name for model in found] == ["nano-banana"] * 20


@pytest.mark.parametrize("call", ["verify", "models", "generate"])
async def test_a_wrong_key_is_rejected_without_repeating_it(
    make_engine: MakeEngine, state: SandboxState, call: str
) -> None:
    """Google sends a 400 and not a 401; the error text does not contain the key."""
    state.knobs.key = "right-key"
    engine = make_engine(key="wrong-key")
    with pytest.raises(EngineRejected, match="400: API key not valid") as caught:
        await (engine.generate(image_request()) if call == "generate" else getattr(engine, call)())
    assert "wrong-key" not in caught.value.detail


async def test_a_missing_key_is_rejected_with_a_hint(make_engine: MakeEngine, state: SandboxState) -> None:
    """The error says to check the key."""
    state.knobs.key = "right-key"
    with pytest.raises(EngineRejected, match=r"403: Method doesn't allow unregistered callers.*engine's key"):
        await make_engine(key="").verify()


async def test_verification_only_reads(make_engine: MakeEngine, state: SandboxState) -> None:
    """No image is generated."""
    state.knobs.key = "g-key"
    await make_engine().verify()
    assert {entry.method for entry in state.record} == {"GET"}


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"object": "list", "data": []}, 200, "not a list of models; is it a Gemini API"),
        ([], 200, "not a list of models"),
        ({"detail": "Not Found"}, 404, "404: Not Found .check the engine's URL"),
    ],
)
async def test_verification_detects_another_kind_of_server(
    serve: Serve, connect: Connect, body: Any, status: int, text: str
) -> None:
    """The error says what is wrong with the URL."""
    with pytest.raises(GatewayError, match=text):
        await engine_returning(serve, connect, body, status).verify()


@pytest.mark.parametrize(("path", "question"), [("", ": does it end in /v1beta?"), ("/v1beta", ""), ("/v1", "")])
async def test_a_missing_route_asks_for_the_version_in_the_url(
    serve: Serve, connect: Connect, path: str, question: str
) -> None:
    """Google's base URL ends with the version of the API."""
    state = SandboxState()
    state.knobs.faults = [Fault(404, {"detail": "Not Found"}, times=-1)]
    config = ImagesConfig(IMAGES_GEMINI_API_BASE_URL=serve(create_app(state)) + path)
    engine = create_engine("gemini", config, connect())

    with pytest.raises(EngineRejected) as error:
        await engine.verify()

    assert error.value.detail.endswith(f"(check IMAGES_GEMINI_API_BASE_URL in the configuration{question})")


async def test_an_unreachable_server_is_named_by_its_field(connect: Connect) -> None:
    """The error names the configuration field, not the address."""
    config = ImagesConfig(IMAGES_GEMINI_API_BASE_URL="http://127.0.0.1:9")
    engine = create_engine("gemini", config, connect())
    with pytest.raises(EngineUnavailable, match=r"refused\): check IMAGES_GEMINI_API_BASE_URL$"):
        await engine.verify()
