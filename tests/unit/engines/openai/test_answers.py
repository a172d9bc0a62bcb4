"""The `openai` engine: images that compatible servers return under other names than OpenAI's."""

import base64
import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from image_gateway.engines.connection import Connection
from image_gateway.engines.openai.answers import find_images
from image_gateway.engines.openai.engine import OpenAIEngine
from image_gateway.engines.protocol import ImageRequest
from image_gateway.errors import EngineUnavailable
from image_gateway.images.sniff import sniff
from sandbox.engines.state import Fault, SandboxState

pytestmark = pytest.mark.anyio

MakeEngine = Callable[..., OpenAIEngine]
MakeRequest = Callable[..., ImageRequest]
Png = Callable[[int], bytes]

URL = "https://images.example/a.png"


@pytest.mark.parametrize("response_format", ["url", "b64_json"])
@pytest.mark.parametrize("answer", ["images", "list", "b64", "image", "output", "text"])
async def test_an_image_under_another_name_is_returned(
    openai_engine: MakeEngine,
    openai_state: SandboxState,
    make_request: MakeRequest,
    answer: str,
    response_format: str,
) -> None:
    """It was paid for, whatever its name is, and it is requested once."""
    engine = openai_engine(params={"response_format": response_format})

    result = await engine.generate(make_request(model=f"sandbox-answer-{answer}"))

    assert [sniff(image.data).width for image in result.images] == [64]
    assert [request.method for request in openai_state.record].count("POST") == 1


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"images": ["{b64}"]}},
        {"data": ["{b64}"]},
        {"data": "{url}"},
        {"url": "{url}"},
        {"b64_json": "{b64}"},
        {"image_url": "{url}"},
        {"images": [{"image_url": {"url": "{url}"}}]},
        {"images": ["data:image/png;base64,{b64}"]},
        {"result": {"image": "{b64}"}},
        {"output": {"results": [{"url": "{url}"}]}},
        {"output": "{url}", "status": "succeeded"},
        {"artifacts": [{"base64": "{b64}", "finishReason": "SUCCESS"}]},
        {"predictions": [{"bytesBase64Encoded": "{b64}"}]},
        {"data": [], "images": [{"url": "{url}"}]},
        {"data": [{"b64_json": None, "url": "{url}"}]},
        {"data": [{"b64_json": "{url}"}]},
        {"data": [{"imageURL": "{url}", "cost": 0.01}]},
        {"picture": "{b64}"},
        {"image_urls": ["{url}"]},
        {"result": {"sample": "{url}", "prompt": "a fox"}},
        {"generated_images": [{"content": {"encoded": "{b64}", "mime": "image/png"}}]},
        {"output": {"choices": [{"message": {"content": [{"image": "{url}"}]}}]}},
        {"choices": [{"message": {"images": [{"image_url": {"url": "data:image/png;base64,{b64}"}}]}}]},
        {"download_url": "{url}", "public_url": "{url}?signed=1"},
        {"input": {"image": "{b64} and another"}, "files": [{"link": "{url}"}]},
        {"data": [{"thumbnail_url": "https://images.example/small.png", "fileUrl": "{url}"}]},
    ],
)
async def test_names_of_known_servers(
    openai_engine: MakeEngine,
    openai_state: SandboxState,
    connect: Callable[..., Connection],
    make_request: MakeRequest,
    png: Png,
    body: Any,
) -> None:
    """Cloudflare, DashScope, Stability and others nest and name their images each in their own way."""

    async def fetch(url: str) -> bytes:
        assert url == URL
        return png(7)

    openai_state.knobs.faults = [Fault(200, filled(body, png(7)))]

    result = await openai_engine(replace(connect(), fetch=fetch)).generate(make_request())

    assert [image.data for image in result.images] == [png(7)]


async def test_a_long_image_under_another_name_is_returned(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """Long images are decoded while the response arrives."""
    image = bytes(range(256)) * 64
    openai_state.knobs.faults = [Fault(200, {"images": [base64.b64encode(image).decode()]})]

    result = await openai_engine().generate(make_request())

    assert [image.data for image in result.images] == [image]


async def test_a_response_that_is_an_image_is_returned(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest
) -> None:
    """Some servers return the bytes of the image themselves."""
    openai_state.knobs.faults = [Fault(200, "GIF89a, more or less", {"content-type": "image/gif"})]

    result = await openai_engine().generate(make_request())

    assert [image.data for image in result.images] == [b"GIF89a, more or less"]


async def test_a_plain_text_that_is_a_url_is_fetched(
    openai_engine: MakeEngine, openai_state: SandboxState, connect: Callable[..., Connection],
    make_request: MakeRequest, png: Png,
) -> None:  # fmt: skip
    """Not every server puts it into quotes."""

    async def fetch(_url: str) -> bytes:
        return png(7)

    openai_state.knobs.faults = [Fault(200, f"{URL}\n")]

    result = await openai_engine(replace(connect(), fetch=fetch)).generate(make_request())

    assert [image.data for image in result.images] == [png(7)]


async def test_a_revised_prompt_is_kept(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest, png: Png
) -> None:
    """It is beside the image, under any of its names."""
    item = {"b64": base64.b64encode(png(1)).decode(), "revised_prompt": "a red fox"}
    openai_state.knobs.faults = [Fault(200, {"images": [item]})]

    result = await openai_engine().generate(make_request())

    assert [image.revised_prompt for image in result.images] == ["a red fox"]


async def test_several_images_under_other_names_keep_their_order(
    openai_engine: MakeEngine, openai_state: SandboxState, make_request: MakeRequest, png: Png
) -> None:
    """They are counted as the requested ones, so that none is requested again."""
    images = [base64.b64encode(png(number)).decode() for number in (1, 2, 3)]
    openai_state.knobs.faults = [Fault(200, {"images": images})]

    result = await openai_engine().generate(make_request(n=3))

    assert [image.data for image in result.images] == [png(1), png(2), png(3)]
    assert len(openai_state.record) == 1


async def test_a_task_is_named_as_such(openai_engine: MakeEngine, make_request: MakeRequest) -> None:
    """A 202 with a task id has no image; the error names the keys that came."""
    with pytest.raises(EngineUnavailable) as error:
        await openai_engine().generate(make_request(model="sandbox-answer-task"))

    assert error.value.detail == (
        "openai answered without images: no explanation; the keys of the answer are task_id, status. It started a "
        "task, and the gateway needs a server that answers with the images"
    )
    assert error.value.may_have_cost


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"created": 1, "picture": "x"}, "the keys of the answer are created, picture"),
        ({"id": "1", "docs_url": "https://docs.example/image.png"}, "the keys of the answer are id, docs_url"),
        ({"id": "1", "status": "starting", "urls": {"get": "https://a.example/v1/1"}}, "It started a task"),
        ({"input": {"image_url": "https://a.example/a.png"}, "eta": 3}, "the keys of the answer are input, eta"),
        ({"data": [{"revised_prompt": "a fox", "seed": 1}]}, "the keys of the image are revised_prompt, seed"),
        ({"data": [{"sk-secret": 1}]}, "the keys of the image are ***"),
        ({str(number): 1 for number in range(50)}, "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, …"),
    ],
)
async def test_what_cannot_be_read_is_named_by_its_keys(
    openai_engine: MakeEngine,
    openai_state: SandboxState,
    connect: Callable[..., Connection],
    make_request: MakeRequest,
    body: Any,
    text: str,
) -> None:
    """The keys tell the operator what the server returns; no secret is among them."""
    openai_state.knobs.faults = [Fault(200, body)]

    with pytest.raises(EngineUnavailable) as error:
        await openai_engine(connect(secrets=("sk-secret",))).generate(make_request())

    assert text in error.value.detail
    assert error.value.may_have_cost


def test_the_search_for_unnamed_images_is_bounded() -> None:
    """A response may have millions of values, nested to any depth."""
    deep: Any = {"picture": "data:image/png;base64," + "A" * 64}
    for _ in range(200):
        deep = {"more": deep}

    assert find_images(deep) == []
    assert find_images({"list": [{"a": 1}] * 20_000 + [deep]}) == []


def filled(body: Any, image: bytes) -> Any:
    """Return the body with `{b64}` and `{url}` replaced."""
    if isinstance(body, str):
        return body.replace("{b64}", base64.b64encode(image).decode()).replace("{url}", URL)
    if isinstance(body, list):
        return [filled(item, image) for item in body]
    if isinstance(body, dict):
        return {name: filled(value, image) for name, value in body.items()}
    return body


def test_the_search_for_base64_takes_linear_time() -> None:
    """A long text with spaces is not base64; a server may return the prompt."""
    assert find_images({"output": "A" * 64 + " " * 400_000 + "!"}) == []


def test_base64_in_short_lines_is_found_without_a_text_for_each_line() -> None:
    """These texts would take many times the memory of the whole."""
    text = "QUJD\n" * 100_000
    tracemalloc.start()
    try:
        (image,) = find_images({"data": [{"b64_json": text}]})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert (image.content, image.is_url) == (text, False)
    assert peak < len(text)
