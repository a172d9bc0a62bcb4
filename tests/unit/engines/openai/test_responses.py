"""The `openai` engine: answers, good and bad."""

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from image_gateway.engines.connection import Connection
from image_gateway.engines.openai.engine import OpenAIEngine
from image_gateway.engines.protocol import ImageRequest
from image_gateway.errors import ContentBlocked, EngineUnavailable
from image_gateway.images.sniff import sniff
from sandbox.engines.state import Fault, SandboxState

pytestmark = pytest.mark.anyio

MakeEngine = Callable[..., OpenAIEngine]
Ask = Callable[..., ImageRequest]


async def test_url_on_the_engines_origin_is_fetched_with_the_key(
    openai_engine: MakeEngine, openai_state: SandboxState, ask: Ask
) -> None:
    """An image answered by URL on the engine's own origin is fetched with the engine's key."""
    openai_state.knobs.key = "sk-test"

    result = await openai_engine().generate(ask(model="sandbox-url"))

    assert sniff(result.images[0].data).width == 64
    fetched = openai_state.record[1]
    assert (fetched.method, fetched.headers["authorization"]) == ("GET", "Bearer sk-test")
    assert result.images[0].revised_prompt == "a fox, as the sandbox understood it"


async def test_url_elsewhere_is_fetched_without_the_key(
    openai_engine: MakeEngine, openai_state: SandboxState, connect: Callable[..., Connection], ask: Ask,
    png: Callable[[int], bytes],
) -> None:  # fmt: skip
    """An image on another origin goes through the guard for callers' URLs, which is told nothing but the URL."""
    requested: list[str] = []

    async def fetch(url: str) -> bytes:
        requested.append(url)
        return png(7)

    url = "https://images.example/a.png?signature=1"
    openai_state.knobs.faults = [Fault(200, {"data": [{"url": url}]})]

    result = await openai_engine(replace(connect(), fetch=fetch)).generate(ask())

    assert requested == [url]
    assert [image.data for image in result.images] == [png(7)]
    assert len(openai_state.record) == 1


async def test_url_that_the_guard_refuses(openai_engine: MakeEngine, openai_state: SandboxState, ask: Ask) -> None:
    """A URL that may not be fetched is the engine's failure, not the caller's, and was paid for."""
    openai_state.knobs.faults = [Fault(200, {"data": [{"url": "http://169.254.169.254/latest"}]})]

    with pytest.raises(EngineUnavailable, match=r"cannot be fetched: .*is not a public address") as error:
        await openai_engine().generate(ask())
    assert error.value.may_have_cost


async def test_data_url_is_decoded(
    openai_engine: MakeEngine, openai_state: SandboxState, ask: Ask, png: Callable[[int], bytes]
) -> None:
    """A `data:` URL in place of an address holds the image itself."""
    url = f"data:image/png;base64,{base64.b64encode(png(3)).decode()}"
    openai_state.knobs.faults = [Fault(200, {"data": [{"url": url, "revised_prompt": 5}]})]

    result = await openai_engine().generate(ask())

    assert [(image.data, image.revised_prompt) for image in result.images] == [(png(3), None)]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"created": 1, "data": []}, "answered without images: no explanation"),
        ({"created": 1}, "answered without images: no explanation"),
        ([], "answered without images"),
        ({"error": {"message": "the card is on fire"}}, "answered without images: the card is on fire"),
        ({"data": [{"b64_json": base64.b64encode(b"image!").decode()[:-3]}]}, "not valid base64"),
        ({"data": [{"b64_json": "<html>no</html>"}]}, "not valid base64"),
        ({"data": [{"b64_json": ["a"]}]}, "not valid base64"),
        ({"data": [{"revised_prompt": "a fox"}]}, "neither b64_json nor url"),
        ({"data": [{"b64_json": "", "url": ""}]}, "neither b64_json nor url"),
        ({"data": ["an image"]}, "neither b64_json nor url"),
        ({"data": [{"url": "http://engine:99999999/"}]}, "malformed image URL"),
        ("{'not': json", "something that is not JSON: {'not': json"),
    ],
)
async def test_answer_without_a_usable_image(
    openai_engine: MakeEngine, openai_state: SandboxState, ask: Ask, body: Any, said: str
) -> None:
    """An answer without a usable image is an error that may have cost, and is not asked for again."""
    openai_state.knobs.faults = [Fault(200, body)]

    with pytest.raises(EngineUnavailable) as error:
        await openai_engine().generate(ask())

    assert said in error.value.detail
    assert error.value.may_have_cost
    assert len(openai_state.record) == 1


@pytest.mark.parametrize("usage", [None, [1], "many"])
async def test_odd_usage_is_ignored(
    openai_engine: MakeEngine, openai_state: SandboxState, ask: Ask, png: Callable[[int], bytes], usage: Any
) -> None:
    """A token count that is no object does no harm."""
    body = {"data": [{"b64_json": base64.b64encode(png(1)).decode()}], "usage": usage}
    openai_state.knobs.faults = [Fault(200, body)]

    assert (await openai_engine().generate(ask())).usage is None


async def test_forbidden_content(openai_engine: MakeEngine, ask: Ask) -> None:
    """A prompt that moderation refuses is a content block, in the engine's words."""
    with pytest.raises(ContentBlocked, match="rejected by the safety system"):
        await openai_engine().generate(ask(prompt="a forbidden fox"))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, {"message": "no", "code": "content_policy_violation"}),
        (400, {"message": "no", "code": "content_filter"}),
        (403, {"message": "no", "type": "moderation_blocked", "code": None}),
        (400, {"message": "no", "code": "BadRequest", "innererror": {"code": "ResponsibleAIPolicyViolation"}}),
        (200, {"message": "no", "code": "content_filter"}),
    ],
)
async def test_content_blocks_of_other_providers(
    openai_engine: MakeEngine, openai_state: SandboxState, ask: Ask, status: int, error: dict[str, Any]
) -> None:
    """Azure's and others' ways to block content are told from other refusals, also behind a 200."""
    openai_state.knobs.faults = [Fault(status, {"error": error})]

    with pytest.raises(ContentBlocked, match="openai blocked the content: no"):
        await openai_engine().generate(ask())
