"""The gemini engine: prompts rewritten by a language model."""

import pytest

from image_gateway.engines import create_prompt_writer
from image_gateway.engines.gemini.engine import GeminiEngine
from image_gateway.errors import (
    ContentBlocked,
    EngineUnavailable,
)
from image_gateway.models.config import ImagesConfig
from sandbox.engines.state import SandboxState
from tests.unit.engines.gemini.requests_and_responses import (
    Connect,
    MakeEngine,
    Serve,
    candidate,
    engine_returning,
)

pytestmark = pytest.mark.anyio


async def test_a_prompt_is_rewritten_by_the_language_model(make_engine: MakeEngine, state: SandboxState) -> None:
    """The instruction is sent apart from the prompt."""
    completion = await make_engine().complete(model="models/gemini-sandbox", system="Rewrite.", user="a fox")
    assert completion.text == "a fox, in warm evening light, wide angle, fine detail"
    assert completion.usage is not None
    assert completion.usage["output_tokens_details"]["image_tokens"] == 0
    assert state.record[0].path == "/v1beta/models/gemini-sandbox:generateContent"
    assert state.record[0].json["system_instruction"] == {"parts": [{"text": "Rewrite."}]}


async def test_a_refused_rewrite_is_a_content_block(make_engine: MakeEngine) -> None:
    """The error has Google's reason."""
    with pytest.raises(ContentBlocked, match="PROHIBITED_CONTENT"):
        await make_engine().complete(model="gemini-sandbox", system="Rewrite.", user="blocked")


async def test_a_rewrite_without_text_is_unavailable(serve: Serve, connect: Connect) -> None:
    """The error has the finish reason."""
    with pytest.raises(EngineUnavailable, match="answered without text: MAX_TOKENS"):
        await engine_returning(serve, connect, candidate(finishReason="MAX_TOKENS")).complete(
            model="m", system="s", user="u"
        )


def test_gemini_is_a_prompt_writer(connect: Connect) -> None:
    """The configured engine rewrites prompts if it can."""
    config = ImagesConfig(IMAGES_GEMINI_API_BASE_URL="http://127.0.0.1:9")
    assert isinstance(create_prompt_writer("gemini", config, connect()), GeminiEngine)
