"""A sandbox engine with the OpenAI API and Azure's variant of it."""

import asyncio
import base64
import itertools
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.engines.openai_compatible import ANSWERS
from sandbox.engines.openai_inputs import Inputs, Upload, read_inputs
from sandbox.engines.openai_rules import (
    MODELS,
    CheckedRequest,
    Model,
    Refusal,
    check_fields,
    known_model,
    missing_parameter,
)
from sandbox.engines.painter import paint
from sandbox.engines.state import SandboxState, control_routes

_CREATED = 1_780_000_000
_MAX_FILES = 100
_INTEGERS = ("n", "output_compression", "frame_count", "frame_duration_ms", "seed", "num_inference_steps")


@dataclass(slots=True)
class _Body:
    """The body of a request: fields from JSON or a multipart form, files, and the error if it cannot be read."""

    fields: dict[str, Any] = field(default_factory=dict)
    files: list[Upload] = field(default_factory=list)
    problem: Refusal | None = None


Handler = Callable[[Request, _Body], Awaitable[Response]]


def create_app(state: SandboxState) -> Starlette:
    """Create the server: the OpenAI API under `/v1`, Azure's under `/openai`, and the sandbox's control routes."""
    images = _ImageEndpoints()
    handlers: list[tuple[str, str, Handler]] = [
        ("GET", "/v1/models", _models),
        ("GET", "/v1/models/{id:path}", _model),
        ("POST", "/v1/images/generations", images.generate),
        ("POST", "/v1/images/edits", images.edit),
        ("GET", "/v1/files/{name}", images.file),
        ("POST", "/v1/chat/completions", _chat),
        ("GET", "/openai/models", _models),
        ("POST", "/openai/deployments/{deployment}/images/generations", images.generate),
        ("POST", "/openai/deployments/{deployment}/images/edits", images.edit),
        ("POST", "/openai/deployments/{deployment}/chat/completions", _chat),
    ]
    routes = [Route(path, _endpoint(state, handler), methods=[method]) for method, path, handler in handlers]
    return Starlette(routes=[*routes, *control_routes(state)], exception_handlers={HTTPException: _no_such_route})


def _endpoint(state: SandboxState, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        body = await _read(request)
        files = [
            {"name": file.name, "filename": file.filename, "content_type": file.content_type, "size": len(file.data)}
            for file in body.files
        ]
        await state.record_request(request, body=body.fields if request.method == "POST" else None, files=files)
        if fault := await state.apply_knobs(request):
            return fault
        try:
            _authorize(request, state.knobs.key)
            if body.problem:
                raise body.problem
            return await handler(request, body)
        except Refusal as refusal:
            return refusal.response()

    return endpoint


async def _read(request: Request) -> _Body:
    if request.method != "POST":
        return _Body()
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        try:
            return await _read_form(request)
        except HTTPException as error:
            return _Body(problem=Refusal(f"Could not parse multipart form: {error.detail}", code=None))
    try:
        fields = json.loads(await request.body())
    except ValueError as error:
        message = f"We could not parse the JSON body of your request. The server expected a JSON payload: {error}."
        return _Body(problem=Refusal(message, code=None))
    if not isinstance(fields, dict):
        return _Body(problem=Refusal("Invalid body: expected an object.", code="invalid_type"))
    return _Body(fields)


async def _read_form(request: Request) -> _Body:
    body = _Body()
    async with request.form() as form:
        for name, value in form.multi_items():
            if isinstance(value, str):
                body.fields[name] = _number(name, value)
            else:
                body.files.append(Upload(name, value.filename or "", value.content_type or "", await value.read()))
    return body


def _number(name: str, text: str) -> Any:
    return int(text) if name in _INTEGERS and text.removeprefix("-").isdecimal() and len(text) < 10 else text


def _authorize(request: Request, key: str) -> None:
    """Check the bearer token or, on Azure, its own header. Like OpenAI, repeat part of a wrong key in the error."""
    sent = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    if request.url.path.startswith("/openai/"):
        if not request.query_params.get("api-version"):
            raise Refusal("Resource not found", status=404, code="404")
        if key not in ("", sent, request.headers.get("api-key", "")):
            message = "Access denied due to invalid subscription key or wrong API endpoint."
            raise Refusal(message, status=401, code="401")
    elif key not in ("", sent):
        masked = f"{sent[:8]}{'*' * 12}{sent[-4:]}" if len(sent) > 16 else sent
        message = f"Incorrect API key provided: {masked}." if sent else "You didn't provide an API key."
        raise Refusal(message, status=401, code="invalid_api_key" if sent else None)


async def _models(_request: Request, _body: _Body) -> Response:
    return JSONResponse({"object": "list", "data": [_model_entry(model) for model in MODELS.values() if model.listed]})


async def _model(request: Request, _body: _Body) -> Response:
    return JSONResponse(_model_entry(known_model(request.path_params["id"])))


def _model_entry(model: Model) -> dict[str, Any]:
    return {"id": model.id, "object": "model", "created": _CREATED, "owned_by": "sandbox"}


async def _chat(request: Request, body: _Body) -> Response:
    name = request.path_params.get("deployment") or body.fields.get("model")
    if not isinstance(name, str):
        raise missing_parameter("model")
    model = known_model(name)
    if model.makes != "text":
        raise Refusal(f"The model '{name}' is not a chat model.", status=404, param="model", code="model_not_found")
    messages = body.fields.get("messages")
    if not isinstance(messages, list) or not messages:
        raise missing_parameter("messages")
    prompts = [item.get("content") for item in messages if isinstance(item, dict) and item.get("role") == "user"]
    if not prompts or not isinstance(prompts[-1], str):
        raise Refusal("The sandbox supports only a user message that is a text.", param="messages")
    answer = f"{prompts[-1].strip()}, highly detailed"
    tokens_in, tokens_out = len(str(messages)) // 4 + 1, len(answer) // 4 + 1
    message = {"role": "assistant", "content": answer, "refusal": None}
    return JSONResponse(
        {
            "id": "chatcmpl-sandbox",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": model.id,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
            "usage": {
                "prompt_tokens": tokens_in,
                "completion_tokens": tokens_out,
                "total_tokens": tokens_in + tokens_out,
            },
        }
    )


class _ImageEndpoints:
    """Paints images and keeps the files that URLs point to. As with a real model, no two images are the same."""

    def __init__(self) -> None:
        self._seeds = itertools.count()
        self._files: OrderedDict[str, tuple[bytes, str]] = OrderedDict()

    async def generate(self, request: Request, body: _Body) -> Response:
        return await self._paint(request, check_fields(_fields(request, body)), Inputs())

    async def edit(self, request: Request, body: _Body) -> Response:
        if not request.headers.get("content-type", "").startswith("multipart/form-data"):
            message = "Unsupported content type: this API method only accepts 'multipart/form-data' requests."
            raise Refusal(message, code="unsupported_content_type")
        fields = _fields(request, body)
        inputs = read_inputs(fields, body.files)
        return await self._paint(request, check_fields(fields), inputs)

    async def file(self, request: Request, _body: _Body) -> Response:
        if request.path_params["name"] not in self._files:
            raise Refusal("No such file.", status=404, code="not_found")
        data, kind = self._files[request.path_params["name"]]
        return Response(data, media_type=kind)

    async def _paint(self, request: Request, checked: CheckedRequest, inputs: Inputs) -> Response:
        width, height = checked.size or inputs.fitting_size()
        images = await asyncio.gather(
            *(
                asyncio.to_thread(
                    paint,
                    checked.prompt,
                    width,
                    height,
                    seed=next(self._seeds) if checked.seed is None else checked.seed + number,
                    format=checked.output_format.upper(),
                    transparent=checked.background == "transparent",
                    inputs=inputs.images,
                    mask=inputs.mask,
                )
                for number in range(checked.n)
            )
        )
        if checked.model.returns_url:
            data = [self._describe(request, image, checked) for image in images]
            if answer := ANSWERS.get(checked.model.id):
                return answer(data)
            return JSONResponse({"created": int(time.time()), "data": data})
        tokens_out = checked.n * max(1, width * height // 1000)
        return JSONResponse(
            {
                "created": int(time.time()),
                "background": checked.background,
                "data": [{"b64_json": _base64(image)} for image in images],
                "output_format": checked.output_format,
                "quality": checked.quality,
                "size": f"{width}x{height}",
                "usage": {
                    "input_tokens": checked.input_tokens + inputs.tokens(),
                    "input_tokens_details": {"image_tokens": inputs.tokens(), "text_tokens": checked.input_tokens},
                    "output_tokens": tokens_out,
                    "output_tokens_details": {"image_tokens": tokens_out, "text_tokens": 0},
                    "total_tokens": checked.input_tokens + inputs.tokens() + tokens_out,
                },
            }
        )

    def _describe(self, request: Request, image: bytes, checked: CheckedRequest) -> dict[str, str]:
        revised = f"{checked.prompt}, as the sandbox understood it"
        if checked.response_format == "b64_json":
            return {"b64_json": _base64(image), "revised_prompt": revised}
        name = f"image-{next(self._seeds)}.{checked.output_format}"
        self._files[name] = (image, f"image/{checked.output_format}")
        while len(self._files) > _MAX_FILES:
            self._files.popitem(last=False)
        return {"url": str(request.base_url.replace(path=f"/v1/files/{name}")), "revised_prompt": revised}


def _fields(request: Request, body: _Body) -> dict[str, Any]:
    """Return the fields of the body. On Azure, the deployment in the path is the model."""
    deployment = request.path_params.get("deployment")
    return {**body.fields, "model": deployment} if deployment else dict(body.fields)


def _base64(image: bytes) -> str:
    return base64.b64encode(image).decode()


async def _no_such_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return Refusal(f"Invalid URL ({request.method} {request.url.path})", status=status, code=None).response()
