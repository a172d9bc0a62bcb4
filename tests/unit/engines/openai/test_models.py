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
MakeRequest = Callable[..., ImageRequest]


def models_response(*entries: Any) -> Fault:
    return Fault(200, {"object": "list", "data": list(entries)})


async def ids(engine: OpenAIEngine) -> list[str]:
    return [model.id for model in await engine.models()]


async def test_only_image_models_are_listed(openai_engine: MakeEngine, openai_state: SandboxState) -> None:
    """Name or kind says that a model makes images; a provider's prefix does not matter."""
    openai_state.knobs.faults = [
        models_response(
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


async def test_all_models_are_listed_if_none_is_known(openai_engine: MakeEngine, openai_state: SandboxState) -> None:
    """The names of such a server's models say nothing."""
    openai_state.knobs.faults = [models_response({"id": "local"}, {"id": "other"})]

    assert await ids(openai_engine()) == ["local", "other"]


async def test_a_server_without_models_has_an_empty_list(openai_engine: MakeEngine, openai_state: SandboxState) -> None:
    """The list is empty, and not an error."""
    openai_state.knobs.faults = [models_response()]

    assert await ids(openai_engine()) == []


@pytest.mark.parametrize("body", [{"models": []}, [], "<html>hello</html>", {"data": "many"}])
async def test_a_malformed_model_list_is_unavailable(
    openai_engine: MakeEngine, openai_state: SandboxState, body: Any
) -> None:
    """Anything that is not a list of models is an error."""
    openai_state.knobs.faults = [Fault(200, body, times=-1)]

    with pytest.raises(EngineUnavailable, match="something that is not"):
        await openai_engine().models()


async def test_verification_requests_the_models(openai_engine: MakeEngine, openai_state: SandboxState) -> None:
    """A server that accepts the key passes."""
    openai_state.knobs.key = "sk-test"

    await openai_engine().verify()

    assert openai_state.record[0].path == "/v1/models"


async def test_verification_fails_with_a_refused_key(
    openai_engine: MakeEngine, openai_state: SandboxState, connect: Callable[..., Connection]
) -> None:
    """The key is not repeated."""
    openai_state.knobs.key = "another"

    with pytest.raises(EngineRejected) as error:
        await openai_engine(connect(secrets=("sk-test",))).verify()
    assert "sk-test" not in error.value.detail


async def test_a_prompt_is_rewritten_by_a_chat_completion(
    openai_engine: MakeEngine, openai_state: SandboxState
) -> None:
    """It has the instruction and the text."""
    completion = await openai_engine().complete(model="gpt-5.6-mini", system="rewrite", user="a fox")

    assert completion.text == "a fox, highly detailed"
    assert completion.usage == {
        "input_tokens": 21,
        "output_tokens": 6,
        "total_tokens": 27,
        "output_tokens_details": {"text_tokens": 6, "image_tokens": 0},
    }
    assert openai_state.record[0].json == {
        "model": "gpt-5.6-mini",
        "messages": [{"role": "system", "content": "rewrite"}, {"role": "user", "content": "a fox"}],
    }


@pytest.mark.parametrize(
    "body",
    [{}, [], {"choices": []}, {"choices": [{"message": None}]}, {"choices": [{"message": {"content": " "}}]}],
)
async def test_a_completion_without_text_is_unavailable(
    openai_engine: MakeEngine, openai_state: SandboxState, body: Any
) -> None:
    """An empty prompt must not be used."""
    openai_state.knobs.faults = [Fault(200, body)]

    with pytest.raises(EngineUnavailable, match="without text"):
        await openai_engine().complete(model="gpt-5.6-mini", system="rewrite", user="a fox")


async def test_azure_gets_its_own_path_query_and_header(
    openai_engine: MakeEngine, openai_state: SandboxState, openai_url: str, make_request: MakeRequest
) -> None:
    """The version is in the query, the key in Azure's header, and the path is the deployment's."""
    openai_state.knobs.key = "azure-key"
    url = f"{openai_url.removesuffix('/v1')}/openai/deployments/gpt-image-2"

    await openai_engine(url=url, key="azure-key", version="2026-10-01").generate(make_request())

    request = openai_state.record[0]
    assert request.path == "/openai/deployments/gpt-image-2/images/generations"
    assert request.query == {"api-version": "2026-10-01"}
    assert request.headers["api-key"] == "azure-key"
    assert "authorization" not in request.headers


async def test_an_image_url_from_azure_is_fetched_unchanged(
    openai_engine: MakeEngine, openai_state: SandboxState, openai_url: str, make_request: MakeRequest
) -> None:
    """The version is not added to its signed query."""
    openai_state.knobs.faults = [Fault(200, {"data": [{"url": "/v1/files/a.png?signature=1"}]})]

    with pytest.raises(EngineRejected):
        await openai_engine(version="2026-10-01").generate(make_request())

    assert openai_state.record[1].query == {"signature": "1"}


async def test_an_azure_deployment_lists_itself_as_its_only_model(
    openai_engine: MakeEngine, openai_state: SandboxState, openai_url: str
) -> None:
    """The resource's models are requested to check the key."""
    url = f"{openai_url.removesuffix('/v1')}/openai/deployments/my%20images"

    assert await ids(openai_engine(url=url, version="2026-10-01")) == ["my images"]
    assert openai_state.record[0].path == "/openai/models"


async def test_azure_rewrites_with_the_models_own_deployment(
    openai_engine: MakeEngine, openai_state: SandboxState, openai_url: str
) -> None:
    """Prompts are rewritten by the deployment that the model names, not by the one that makes images."""
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
def test_azure_is_detected_by_its_host(openai_engine: MakeEngine, url: str, header: str) -> None:
    """Azure's hosts get the key in Azure's header also without a version."""
    engine = openai_engine(url=url)

    assert list(engine._server.headers) == [header]


async def test_models_that_end_have_their_date(openai_engine: MakeEngine) -> None:
    """Their provider has announced it."""
    ends = {model.id: model.ends_on for model in await openai_engine().models()}

    assert (ends["gpt-image-2"], str(ends["gpt-image-1.5"])) == (None, "2026-12-01")


async def test_a_request_for_a_model_that_ends_has_a_warning(
    openai_engine: MakeEngine, make_request: MakeRequest
) -> None:
    """Also if the operator's parameters choose the model."""
    result = await openai_engine(params={"model": "gpt-image-1.5"}).generate(make_request(size=None))

    assert [warning.partition(" on ")[2] for warning in result.warnings] == [
        "2026-12-01, as its provider has announced: use gpt-image-2"
    ]
