"""The `openai` engine: valid and invalid responses."""

import base64
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from image_gateway.engines.connection import Connection
from image_gateway.engines.openai.engine import OpenAIEngine
from image_gateway.engines.protocol import ImageRequest
from image_gateway.errors import ContentBlocked, EngineUnavailable, InvalidUrl
from image_gateway.images.sniff import sniff
from sandbox.engines.state import Fault, SandboxState

pytestmark = pytest.mark.anyio

MakeEngine = Callable[..., OpenAIEngine]
MakeRequest = Callable[..., ImageRequest]


async def test_an_image_url_of_the_engines_origin_is_fetched_with_the_key(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """The credentials are valid for this origin."""
    openai_state.knobs.key = "sk-test"

    result = await openai_engine().generate(make_request(model="sandbox-url"))

    assert sniff(result.images[0].data).width == 64
    fetched = openai_state.record[1]
    assert (fetched.method, fetched.headers["authorization"]) == ("GET", "Bearer sk-test")
    assert result.images[0].revised_prompt == "a fox, as the sandbox understood it"


async def test_an_image_url_of_another_origin_is_fetched_without_the_key(
    openai_engine: MakeEngine,
    openai_state: SandboxState,
    connect: Callable[..., Connection],
    make_request: MakeRequest,
    png: Callable[[int], bytes],
) -> None:
    """Only the URL is passed to the download of public addresses."""
    fetched_urls: list[str] = []

    async def fetch(url: str) -> bytes:
        fetched_urls.append(url)
        return png(7)

    url = "https://images.example/a.png?signature=1"
    openai_state.knobs.faults = [Fault(200, {"data": [{"url": url}]})]

    result = await openai_engine(replace(connect(), fetch=fetch)).generate(make_request())

    assert fetched_urls == [url]
    assert [image.data for image in result.images] == [png(7)]
    assert len(openai_state.record) == 1


async def test_an_image_url_of_a_private_address_is_unavailable(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """It is the engine's failure, not the caller's, and the image was paid for."""
    openai_state.knobs.faults = [Fault(200, {"data": [{"url": "http://169.254.169.254/latest"}]})]

    with pytest.raises(EngineUnavailable) as error:
        await openai_engine().generate(make_request())

    assert error.value.detail == (
        "openai returned an image URL that cannot be fetched: http://169.254.169.254/latest is not a public address "
        "(add its host to FetchAllowedHosts, or make the engine return b64_json)"
    )
    assert error.value.may_have_cost


async def test_a_failed_download_has_no_advice_about_addresses(
    openai_engine: MakeEngine, openai_state: SandboxState, connect: Callable[..., Connection], make_request: MakeRequest
) -> None:
    """The host may be fetched, and refused the request."""

    async def fetch(_url: str) -> bytes:
        raise InvalidUrl("images.example answered 403")

    openai_state.knobs.faults = [Fault(200, {"data": [{"url": "https://images.example/a.png"}]})]

    with pytest.raises(EngineUnavailable, match=r"cannot be fetched: images.example answered 403$"):
        await openai_engine(replace(connect(), fetch=fetch)).generate(make_request())


async def test_a_data_url_is_decoded(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest, png: Callable[[int], bytes]
) -> None:
    """A `data:` URL holds the image itself."""
    url = f"data:image/png;base64,{base64.b64encode(png(3)).decode()}"
    openai_state.knobs.faults = [Fault(200, {"data": [{"url": url, "revised_prompt": 5}]})]

    result = await openai_engine().generate(make_request())

    assert [(image.data, image.revised_prompt) for image in result.images] == [(png(3), None)]


@pytest.mark.parametrize(
    ("body", "text"),
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
async def test_a_response_without_a_usable_image_is_not_retried(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest, body: Any, text: str
) -> None:
    """It is an error that may have cost something."""
    openai_state.knobs.faults = [Fault(200, body)]

    with pytest.raises(EngineUnavailable) as error:
        await openai_engine().generate(make_request())

    assert text in error.value.detail
    assert error.value.may_have_cost
    assert len(openai_state.record) == 1


@pytest.mark.parametrize("usage", [None, [1], "many"])
async def test_malformed_usage_is_ignored(
    openai_engine: MakeEngine,
    openai_state: SandboxState,
    make_request: MakeRequest,
    png: Callable[[int], bytes],
    usage: Any,
) -> None:
    """A token count that is not an object is left out."""
    body = {"data": [{"b64_json": base64.b64encode(png(1)).decode()}], "usage": usage}
    openai_state.knobs.faults = [Fault(200, body)]

    assert (await openai_engine().generate(make_request())).usage is None


async def test_a_prompt_refused_by_moderation_is_a_content_block(
    openai_engine: MakeEngine, make_request: MakeRequest
) -> None:
    """The error has the engine's error text."""
    with pytest.raises(ContentBlocked, match="rejected by the safety system"):
        await openai_engine().generate(make_request(prompt="a forbidden fox"))


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
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest, status: int, error: dict[str, Any]
) -> None:
    """Blocks of Azure and other providers are distinguished from other refusals, also in a 200."""
    openai_state.knobs.faults = [Fault(status, {"error": error})]

    with pytest.raises(ContentBlocked, match="openai blocked the content: no"):
        await openai_engine().generate(make_request())
