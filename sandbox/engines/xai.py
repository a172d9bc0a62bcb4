"""A sandbox server with xAI's API for images, which refuses what the real one refuses.

Sources, read in November 2026: docs.x.ai, "Image generation" and "Image editing"; the `xai` provider of Vercel's AI
SDK; reports of users (415 for multipart forms, 422 for unknown fields).
"""

import asyncio
import base64
import binascii
import io
import itertools
import json
from typing import Any

from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.engines.painter import paint
from sandbox.engines.state import SandboxState, control_routes

MODEL = "grok-imagine-image-2.0"
_RATIOS = (
    *("1:1", "3:4", "4:3", "9:16", "16:9", "2:3", "3:2", "1:2", "2:1", "auto"),
    *("9:19.5", "19.5:9", "9:20", "20:9"),
)
_RESOLUTIONS = {"1k": 1024, "2k": 2048}
_FIELDS = {"model", "prompt", "n", "aspect_ratio", "resolution", "quality", "response_format", "user"}
_MAX_INPUTS = 3


class _Refusal(Exception):
    def __init__(self, status: int, code: str, error: str) -> None:
        super().__init__(error)
        self.status = status
        self.body = {"code": code, "error": error}


def create_app(state: SandboxState) -> Starlette:
    """Create the server: `/v1/images/generations`, `/v1/images/edits` and `/v1/models`."""
    seeds = itertools.count()

    async def images(request: Request) -> Response:
        try:
            fields = json.loads(await request.body())
        except ValueError:
            fields = None
        await state.record_request(request, body=fields)
        if fault := await state.apply_knobs(request):
            return fault
        try:
            _authorize(request, state.knobs.key)
            fields = _object(fields)
            is_edit = request.url.path.endswith("/edits")
            inputs = _inputs(fields) if is_edit else []
            _check(fields, _FIELDS | ({"image", "images"} if is_edit else set()))
            return JSONResponse({"data": await asyncio.to_thread(_paint, fields, inputs, next(seeds))})
        except _Refusal as refusal:
            return JSONResponse(refusal.body, refusal.status)

    async def models(request: Request) -> Response:
        await state.record_request(request)
        if fault := await state.apply_knobs(request):
            return fault
        try:
            _authorize(request, state.knobs.key)
        except _Refusal as refusal:
            return JSONResponse(refusal.body, refusal.status)
        entries = [{"id": name, "object": "model", "owned_by": "xai"} for name in (MODEL, "grok-5")]
        return JSONResponse({"object": "list", "data": entries})

    return Starlette(
        routes=[
            Route("/v1/images/generations", images, methods=["POST"]),
            Route("/v1/images/edits", images, methods=["POST"]),
            Route("/v1/models", models),
            *control_routes(state),
        ]
    )


def _authorize(request: Request, key: str) -> None:
    if key not in ("", request.headers.get("authorization", "").removeprefix("Bearer ")):
        raise _Refusal(400, "Client specified an invalid argument", "Incorrect API key provided: xa***ey.")


def _object(fields: Any) -> dict[str, Any]:
    if not isinstance(fields, dict):
        raise _Refusal(415, "Unsupported Media Type", "Expected request with `Content-Type: application/json`")
    return fields


def _check(fields: dict[str, Any], known: set[str]) -> None:
    for name in fields:
        if name not in known:
            raise _Refusal(422, "Unprocessable Entity", f"Failed to deserialize the JSON body: unknown field `{name}`")
    if not isinstance(fields.get("prompt"), str) or not fields["prompt"]:
        raise _Refusal(422, "Unprocessable Entity", "missing field `prompt`")
    if fields.get("model") != MODEL:
        raise _Refusal(404, "Some requested entity was not found", f"The model {fields.get('model')} does not exist")
    if not 1 <= fields.get("n", 1) <= 10:
        raise _Refusal(400, "Client specified an invalid argument", "n must be between 1 and 10")
    for name, values in {"aspect_ratio": _RATIOS, "resolution": _RESOLUTIONS, "quality": ("low", "medium")}.items():
        if name in fields and fields[name] not in values:
            raise _Refusal(422, "Unprocessable Entity", f"{name}: unknown variant `{fields[name]}`")
    if "forbidden" in fields["prompt"]:
        raise _Refusal(400, "invalid_argument", "Generated image rejected by content moderation.")


def _inputs(fields: dict[str, Any]) -> list[bytes]:
    sources = fields["images"] if "images" in fields else [fields.get("image")]
    if not isinstance(sources, list) or not 1 <= len(sources) <= _MAX_INPUTS:
        raise _Refusal(400, "Client specified an invalid argument", f"1 to {_MAX_INPUTS} images can be edited")
    images = []
    for source in sources:
        url = source.get("url") if isinstance(source, dict) and source.get("type") == "image_url" else None
        head, _, data = str(url).partition(";base64,")
        if not head.startswith("data:image/"):
            raise _Refusal(422, "Unprocessable Entity", "image: expected an object with url and type image_url")
        try:
            images.append(base64.b64decode(data, validate=True))
        except binascii.Error:
            raise _Refusal(400, "Client specified an invalid argument", "The image cannot be decoded") from None
    return images


def _paint(fields: dict[str, Any], inputs: list[bytes], seed: int) -> list[dict[str, str]]:
    ratio = fields.get("aspect_ratio", "auto")
    width: float
    height: float
    if ratio == "auto":
        width, height = Image.open(io.BytesIO(inputs[0])).size if inputs else (1, 1)
    else:
        width, height = map(float, ratio.split(":"))
    side = _RESOLUTIONS[fields.get("resolution", "1k")]
    longer = max(width, height)
    size = round(side * width / longer), round(side * height / longer)
    painted = [
        paint(fields["prompt"], *size, seed=seed * 10 + number, format="JPEG", inputs=inputs)
        for number in range(fields.get("n", 1))
    ]
    encoded = [base64.b64encode(image).decode() for image in painted]
    return [{"b64_json": f"data:image/jpeg;base64,{text}", "revised_prompt": ""} for text in encoded]
