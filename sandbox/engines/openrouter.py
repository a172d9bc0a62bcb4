"""A sandbox server with OpenRouter's APIs for images: `POST /images`, and chat completions with `modalities`.

Sources, read in November 2026: OpenRouter's documentation, "Image generation"; the requests and responses of its SDKs
for `POST /images`, and of programs that use it. A model's parameters are a list of its own; others are refused.
"""

import asyncio
import base64
import itertools
import json
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.engines.painter import paint
from sandbox.engines.state import SandboxState, control_routes

PARAMETERS = {
    "black-forest-labs/flux.2-pro": {"n", "aspect_ratio", "resolution", "seed", "input_references"},
    "openai/gpt-image-2": {"n", "size", "aspect_ratio", "quality", "background", "output_format", "input_references"},
}
"""Image model → the parameters that it has beside `model` and `prompt`."""
_SIDES = {"1K": 256, "2K": 512, "4K": 1024}
"""Smaller than the real ones, so that tests are fast."""


class _Refusal(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"message": message, "code": status}}


def create_app(state: SandboxState, *, has_images: bool = True) -> Starlette:
    """Create the server. Without `has_images` it makes images in chat completions only."""
    seeds = itertools.count()

    async def answer(request: Request) -> Response:
        text = await request.body()
        fields = json.loads(text) if text else {}
        await state.record_request(request, body=fields)
        if fault := await state.apply_knobs(request):
            return fault
        try:
            _authorize(request, state.knobs.key)
            if request.url.path.endswith("/models"):
                return JSONResponse({"data": _models(request.query_params.get("output_modalities", ""))})
            if request.url.path.endswith("/images"):
                return JSONResponse(await asyncio.to_thread(_images, fields, next(seeds)))
            return JSONResponse(await asyncio.to_thread(_chat, fields, next(seeds)))
        except _Refusal as refusal:
            return JSONResponse(refusal.body, refusal.status)

    paths = ["/api/v1/chat/completions", *(["/api/v1/images"] if has_images else [])]
    posts = [Route(path, answer, methods=["POST"]) for path in paths]
    return Starlette(routes=[*posts, Route("/api/v1/models", answer), *control_routes(state)])


def _authorize(request: Request, key: str) -> None:
    if key not in ("", request.headers.get("authorization", "").removeprefix("Bearer ")):
        raise _Refusal(401, "No auth credentials found")


def _models(modality: str) -> list[dict[str, Any]]:
    images = [{"id": name, "name": name.partition("/")[2]} for name in PARAMETERS]
    return images if modality == "image" else [*images, {"id": "mistralai/image-describer", "name": "Describer"}]


def _images(fields: dict[str, Any], seed: int) -> dict[str, Any]:
    supported = _parameters(fields)
    for name in fields.keys() - {"model", "prompt"}:
        if name not in supported:
            raise _Refusal(400, f"unsupported parameter: {name}")
    if not isinstance(fields.get("prompt"), str):
        raise _Refusal(400, "prompt: expected string")
    inputs = [_decoded(reference) for reference in fields.get("input_references", [])]
    painted = [
        paint(fields["prompt"], *_size(fields), seed=fields.get("seed", seed * 10) + number, inputs=inputs)
        for number in range(fields.get("n", 1))
    ]
    data = [{"b64_json": base64.b64encode(image).decode(), "media_type": "image/png"} for image in painted]
    return {"created": 1, "data": data, "usage": {"prompt_tokens": 5, "completion_tokens": 2, "cost": 0.04}}


def _chat(fields: dict[str, Any], seed: int) -> dict[str, Any]:
    _parameters(fields)
    if "image" not in fields.get("modalities", []):
        raise _Refusal(400, "The sandbox only makes images: modalities must include image")
    (message,) = fields["messages"]
    text, *references = message["content"]
    inputs = [_decoded(reference) for reference in references]
    image = paint(text["text"], *_size(fields.get("image_config", {})), seed=seed, inputs=inputs)
    url = f"data:image/png;base64,{base64.b64encode(image).decode()}"
    answer = {
        "role": "assistant",
        "content": "Here is your image.",
        "images": [{"type": "image_url", "image_url": {"url": url}}],
    }
    return {"id": "gen-1", "object": "chat.completion", "choices": [{"index": 0, "message": answer}]}


def _parameters(fields: dict[str, Any]) -> set[str]:
    if fields.get("model") not in PARAMETERS:
        raise _Refusal(404, f"No endpoints found for {fields.get('model')}.")
    return PARAMETERS[fields["model"]]


def _decoded(reference: Any) -> bytes:
    try:
        url: str = {"image_url": reference["image_url"]}[reference["type"]]["url"]
        return base64.b64decode(url.partition(";base64,")[2], validate=True)
    except (LookupError, TypeError, ValueError):
        raise _Refusal(400, "input_references: expected {type: image_url, image_url: {url}}") from None


def _size(fields: dict[str, Any]) -> tuple[int, int]:
    if "size" in fields:
        width, height = fields["size"].split("x")
        return int(width), int(height)
    side = _SIDES[fields.get("resolution") or fields.get("image_size") or "1K"]
    width, height = (float(part) for part in fields.get("aspect_ratio", "1:1").split(":"))
    return round(side * width / max(width, height)), round(side * height / max(width, height))
