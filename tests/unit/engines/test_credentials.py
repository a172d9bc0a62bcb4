"""How a server gets its key: as its engine's API wants it, or as its connection says."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from image_gateway.engines import Connection, create_engine
from image_gateway.engines.credentials import credentials
from image_gateway.engines.protocol import ImageRequest
from image_gateway.errors import EngineRejected, EngineTimeout, NotConfigured
from image_gateway.models.config import ImagesConfig
from image_gateway.models.servers import Auth, ServerAccess
from sandbox.engines.state import SandboxState
from tests.polling import LONG

OWN = {"x-own": "me:pw"}


@pytest.mark.parametrize(
    ("auth", "headers"),
    [
        ("auto", OWN),
        ("bearer", {"Authorization": "Bearer me:pw"}),
        ("basic", {"Authorization": "Basic bWU6cHc="}),
        ("api-key", {"api-key": "me:pw"}),
        ("x-api-key", {"X-API-Key": "me:pw"}),
        ("none", {}),
    ],
)
def test_key_is_sent_as_the_connection_says(
    connect: Callable[..., Connection], auth: Auth, headers: dict[str, str]
) -> None:
    """Each way has its header, and a connection without a key has none."""
    connection = replace(connect(), access=ServerAccess("gpu-1", auth))

    assert credentials(connection, "me:pw", OWN) == headers
    assert credentials(connection, "", OWN) == {}


def test_key_of_the_configuration_is_sent_as_the_engine_wants_it(connect: Callable[..., Connection]) -> None:
    """The configuration's own connections do not say how their keys are sent."""
    assert credentials(connect(), "me:pw", OWN) == OWN


@pytest.mark.parametrize(
    ("engine", "url_field", "key_field"),
    [
        ("openai", "IMAGES_OPENAI_API_BASE_URL", "IMAGES_OPENAI_API_KEY"),
        ("gemini", "IMAGES_GEMINI_API_BASE_URL", "IMAGES_GEMINI_API_KEY"),
        ("comfyui", "COMFYUI_BASE_URL", None),
        ("automatic1111", "AUTOMATIC1111_BASE_URL", None),
    ],
)
def test_error_about_a_missing_value_names_the_connection(
    connect: Callable[..., Connection], engine: str, url_field: str, key_field: str | None
) -> None:
    """What the configuration's fields have a field for is a member of a named connection."""
    access = ServerAccess("gpu-1")
    without_url = {url_field: ""}

    with pytest.raises(NotConfigured, match=f"^{url_field} is not set") as own:
        create_engine(engine, ImagesConfig().model_copy(update=without_url), connect())
    with pytest.raises(NotConfigured, match=r"^The connection gpu-1 has no base_url") as named:
        create_engine(engine, ImagesConfig().with_access(access, without_url), connect())

    assert (own.value.field, named.value.field) == (url_field, "base_url")
    if key_field:
        with pytest.raises(NotConfigured, match=r"^The connection gpu-1 has no key: https://"):
            create_engine(engine, ImagesConfig().with_access(access, {}), connect())


@pytest.mark.anyio
async def test_refused_key_and_timeout_name_the_connection(
    connect: Callable[..., Connection],
    openai_url: str,
    openai_state: SandboxState,
    make_request: Callable[..., ImageRequest],
) -> None:
    """The operator of several servers learns which one to look at."""
    fields = {"IMAGES_OPENAI_API_BASE_URL": openai_url, "IMAGES_OPENAI_API_KEY": "sk-wrong-key"}
    config = ImagesConfig().with_access(ServerAccess("azure-eu"), fields)
    openai_state.knobs.key = "sk-test"

    with pytest.raises(EngineRejected, match="check the key of the connection azure-eu"):
        await create_engine("openai", config, connect()).verify()
    openai_state.knobs.key, openai_state.knobs.latency = "", LONG
    engine = create_engine("openai", config, connect(timeout=1))
    with pytest.raises(EngineTimeout, match=r"\(timeout_seconds of azure-eu\)"):
        await engine.generate(make_request())
