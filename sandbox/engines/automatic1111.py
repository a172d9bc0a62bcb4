"""A sandbox engine with AUTOMATIC1111's API, its errors and its peculiarities.

Peculiarities of the real server: a grid before several images, `info` as a JSON string, an unknown checkpoint that is
silently ignored, Basic auth, and four formats of errors. It handles one image request at a time.
`state.knobs.latency` is the minimum time of each, in seconds, without the wait for the previous ones.
"""

import asyncio
import base64
import binascii
import io
import json
import random
import secrets
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from PIL import Image, UnidentifiedImageError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.engines.automatic1111_gpu import Gpu
from sandbox.engines.automatic1111_images import grid, transparent_where_white, with_parameters_text
from sandbox.engines.painter import paint
from sandbox.engines.state import Knobs, SandboxState, control_routes

CHECKPOINTS = {"sandbox-painter": "5a4dbc0001", "sandbox-sketcher": "5a4dbc0002"}
"""Model name → short hash. The first one is loaded at the start."""

SAMPLERS = ("DPM++ 2M", "Euler a", "Euler", "Heun", "DDIM", "LCM")

_MAX_BATCH = 8
_NUMBERS = ("width", "height", "steps", "seed", "batch_size", "n_iter", "cfg_scale", "denoising_strength")


@dataclass(frozen=True)
class _Server:
    """The state of one server."""

    options: dict[str, str]
    gpu: Gpu
    knobs: Callable[[], Knobs]


Handler = Callable[[Any, _Server], Awaitable[Any]]
"""Returns the response for a request's JSON body and the server."""


class _RefusalError(Exception):
    """An error response in A1111's format. `kind` is the name of the Python exception."""

    def __init__(self, status: int, kind: str, detail: str) -> None:
        super().__init__(detail)
        body = {"error": kind, "detail": detail, "body": "", "errors": f"{status}: {detail}" if detail else kind}
        self.response = JSONResponse(body, status)


def create_app(state: SandboxState) -> Starlette:
    """Create the server. The key of the knobs, if set, is `user:password` for Basic auth."""
    options = {"sd_model_checkpoint": _title(next(iter(CHECKPOINTS))), "samples_format": "png"}
    server = _Server(options, Gpu(lambda: state.knobs.latency), lambda: state.knobs)

    def route(method: str, path: str, handler: Handler) -> Route:
        async def endpoint(request: Request) -> Response:
            body = _json(await request.body())
            await state.record_request(request, body=body)
            # The latency applies to work on the GPU, not to the request.
            without_latency = SandboxState(replace(state.knobs, latency=0.0))
            if fault := await without_latency.apply_knobs(request):
                return fault
            if state.knobs.key and not _authorized(request, state.knobs.key):
                return JSONResponse({"detail": "Incorrect username or password"}, 401, {"WWW-Authenticate": "Basic"})
            try:
                with state.counted() if method == "POST" else nullcontext():
                    return JSONResponse(await handler(body, server))
            except _RefusalError as refusal:
                return refusal.response

        return Route(f"/sdapi/v1/{path}", endpoint, methods=[method])

    return Starlette(
        routes=[
            *control_routes(state),
            route("POST", "txt2img", _txt2img),
            route("POST", "img2img", _img2img),
            route("GET", "sd-models", _sd_models),
            route("GET", "options", _get_options),
            route("POST", "options", _set_options),
            route("GET", "samplers", _samplers),
            route("POST", "interrupt", _interrupt),
            route("GET", "progress", _progress),
        ],
        exception_handlers={404: _not_found},
    )


async def _txt2img(body: Any, server: _Server) -> Any:
    return await _make(body, server, background=None, mask=None)


async def _img2img(body: Any, server: _Server) -> Any:
    _validate(body)
    inputs = body.get("init_images")
    if not inputs:
        raise _RefusalError(404, "HTTPException", "Init image not found")
    mask = _decode(body["mask"]) if body.get("mask") else None
    return await _make(body, server, _decode(inputs[0]), transparent_where_white(mask) if mask else None)


async def _sd_models(_body: Any, _server: _Server) -> Any:
    return [
        {
            "title": _title(name),
            "model_name": name,
            "hash": hash_,
            "sha256": hash_.ljust(64, "0"),
            "filename": f"/models/Stable-diffusion/{name}.safetensors",
            "config": None,
        }
        for name, hash_ in CHECKPOINTS.items()
    ]


async def _get_options(_body: Any, server: _Server) -> Any:
    return server.options


async def _set_options(body: Any, server: _Server) -> Any:
    server.options.update(body or {})


async def _samplers(_body: Any, _server: _Server) -> Any:
    return [{"name": name, "aliases": [], "options": {}} for name in SAMPLERS]


async def _interrupt(_body: Any, server: _Server) -> Any:
    server.gpu.interrupt()
    return {}


async def _progress(_body: Any, server: _Server) -> Any:
    return server.gpu.progress()


async def _make(body: Any, server: _Server, background: bytes | None, mask: bytes | None) -> Any:
    """Paint `batch_size` times `n_iter` images. If there are several, a grid of them comes first.

    An interrupted request returns the images made so far, which is the first one.
    """
    _validate(body)
    sampler = body.get("sampler_name") or SAMPLERS[0]
    if sampler not in SAMPLERS:
        raise _RefusalError(400, "HTTPException", "Sampler not found")
    width, height = (_rounded(body.get(side, 512), server.knobs().size_multiple) for side in ("width", "height"))
    if body.get("batch_size", 1) > _MAX_BATCH or width * height > server.knobs().max_pixels:
        raise _RefusalError(500, "OutOfMemoryError", "")
    count = body.get("batch_size", 1) * body.get("n_iter", 1)
    first_seed = body.get("seed", -1)
    if first_seed < 0:
        first_seed = random.randrange(2**32)
    seeds = [first_seed + number for number in range(count)]
    model = _checkpoint(body, server.options)
    prompt = body.get("prompt", "")
    steps = body.get("steps", 50)

    def paint_images(seeds: list[int]) -> list[bytes]:
        inputs = [background] if background else []
        painted = [paint(prompt, width, height, seed=seed, inputs=inputs, mask=mask) for seed in seeds]
        texts = [
            f"{prompt}\nSteps: {steps}, Sampler: {sampler}, Seed: {seed}, Size: {width}x{height}, Model: {model}"
            for seed in seeds
        ]
        images = [with_parameters_text(data, text) for data, text in zip(painted, texts, strict=True)]
        return [grid(images, width, height), *images] if len(images) > 1 else images

    async with server.gpu.turn("scripts_img2img" if background else "scripts_txt2img", count, steps):
        interrupted = await server.gpu.work()
        files = await asyncio.to_thread(paint_images, seeds[:1] if interrupted else seeds)
    info = {
        "prompt": prompt,
        "all_prompts": [prompt] * count,
        "negative_prompt": body.get("negative_prompt", ""),
        "seed": seeds[0],
        "all_seeds": seeds,
        "width": width,
        "height": height,
        "sampler_name": sampler,
        "steps": steps,
        "batch_size": body.get("batch_size", 1),
        "sd_model_name": model,
        "sd_model_hash": CHECKPOINTS[model],
        "index_of_first_image": 1 if len(files) > 1 else 0,
    }
    images = [base64.b64encode(data).decode() for data in files]
    return {"images": images, "parameters": body, "info": json.dumps(info)}


def _json(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return None


def _validate(body: Any) -> None:
    """Validate like FastAPI: an error is a 422 with the location."""
    problem: dict[str, Any] | None = None
    if not isinstance(body, dict):
        problem = {"loc": ["body"], "msg": "value is not a valid dict", "type": "type_error.dict"}
    else:
        for name in _NUMBERS:
            value = body.get(name, 0)
            if isinstance(value, bool) or not isinstance(value, int | float):
                problem = {"loc": ["body", name], "msg": "value is not a valid integer", "type": "type_error.integer"}
                break
    if problem:
        refusal = _RefusalError(422, "", "")
        refusal.response = JSONResponse({"detail": [problem]}, 422)
        raise refusal


def _checkpoint(body: dict[str, Any], options: dict[str, str]) -> str:
    """Return the checkpoint for this request: the loaded one if the requested one is unknown."""
    settings = body.get("override_settings") or {}
    requested = str(settings.get("sd_model_checkpoint") or "")
    loaded = options["sd_model_checkpoint"]
    for text in (requested, loaded):
        matching = [name for name, hash_ in CHECKPOINTS.items() if text and (text in _title(name) or text == hash_)]
        if matching:
            if text == requested and settings and body.get("override_settings_restore_afterwards") is False:
                options["sd_model_checkpoint"] = _title(matching[0])
            return matching[0]
    return next(iter(CHECKPOINTS))


def _decode(text: object) -> bytes:
    try:
        data = base64.b64decode(str(text).partition(",")[2] or str(text), validate=True)
        Image.open(io.BytesIO(data)).load()
    except (binascii.Error, UnidentifiedImageError, OSError):
        raise _RefusalError(500, "HTTPException", "Invalid encoded image") from None
    return data


def _rounded(side: int, multiple: int) -> int:
    """Return a side in pixels as the server makes it: AUTOMATIC1111 rounds down, stable-diffusion.cpp up."""
    return max(8, side // 8 * 8) if multiple == 8 else -(-side // multiple) * multiple


def _title(name: str) -> str:
    return f"{name}.safetensors [{CHECKPOINTS[name]}]"


def _authorized(request: Request, key: str) -> bool:
    kind, _, sent = request.headers.get("authorization", "").partition(" ")
    expected = base64.b64encode(key.encode()).decode()
    return kind.lower() == "basic" and secrets.compare_digest(sent, expected)


async def _not_found(_request: Request, _error: Exception) -> Response:
    return JSONResponse({"detail": "Not Found"}, 404)
