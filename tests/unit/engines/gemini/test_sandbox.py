"""The sandbox's Gemini server and the engine's requests, compared with Google's own types."""

from typing import Any

import pytest

from image_gateway.engines.protocol import InputImage
from image_gateway.models.fields import Size
from sandbox.engines.gemini import FINISH_REASONS, create_app
from sandbox.engines.state import SandboxState
from tests.unit.engines.gemini.requests_and_responses import (
    IMAGE,
    IMAGEN,
    PNG,
    Connect,
    MakeEngine,
    Serve,
    image_request,
)

pytestmark = pytest.mark.anyio


@pytest.mark.xdist_group("google-genai")
async def test_requests_validate_against_googles_types(
    make_engine: MakeEngine, state: SandboxState, types: Any
) -> None:
    """`google-genai` refuses unknown fields."""
    image = InputImage(PNG, "image/png", 16, 16)
    await make_engine().generate(image_request(size=Size(1024, 1024)))
    await make_engine(edit=True).edit(image_request(images=(image,)))
    await make_engine().complete(model="gemini-sandbox", system="Rewrite.", user="a fox")
    for entry in state.record:
        sent = dict(entry.json)
        for content in sent.pop("contents"):
            types.Content.model_validate(content)
        if instruction := sent.pop("system_instruction", None):
            types.Content.model_validate(instruction)
        config = types.GenerateContentConfig.model_validate(sent.pop("generationConfig", {}))
        assert config.image_config is None or config.image_config.aspect_ratio == "1:1"
        assert sent == {}


@pytest.mark.xdist_group("google-genai")
@pytest.mark.parametrize(
    "prompt", ["a fox", "a fox with text", "in words", "blocked", *(reason.lower() for reason in FINISH_REASONS)]
)
async def test_the_sandboxs_responses_validate_against_googles_types(
    serve: Serve, connect: Connect, prompt: str, types: Any
) -> None:
    """Images, text, both, and every refusal validate."""
    url = serve(create_app(SandboxState())) + f"/v1beta/models/{IMAGE}:generateContent"
    body = {
        "contents": [{"parts": [{"text": prompt}]}],
        "generationConfig": {"responseModalities": ["TEXT", "IMAGE"]},
    }
    answer = (await connect().client.post(url, json=body)).json()
    parsed = types.GenerateContentResponse.model_validate(answer)
    assert parsed.candidates or (parsed.prompt_feedback and parsed.prompt_feedback.block_reason)


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        (f"{IMAGE}:generateContent", None, "400: Invalid JSON payload"),
        (f"{IMAGE}:generateContent", {"contents": []}, "400: * GenerateContentRequest.contents"),
        (f"{IMAGE}:generateContent", {"contents": [{"parts": [{"text": "x"}]}]}, "400: Model gemini-sandbox-image"),
        (f"{IMAGE}:predict", {}, "404: models/gemini-sandbox-image is not found"),
        (f"{IMAGEN}:predict", {"instances": [{"prompt": "x"}], "parameters": {"sampleCount": 5}}, "400: sampleCount"),
        (
            f"{IMAGEN}:predict",
            {"instances": [{"prompt": "x"}], "parameters": {"aspectRatio": "7:1"}},
            "400: 7:1 at 1K is not one of the supported values",
        ),
    ],
)
async def test_the_sandbox_refuses_as_google_does(
    serve: Serve, connect: Connect, path: str, body: Any, text: str
) -> None:
    """Errors have Google's format."""
    url = serve(create_app(SandboxState())) + f"/v1beta/models/{path}"
    answer = await connect().client.post(url, **({"json": body} if body is not None else {"content": b"{"}))
    error = answer.json()["error"]
    assert answer.status_code == error["code"]
    assert f"{error['code']}: {error['message']}".startswith(text)


async def test_the_sandbox_omits_filter_reasons_by_default(serve: Serve, connect: Connect) -> None:
    """As with Imagen, the response is empty if all images are filtered."""
    url = serve(create_app(SandboxState())) + f"/v1beta/models/{IMAGEN}:predict"
    answer = await connect().client.post(url, json={"instances": [{"prompt": "blocked"}], "parameters": {}})
    assert (answer.status_code, answer.json()) == (200, {})
