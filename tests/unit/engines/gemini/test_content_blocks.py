"""The gemini engine: responses that refuse content, and responses without an image."""

from typing import Any

import pytest

from image_gateway.errors import (
    ContentBlocked,
    EngineUnavailable,
)
from sandbox.engines.gemini import FINISH_REASONS
from tests.unit.engines.gemini.requests_and_responses import (
    Connect,
    MakeEngine,
    Serve,
    candidate,
    engine_returning,
    image_request,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("reason", FINISH_REASONS)
async def test_each_finish_reason_is_a_content_block(make_engine: MakeEngine, reason: str) -> None:
    """Google's reason and message reach the caller."""
    with pytest.raises(ContentBlocked) as caught:
        await make_engine().generate(image_request(f"a fox {reason.lower()}"))
    message = f"Unable to show the generated image: {reason}."
    assert caught.value.detail == f"gemini blocked the content: {reason}: {message}"


async def test_a_refused_prompt_is_a_content_block(make_engine: MakeEngine) -> None:
    """`promptFeedback` comes without any candidate."""
    with pytest.raises(ContentBlocked, match="blocked the content: PROHIBITED_CONTENT: The prompt is blocked"):
        await make_engine().generate(image_request("blocked"))


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({"promptFeedback": {"blockReason": "SAFETY"}}, "SAFETY"),
        (candidate(finishReason="SAFETY", content={}), "SAFETY"),
        (candidate(finishReason="IMAGE_SAFETY", content={"parts": [{"text": "No."}]}), "IMAGE_SAFETY"),
        (candidate(finishReason="SOME_NEW_REASON"), "SOME_NEW_REASON"),
        (candidate(finishReason="NO_IMAGE", finishMessage="Nothing was made."), "NO_IMAGE: Nothing was made."),
    ],
)
async def test_a_content_block_is_found_in_every_form(serve: Serve, connect: Connect, body: Any, text: str) -> None:
    """A block may come with or without message, content and candidates."""
    with pytest.raises(ContentBlocked, match=f"blocked the content: {text}$"):
        await engine_returning(serve, connect, body).generate(image_request())


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        None,
        {"candidates": []},
        {"candidates": ["x"]},
        candidate(finishReason="STOP"),
        candidate(content={"parts": [{"inlineData": {"data": 5}}]}, finishReason="STOP"),
        candidate(content={"parts": "none"}, finishReason="MAX_TOKENS"),
    ],
)
async def test_a_response_without_image_text_or_reason_is_unavailable(
    serve: Serve, connect: Connect, body: Any
) -> None:
    """The call may have cost something."""
    with pytest.raises(EngineUnavailable, match="answered without an image") as caught:
        await engine_returning(serve, connect, body).generate(image_request())
    assert caught.value.may_have_cost
