"""The `openai` engine: models, verification, prompt writing, and Azure's differences."""

from collections.abc import Callable
from typing import Any

import pytest

from image_gateway.engines.connection import Connection
from image_gateway.engines.openai.engine import OpenAIEngine
from image_gateway.engines.protocol import ImageRequest
from image_gateway.errors import EngineRejected, EngineUnavailable
from sandbox.engines.state import Fault, SandboxState

pytestmark = pytest.mark.anyio

MakeEngine = Callable[..., OpenAIEngine]
Ask = Callable[..., ImageRequest]


def listed(*entries: Any) -> Fault:
    return Fault(200, {"object": "list", "data": list(entries)})


async def ids(engine: OpenAIEngine) -> list[str]:
    return [model.id for model in await engine.models()]


async def test_only_models_that_make_images(openai_engine: MakeEngine, openai_state: SandboxState) -> None:
    """Of many models, those that make images by name or kind are kept, with or without a provider's prefix."""
    openai_state.knobs.faults = [
        listed(
            {"id": "gpt-5.6"},
            {"id": "openai/gpt-image-2"},
            {"id": "sdxl-turbo"},
            {"id": "sd3.5"},
            {"id": "text-embedding-9"},
            {"id": "house-model", "type": "text-to-image", "name": "The house model"},
            {"id": 7},
            "no model",
        )
    ]

    models = await openai_engine().models()

    assert [model.id for model in models] == ["openai/gpt-image-2", "sdxl-turbo", "sd3.5", "house-model"]
    assert [model.name for model in models][-1] == "The house model"


async def test_all_models_where_none_is_known(openai_engine: MakeEngine, openai_state: SandboxState) -> None:
    """A server whose names say nothing has all of its models listed."""
    openai_state.knobs.faults = [listed({"id": "local"}, {"id": "other"})]

    assert await ids(openai_engine()) == ["local", "other"]


async def test_no_models(openai_engine: MakeEngine, openai_state: SandboxState) -> None:
    """A server may have none."""
    openai_state.knobs.faults = [listed()]

    assert await ids(openai_engine()) == []


@pytest.mark.parametrize("body", [{"models": []}, [], "<html>hello</html>", {"data": "many"}])
async def test_malformed_models(openai_engine: MakeEngine, openai_state: SandboxState, body: Any) -> None:
    """Whatever is no list of models is not taken for one."""
    openai_state.knobs.faults = [Fault(200, body, times=-1)]

    with pytest.raises(EngineUnavailable, match="something that is not"):
        await openai_engine().models()


async def test_verify_accepts(openai_engine: MakeEngine, openai_state: SandboxState) -> None:
    """A server that knows the key is verified by asking for its models."""
    openai_state.knobs.key = "sk-test"

    await openai_engine().verify()

    assert openai_state.record[0].path == "/v1/models"


async def test_verify_refuses(
    openai_engine: MakeEngine, openai_state: SandboxState, connect: Callable[..., Connection]
) -> None:
    """A refused key fails verification, and is not repeated."""
    openai_state.knobs.key = "another"

    with pytest.raises(EngineRejected) as error:
        await openai_engine(connect(secrets=("sk-test",))).verify()
    assert "sk-test" not in error.value.detail


async def test_complete(openai_engine: MakeEngine, openai_state: SandboxState) -> None:
    """A prompt is rewritten by a chat completion with the instruction and the text."""
    text = await openai_engine().complete(model="gpt-5.6-mini", system="rewrite", user="a fox")

    assert text == "a fox, highly detailed"
    assert openai_state.record[0].json == {
        "model": "gpt-5.6-mini",
        "messages": [{"role": "system", "content": "rewrite"}, {"role": "user", "content": "a fox"}],
    }


@pytest.mark.parametrize(
    "body",
    [{}, [], {"choices": []}, {"choices": [{"message": None}]}, {"choices": [{"message": {"content": " "}}]}],
)
async def test_completion_without_text(openai_engine: MakeEngine, openai_state: SandboxState, body: Any) -> None:
    """A completion that holds no text is an error, so that no empty prompt is painted."""
    openai_state.knobs.faults = [Fault(200, body)]

    with pytest.raises(EngineUnavailable, match="without text"):
        await openai_engine().complete(model="gpt-5.6-mini", system="rewrite", user="a fox")


async def test_azure_generation(
    openai_engine: MakeEngine, openai_state: SandboxState, openai_url: str, ask: Ask
) -> None:
    """Azure gets its version in the query and its key in its own header, at the deployment's path."""
    openai_state.knobs.key = "azure-key"
    url = f"{openai_url.removesuffix('/v1')}/openai/deployments/gpt-image-2"

    await openai_engine(url=url, key="azure-key", version="2026-10-01").generate(ask())

    requested = openai_state.record[0]
    assert requested.path == "/openai/deployments/gpt-image-2/images/generations"
    assert requested.query == {"api-version": "2026-10-01"}
    assert requested.headers["api-key"] == "azure-key"
    assert "authorization" not in requested.headers


async def test_azure_file_keeps_its_own_query(
    openai_engine: MakeEngine, openai_state: SandboxState, openai_url: str, ask: Ask
) -> None:
    """An image's URL is fetched as it was answered: the version is not put into its signed query."""
    openai_state.knobs.faults = [Fault(200, {"data": [{"url": "/v1/files/a.png?signature=1"}]})]

    with pytest.raises(EngineRejected):
        await openai_engine(version="2026-10-01").generate(ask())

    assert openai_state.record[1].query == {"signature": "1"}


async def test_azure_deployment_is_its_own_model(
    openai_engine: MakeEngine, openai_state: SandboxState, openai_url: str
) -> None:
    """The models of a deployment are itself; the resource is asked, so that the key is checked."""
    url = f"{openai_url.removesuffix('/v1')}/openai/deployments/my%20images"

    assert await ids(openai_engine(url=url, version="2026-10-01")) == ["my images"]
    assert openai_state.record[0].path == "/openai/models"


async def test_azure_chat_goes_to_its_own_deployment(
    openai_engine: MakeEngine, openai_state: SandboxState, openai_url: str
) -> None:
    """Prompts are rewritten by the deployment that the model names, not by the one that paints."""
    url = f"{openai_url.removesuffix('/v1')}/openai/deployments/gpt-image-2"

    await openai_engine(url=url, version="2026-10-01").complete(model="gpt-5.6-mini", system="s", user="a fox")

    assert openai_state.record[0].path == "/openai/deployments/gpt-5.6-mini/chat/completions"


@pytest.mark.parametrize(
    ("url", "header"),
    [
        ("https://house.openai.azure.com/openai/v1", "api-key"),
        ("https://house.openai.azure.us/openai/v1", "api-key"),
        ("https://azure.com.example/v1", "Authorization"),
    ],
)
def test_azure_is_told_by_its_host(openai_engine: MakeEngine, url: str, header: str) -> None:
    """Azure's hosts get the key in Azure's header also without a version."""
    engine = openai_engine(url=url)

    assert list(engine._server.headers) == [header]
