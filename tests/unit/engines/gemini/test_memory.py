"""Memory of the gemini engine, which makes one call for each image."""

import asyncio
import json
import tracemalloc

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from image_gateway.engines.gemini.engine import GeminiEngine
from image_gateway.models.config import ImagesConfig
from tests.unit.engines.gemini.requests_and_responses import PNG_BASE64, Connect, Serve, image_request

pytestmark = pytest.mark.anyio

TEXT_BYTES = 2_000_000
COUNT = 10


async def test_parsed_responses_of_concurrent_calls_are_not_in_memory_at_the_same_time(
    serve: Serve, connect: Connect
) -> None:
    """One character beyond ASCII makes a long text take four times its bytes. All responses arrive at once."""
    parts = [{"text": "😀" + "x" * TEXT_BYTES}, {"inlineData": {"mimeType": "image/png", "data": PNG_BASE64}}]
    body = json.dumps({"candidates": [{"content": {"parts": parts}}]}, ensure_ascii=False).encode()
    requests = 0
    all_have_come = asyncio.Event()

    async def respond(_request: Request) -> Response:
        nonlocal requests
        requests += 1
        if requests == COUNT:
            all_have_come.set()
        await all_have_come.wait()
        return Response(body, media_type="application/json")

    url = serve(Starlette(routes=[Route("/{path:path}", respond, methods=["POST"])]))
    config = ImagesConfig(IMAGES_GEMINI_API_BASE_URL=url, IMAGES_GEMINI_API_KEY="k")
    engine = GeminiEngine(config, connect())
    tracemalloc.start()
    try:
        result = await engine.generate(image_request(n=COUNT))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert len(result.images) == COUNT
    # Each body as it came; one of them parsed, with copies of its text.
    assert peak < (COUNT + 12) * TEXT_BYTES
