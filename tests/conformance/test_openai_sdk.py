"""The OpenAI SDK beyond images: models, errors, warnings, the SDK's retries, and their requests to the engine."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

from sandbox.engines.comfyui_workflows import CHECKPOINT
from tests.conformance.conftest import Engine, Gateway
from tests.conformance.sdk_client import SDKClient
from tests.polling import LONG, meanwhile, wait_until

pytestmark = pytest.mark.xdist_group("conformance")

FOX: dict[str, Any] = {"prompt": "a fox", "size": "64x64"}
GENERATIONS = "/images/generations"
BUSY = {"status": 429, "body": {"error": {"message": "slow down"}}, "headers": {"Retry-After": "17"}}


Connect = Callable[..., SDKClient]


@pytest.fixture(scope="module", autouse=True)
def inline(gateway: Gateway) -> Iterator[None]:
    """Run jobs inline, in the functions that receive the requests, so that their errors are in the responses."""
    gateway.use("openai")
    gateway.configure(IMAGE_ENGINE_TIMEOUT=20)
    yield
    gateway.configure(IMAGE_ENGINE_TIMEOUT=240)


@pytest.fixture
def engine(engines: dict[str, Engine]) -> Iterator[Engine]:
    """The sandbox's `openai` engine, reset before and after the test."""
    engines["openai"].reset()
    yield engines["openai"]
    engines["openai"].reset()


@pytest.fixture(params=["OpenAI", "AsyncOpenAI"])
def connect(gateway: Gateway, request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Create clients of one of the SDK's classes; without retries, unless the options say otherwise."""
    with contextlib.ExitStack() as closing:

        def connect(**options: Any) -> SDKClient:
            defaults = {"base_url": f"{gateway.url}/v1", "api_key": gateway.token, "max_retries": 0}
            return closing.enter_context(contextlib.closing(SDKClient(request.param, **{**defaults, **options})))

        yield connect


@pytest.fixture
def client(connect: Connect) -> SDKClient:
    """A client that does not retry."""
    return connect()


def test_every_listed_model_can_be_retrieved(client: SDKClient) -> None:
    """Every listed model can be retrieved by its name, with slashes, spaces and brackets, and names its engine."""
    listed = client.models.list().data

    retrieved = [client.models.retrieve(model.id) for model in listed]

    assert [model.to_dict() for model in retrieved] == [model.to_dict() for model in listed]
    assert {model.owned_by for model in listed} == {"openai", "gemini", "comfyui", "automatic1111"}
    assert {"gpt-image-2", "openai/gpt-image-2", "automatic1111/sandbox-painter.safetensors [5a4dbc0001]"} <= {
        model.id for model in listed
    }


def test_a_model_without_prefix_belongs_to_the_configured_engine(client: SDKClient, engine: Engine) -> None:
    """The configured engine gets the same model name with and without the engine's prefix."""
    for model in ("gpt-image-2.6-sunburst", "openai/gpt-image-2.6-sunburst"):
        client.images.generate(model=model, **FOX)

    assert [request["json"]["model"] for request in engine.posts(GENERATIONS)] == ["gpt-image-2.6-sunburst"] * 2


def test_the_response_has_the_engines_usage(client: SDKClient, engine: Engine) -> None:
    """The typed response has all fields of OpenAI's, including the engine's usage."""
    response = client.images.generate(**FOX, n=2, quality="low", output_format="webp")

    assert response.data is not None
    assert response.usage is not None
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    assert (len(response.data), response.quality, response.output_format, response.size) == (2, "low", "webp", "64x64")


def test_warnings_are_in_a_header(client: SDKClient, engine: Engine) -> None:
    """Warnings, for which the OpenAI API has no field, are in a header of the raw response."""
    raw = client.images.with_raw_response.generate(**FOX, extra_body={"negative_prompt": "snow"})

    assert "negative_prompt" in raw.headers["x-image-gateway-warnings"]
    assert raw.parse().data


def test_responses_and_exceptions_have_request_ids(client: SDKClient) -> None:
    """The typed response has the request's id where the SDK expects it, and so does an exception."""
    response = client.images.generate(**FOX)
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(prompt="")

    assert response._request_id
    assert caught.value.request_id
    assert response._request_id != caught.value.request_id


def test_gemini_usage_has_the_sdks_fields(client: SDKClient) -> None:
    """Gemini's token counts have all fields of the SDK's type."""
    usage = client.images.generate(prompt="a fox", model="gemini/gemini-sandbox-image").usage

    assert (usage.total_tokens, usage.input_tokens_details.text_tokens) == (1297, 7)


@pytest.mark.parametrize(
    ("fields", "error", "param", "code"),
    [
        ({"size": "big"}, openai.BadRequestError, "size", "invalid_size"),
        ({"n": 99}, openai.BadRequestError, "n", "invalid_request"),
        ({"extra_body": {"stream": True}}, openai.BadRequestError, "stream", "invalid_request"),
        ({"model": "none"}, openai.BadRequestError, "model", "engine_rejected"),
        ({"prompt": "something forbidden"}, openai.BadRequestError, None, "moderation_blocked"),
    ],
)
def test_an_invalid_request_is_the_sdks_exception(
    client: SDKClient, fields: dict[str, Any], error: type[openai.APIStatusError], param: str | None, code: str
) -> None:
    """An invalid request raises the SDK's exception, with the field's name and the gateway's code."""
    with pytest.raises(error) as caught:
        client.images.generate(**{**FOX, **fields})

    assert (caught.value.param, caught.value.code) == (param, code)
    assert caught.value.message


def test_an_invalid_input_image_is_a_bad_request(client: SDKClient) -> None:
    """An input that is not an image is a `BadRequestError` that names the field `image`."""
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.edit(image=b"nothing to see", prompt="a hat")

    assert (caught.value.param, caught.value.code) == ("image", "invalid_image")


def test_an_unknown_token_is_an_authentication_error(connect: Connect) -> None:
    """An unknown token is an `AuthenticationError`."""
    with pytest.raises(openai.AuthenticationError) as caught:
        connect(api_key="igw_unknown").images.generate(**FOX)

    assert caught.value.code == "unauthorized"


def test_disabled_generation_is_a_permission_error(gateway: Gateway, client: SDKClient) -> None:
    """A generation while generation is disabled is a `PermissionDeniedError`."""
    gateway.configure(ENABLE_IMAGE_GENERATION=False)
    try:
        with pytest.raises(openai.PermissionDeniedError) as caught:
            client.images.generate(**FOX)
    finally:
        gateway.configure(ENABLE_IMAGE_GENERATION=True)

    assert caught.value.code == "disabled"


def test_an_unknown_model_is_a_not_found_error(client: SDKClient) -> None:
    """An unknown model is a `NotFoundError`."""
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("comfyui/none.safetensors")

    assert (caught.value.param, caught.value.code) == ("model", "not_found")


def test_an_engine_that_is_not_configured_is_not_retried(gateway: Gateway, connect: Connect) -> None:
    """A missing configuration is a `ConflictError`, which the SDK does not retry."""
    client = connect(max_retries=2)
    gateway.configure(IMAGE_GENERATION_ENGINE="comfyui", IMAGE_GENERATION_MODEL="", COMFYUI_WORKFLOW="")
    try:
        with pytest.raises(openai.ConflictError) as caught:
            client.images.generate(**FOX)
    finally:
        gateway.engine = ""
        gateway.use("openai")
        gateway.configure(**CHECKPOINT.fields())

    assert (caught.value.param, caught.value.code) == ("COMFYUI_WORKFLOW", "not_configured")
    assert client.waits == []


def test_a_busy_engine_is_a_rate_limit_error(client: SDKClient, engine: Engine) -> None:
    """A rate limit of the engine is a `RateLimitError` with the engine's `Retry-After`."""
    engine.set_knobs(faults=[BUSY])

    with pytest.raises(openai.RateLimitError) as caught:
        client.images.generate(**FOX)

    assert caught.value.response.headers["retry-after"] == "17"
    assert caught.value.code == "engine_rate_limited"


def test_the_sdk_retries_after_the_engines_retry_after(connect: Connect, engine: Engine) -> None:
    """The SDK waits for the time in `Retry-After`, and then gets its image."""
    client = connect(max_retries=2)
    engine.set_knobs(faults=[BUSY])

    response = client.images.generate(**FOX)

    assert response.data
    assert client.waits == [17]
    assert len(engine.posts(GENERATIONS)) == 2


def test_a_retried_edit_has_all_files(connect: Connect, engine: Engine, photos: list[Any]) -> None:
    """The form of the retry has the same files as the first attempt."""
    client = connect(max_retries=2)
    engine.set_knobs(faults=[BUSY])

    client.images.edit(image=photos, prompt="a hat", size="64x64")

    first, second = engine.posts("/images/edits")
    assert [len(request["files"]) for request in (first, second)] == [3, 3]
    assert client.waits == [17]


@pytest.mark.parametrize(
    "fault", [{"status": 500, "body": "broken"}, {"status": 200, "body": "nonsense"}, {"status": 0}]
)
def test_an_engine_error_that_may_have_cost_money_is_not_retried(
    connect: Connect, engine: Engine, fault: dict[str, Any]
) -> None:
    """`x-should-retry` keeps the SDK from retrying a 502, so that the engine is called once."""
    client = connect(max_retries=2)
    engine.set_knobs(faults=[fault])

    with pytest.raises(openai.InternalServerError) as caught:
        client.images.generate(**FOX)

    assert (caught.value.status_code, caught.value.code) == (502, "engine_unavailable")
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert client.waits == []
    assert len(engine.posts(GENERATIONS)) == 1


def test_an_engine_timeout_is_not_retried(gateway: Gateway, connect: Connect, engine: Engine) -> None:
    """An engine that is too slow is a 504 of the gateway, and the engine is called once."""
    client = connect(max_retries=2)
    gateway.configure(IMAGE_ENGINE_TIMEOUT=1)
    engine.set_knobs(latency=LONG)
    try:
        with pytest.raises(openai.InternalServerError) as caught:
            client.images.generate(**FOX)
    finally:
        gateway.configure(IMAGE_ENGINE_TIMEOUT=20)

    assert (caught.value.status_code, caught.value.code) == (504, "engine_timeout")
    assert client.waits == []
    assert len(engine.posts(GENERATIONS)) == 1


def test_a_retry_after_the_sdks_timeout_gets_the_same_job(connect: Connect, engine: Engine) -> None:
    """A retry after the SDK's own timeout returns the same job, and the engine is called once."""
    client = connect(max_retries=40, timeout=1.5)
    engine.set_knobs(latency=LONG)

    def answer_after_a_timeout() -> None:
        wait_until(lambda: client.waits and engine.posts(GENERATIONS))
        engine.set_knobs(latency=0)

    with meanwhile(answer_after_a_timeout):
        response = client.images.generate(**FOX, user="caller that retries")

    assert response.data
    assert len(engine.posts(GENERATIONS)) == 1


def test_the_sdks_timeout_is_an_api_timeout_error(connect: Connect, engine: Engine) -> None:
    """Without retries, the SDK's own timeout is an `APITimeoutError`."""
    engine.set_knobs(latency=LONG)

    with pytest.raises(openai.APITimeoutError):
        connect(timeout=0.5).images.generate(**FOX, user="caller that gives up")
