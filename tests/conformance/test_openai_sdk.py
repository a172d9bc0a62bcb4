"""The OpenAI SDK beyond images: models, errors, warnings, its own retries, and what an engine is asked for them."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

from sandbox.engines.comfyui_workflows import CHECKPOINT
from tests.conformance.conftest import Engine, Gateway
from tests.conformance.hasty import Hasty

pytestmark = pytest.mark.xdist_group("conformance")

FOX: dict[str, Any] = {"prompt": "a fox", "size": "64x64"}
PAID = "/images/generations"
BUSY = {"status": 429, "body": {"error": {"message": "slow down"}}, "headers": {"Retry-After": "17"}}


Connect = Callable[..., Hasty]


@pytest.fixture(scope="module", autouse=True)
def inline(gateway: Gateway) -> Iterator[None]:
    """Requests are done by the functions that take them: their errors are seen at once."""
    gateway.use("openai")
    gateway.configure(IMAGE_ENGINE_TIMEOUT=20)
    yield
    gateway.configure(IMAGE_ENGINE_TIMEOUT=240)


@pytest.fixture
def engine(engines: dict[str, Engine]) -> Iterator[Engine]:
    """The sandbox's OpenAI, afresh."""
    engines["openai"].afresh()
    yield engines["openai"]
    engines["openai"].afresh()


@pytest.fixture(params=["OpenAI", "AsyncOpenAI"])
def connect(gateway: Gateway, request: pytest.FixtureRequest) -> Iterator[Connect]:
    """Makes clients of one kind, with the options given."""
    with contextlib.ExitStack() as closing:

        def connected(**options: Any) -> Hasty:
            where = {"base_url": f"{gateway.url}/v1", "api_key": gateway.token, "max_retries": 0}
            return closing.enter_context(contextlib.closing(Hasty(request.param, **{**where, **options})))

        yield connected


@pytest.fixture
def client(connect: Connect) -> Hasty:
    """A client that does not try again."""
    return connect()


def test_every_listed_model_is_found(client: Hasty) -> None:
    """By its name, with whatever slashes, spaces and brackets are in it; each says which engine has it."""
    listed = client.models.list().data

    found = [client.models.retrieve(model.id) for model in listed]

    assert [model.to_dict() for model in found] == [model.to_dict() for model in listed]
    assert {model.owned_by for model in listed} == {"openai", "gemini", "comfyui", "automatic1111"}
    assert {"gpt-image-2", "openai/gpt-image-2", "automatic1111/sandbox-painter.safetensors [5a4dbc0001]"} <= {
        model.id for model in listed
    }


def test_a_bare_model_is_the_configured_engines(client: Hasty, engine: Engine) -> None:
    """With or without its engine's name it is the same model there."""
    for model in ("gpt-image-2.6-sunburst", "openai/gpt-image-2.6-sunburst"):
        client.images.generate(model=model, **FOX)

    assert [requested["json"]["model"] for requested in engine.record(PAID)] == ["gpt-image-2.6-sunburst"] * 2


def test_usage_is_what_the_engine_tells(client: Hasty, engine: Engine) -> None:
    """The typed answer has all that OpenAI's would have."""
    answer = client.images.generate(**FOX, n=2, quality="low", output_format="webp")

    assert answer.data is not None
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens
    assert (len(answer.data), answer.quality, answer.output_format, answer.size) == (2, "low", "webp", "64x64")


def test_warnings_are_in_a_header(client: Hasty, engine: Engine) -> None:
    """What this API has no place for: a raw answer has it."""
    raw = client.images.with_raw_response.generate(**FOX, extra_body={"negative_prompt": "snow"})

    assert "negative_prompt" in raw.headers["x-image-gateway-warnings"]
    assert raw.parse().data


def test_requests_are_known_by_their_ids(client: Hasty) -> None:
    """The typed answer has its id as the SDK reads it, and so has an exception."""
    answer = client.images.generate(**FOX)
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(prompt="")

    assert answer._request_id
    assert caught.value.request_id
    assert answer._request_id != caught.value.request_id


def test_another_engine_s_usage_is_typed_too(client: Hasty) -> None:
    """Gemini's counts have all that the SDK's type has."""
    usage = client.images.generate(prompt="a fox", model="gemini/gemini-sandbox-image").usage

    assert (usage.total_tokens, usage.input_tokens_details.text_tokens) == (1297, 7)


@pytest.mark.parametrize(
    ("fields", "kind", "param", "code"),
    [
        ({"size": "big"}, openai.BadRequestError, "size", "invalid_size"),
        ({"n": 99}, openai.BadRequestError, "n", "invalid_request"),
        ({"extra_body": {"stream": True}}, openai.BadRequestError, "stream", "invalid_request"),
        ({"model": "none"}, openai.BadRequestError, "model", "engine_rejected"),
        ({"prompt": "something forbidden"}, openai.BadRequestError, None, "content_blocked"),
    ],
)
def test_what_is_wrong_with_a_request_is_said(
    client: Hasty, fields: dict[str, Any], kind: type[openai.APIStatusError], param: str | None, code: str
) -> None:
    """As the SDK's exception, with the field and the gateway's code."""
    with pytest.raises(kind) as caught:
        client.images.generate(**{**FOX, **fields})

    assert (caught.value.param, caught.value.code) == (param, code)
    assert caught.value.message


def test_an_image_that_is_none_is_said(client: Hasty) -> None:
    """The field at fault is `image`."""
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.edit(image=b"nothing to see", prompt="a hat")

    assert (caught.value.param, caught.value.code) == ("image", "invalid_image")


def test_a_token_that_is_nobodys(connect: Connect) -> None:
    """An AuthenticationError."""
    with pytest.raises(openai.AuthenticationError) as caught:
        connect(api_key="igw_nobody").images.generate(**FOX)

    assert caught.value.code == "unauthorized"


def test_what_is_switched_off(gateway: Gateway, client: Hasty) -> None:
    """A PermissionDeniedError."""
    gateway.configure(ENABLE_IMAGE_GENERATION=False)
    try:
        with pytest.raises(openai.PermissionDeniedError) as caught:
            client.images.generate(**FOX)
    finally:
        gateway.configure(ENABLE_IMAGE_GENERATION=True)

    assert caught.value.code == "disabled"


def test_a_model_that_is_none(client: Hasty) -> None:
    """A NotFoundError."""
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("comfyui/none.safetensors")

    assert (caught.value.param, caught.value.code) == ("model", "not_found")


def test_what_is_not_configured_is_not_tried_again(gateway: Gateway, connect: Connect) -> None:
    """A ConflictError that another attempt would not change."""
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


def test_an_engine_that_is_busy(client: Hasty, engine: Engine) -> None:
    """A RateLimitError, with the seconds that the engine asks for."""
    engine.set(faults=[BUSY])

    with pytest.raises(openai.RateLimitError) as caught:
        client.images.generate(**FOX)

    assert caught.value.response.headers["retry-after"] == "17"
    assert caught.value.code == "engine_rate_limited"


def test_the_sdk_tries_again_when_the_engine_says(connect: Connect, engine: Engine) -> None:
    """It waits as long as `Retry-After` says, and gets its image then."""
    client = connect(max_retries=2)
    engine.set(faults=[BUSY])

    answer = client.images.generate(**FOX)

    assert answer.data
    assert client.waits == [17]
    assert len(engine.record(PAID)) == 2


def test_a_busy_edit_is_sent_again_with_its_files(connect: Connect, engine: Engine, photos: list[Any]) -> None:
    """The form of the second attempt has what the first one had."""
    client = connect(max_retries=2)
    engine.set(faults=[BUSY])

    client.images.edit(image=photos, prompt="a hat", size="64x64")

    first, second = engine.record("/images/edits")
    assert [len(requested["files"]) for requested in (first, second)] == [3, 3]
    assert client.waits == [17]


@pytest.mark.parametrize(
    "fault", [{"status": 500, "body": "broken"}, {"status": 200, "body": "nonsense"}, {"status": 0}]
)
def test_what_may_have_been_paid_is_not_paid_twice(connect: Connect, engine: Engine, fault: dict[str, Any]) -> None:
    """The SDK, which would try any 5xx again, is told not to: one call of the engine."""
    client = connect(max_retries=2)
    engine.set(faults=[fault])

    with pytest.raises(openai.InternalServerError) as caught:
        client.images.generate(**FOX)

    assert (caught.value.status_code, caught.value.code) == (502, "engine_unavailable")
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert client.waits == []
    assert len(engine.record(PAID)) == 1


def test_an_engine_that_is_too_slow_is_not_paid_twice(gateway: Gateway, connect: Connect, engine: Engine) -> None:
    """A 504 of the gateway's, and one call of the engine."""
    client = connect(max_retries=2)
    gateway.configure(IMAGE_ENGINE_TIMEOUT=1)
    engine.set(latency=3)
    try:
        with pytest.raises(openai.InternalServerError) as caught:
            client.images.generate(**FOX)
    finally:
        gateway.configure(IMAGE_ENGINE_TIMEOUT=20)

    assert (caught.value.status_code, caught.value.code) == (504, "engine_timeout")
    assert client.waits == []
    assert len(engine.record(PAID)) == 1


def test_an_sdk_that_gives_up_waiting_is_given_the_same_job(connect: Connect, engine: Engine) -> None:
    """Its own timeout makes it ask again; that is the same job, and the engine is called once."""
    client = connect(max_retries=4, timeout=1.5)
    engine.set(latency=4)

    answer = client.images.generate(**FOX, user="who does not wait")

    assert answer.data
    assert client.waits
    assert len(engine.record(PAID)) == 1


def test_an_sdk_that_gives_up_for_good(connect: Connect, engine: Engine) -> None:
    """An APITimeoutError."""
    engine.set(latency=2)

    with pytest.raises(openai.APITimeoutError):
        connect(timeout=0.5).images.generate(**FOX, user="who gives up")
