"""A sandbox engine with the Gemini API: its image models, Imagen's `predict`, and one language model.

Words in the prompt cause the behavior of the real API: `blocked` (the prompt is refused), a finish reason in lower case
such as `recitation` or `image_safety` (the image is refused), `in words` (text instead of an image), `with text` (text
and an image), `two images` (both in one response), and for Imagen `some filtered` (every second image is filtered).
"""

import asyncio
import base64
import json
import random
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.engines.painter import paint
from sandbox.engines.state import SandboxState, control_routes

PIXELS = {
    "1:1": (1024, 1024),
    "2:3": (848, 1264),
    "3:2": (1264, 848),
    "3:4": (896, 1200),
    "4:3": (1200, 896),
    "4:5": (928, 1152),
    "5:4": (1152, 928),
    "9:16": (768, 1376),
    "16:9": (1376, 768),
    "21:9": (1584, 672),
    "1:4": (512, 2048),
    "4:1": (2048, 512),
    "1:8": (384, 3072),
    "8:1": (3072, 384),
}
"""Aspect ratio → pixels at 1K."""

SCALES = {"512": 0.5, "1K": 1, "2K": 2, "4K": 4}

_EXTREME_RATIOS = ("1:4", "4:1", "1:8", "8:1")
_THINKING_LEVELS = {
    "gemini-3.1-flash-image": ("MINIMAL", "HIGH"),
    "gemini-nano-banana-2.1": ("MINIMAL", "MEDIUM", "HIGH"),
}
"""Thinking levels of the models that have them. Only these models make images of extreme ratios."""

MODELS = {
    "gemini-sandbox": ("Gemini Sandbox", ["generateContent", "countTokens"]),
    "gemini-sandbox-image": ("Gemini Sandbox Image", ["generateContent", "countTokens"]),
    "gemini-sandbox-flash-image": ("Gemini Sandbox Flash Image", ["generateContent", "countTokens"]),
    "gemini-3.1-flash-image": ("Nano Banana 2", ["generateContent", "countTokens"]),
    "gemini-nano-banana-2.1": ("Nano Banana 2.1", ["generateContent", "countTokens"]),
    "imagen-sandbox-001": ("Imagen Sandbox", ["predict"]),
    "sandbox-image-embedding": ("Sandbox Image Embedding", ["embedContent"]),
    "veo-sandbox": ("Veo Sandbox", ["predictLongRunning"]),
}
"""Model → display name and methods. `gemini-sandbox` returns text, and the sandbox's flash model refuses `imageSize`.
Models with `flash` in their names make JPEG."""

FINISH_REASONS = (
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "IMAGE_OTHER",
    "NO_IMAGE",
    "PROHIBITED_CONTENT",
    "RECITATION",
    "SAFETY",
    "BLOCKLIST",
    "SPII",
)

_MAX_PAGE_SIZE = 2


class _RefusalError(Exception):
    """An error response in Google's format."""

    def __init__(self, code: int, status: str, message: str, details: list[dict[str, Any]] | None = None) -> None:
        super().__init__(message)
        error = {"code": code, "message": message, "status": status, **({"details": details} if details else {})}
        self.response = JSONResponse({"error": error}, code)


def create_app(state: SandboxState) -> Starlette:
    """Create the server. Its base URL ends in `/v1beta`, as Google's does."""

    async def call(request: Request) -> Response:
        raw = await request.body()
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            body = None
        await state.record_request(request, body=body)
        if fault := await state.apply_knobs(request):
            return fault
        try:
            _check_key(request, state.knobs.key)
            if request.method == "GET":
                return _models(request)
            return await _method(request, body)
        except _RefusalError as refusal:
            return refusal.response

    return Starlette(
        routes=[
            *control_routes(state),
            Route("/v1beta/models", call, methods=["GET"]),
            Route("/v1beta/models/{call}", call, methods=["POST"]),
        ]
    )


def _check_key(request: Request, key: str) -> None:
    sent = request.headers.get("x-goog-api-key") or request.query_params.get("key")
    if key and not sent:
        raise _RefusalError(
            403,
            "PERMISSION_DENIED",
            "Method doesn't allow unregistered callers (callers without established identity). "
            "Please use API Key or other form of API consumer identity to call this API.",
        )
    if key and sent != key:
        domain = {"reason": "API_KEY_INVALID", "domain": "googleapis.com"}
        message = "API key not valid. Please pass a valid API key."
        raise _RefusalError(
            400,
            "INVALID_ARGUMENT",
            message,
            [
                {"@type": "type.googleapis.com/google.rpc.ErrorInfo", **domain},
                {"@type": "type.googleapis.com/google.rpc.LocalizedMessage", "locale": "en-US", "message": message},
            ],
        )


def _models(request: Request) -> Response:
    size = min(int(request.query_params.get("pageSize", 50)), _MAX_PAGE_SIZE)
    start = int(request.query_params.get("pageToken") or 0)
    entries = [
        {
            "name": f"models/{name}",
            "version": "001",
            "displayName": title,
            "inputTokenLimit": 32768,
            "outputTokenLimit": 32768,
            "supportedGenerationMethods": methods,
        }
        for name, (title, methods) in MODELS.items()
    ]
    page: dict[str, Any] = {"models": entries[start : start + size]}
    if start + size < len(entries):
        page["nextPageToken"] = str(start + size)
    return JSONResponse(page)


async def _method(request: Request, body: Any) -> Response:
    model, _, method = request.path_params["call"].rpartition(":")
    if model not in MODELS or method not in MODELS[model][1]:
        raise _RefusalError(
            404, "NOT_FOUND", f"models/{model} is not found for API version v1beta, or is not supported for {method}."
        )
    if not isinstance(body, dict):
        raise _RefusalError(400, "INVALID_ARGUMENT", "Invalid JSON payload received. Unexpected end of string.")
    return await (_predict(body) if method == "predict" else _generate(model, body))


async def _generate(model: str, body: dict[str, Any]) -> Response:
    parts = [part for content in body.get("contents", []) for part in content.get("parts", [])]
    prompt = " ".join(part["text"] for part in parts if "text" in part)
    if not prompt:
        raise _RefusalError(400, "INVALID_ARGUMENT", "* GenerateContentRequest.contents: contents is not specified")
    if "blocked" in prompt.lower():
        return JSONResponse(
            {
                "promptFeedback": {"blockReason": "PROHIBITED_CONTENT", "blockReasonMessage": "The prompt is blocked."},
                "usageMetadata": {"promptTokenCount": 7, "totalTokenCount": 7},
                "modelVersion": model,
            }
        )
    if model == "gemini-sandbox":
        rewritten = f"{prompt}, in warm evening light, wide angle, fine detail"
        return _candidate(model, {"parts": [{"text": rewritten}], "role": "model"}, "STOP")
    reason = next((name for name in FINISH_REASONS if name.lower() in prompt.lower()), None)
    if reason:
        return _candidate(model, None, reason, f"Unable to show the generated image: {reason}.")
    if "in words" in prompt.lower():
        text = "I can only tell you about that image."
        return _candidate(model, {"parts": [{"text": text}], "role": "model"}, "STOP")
    return await _image(model, body, parts, prompt)


async def _image(model: str, body: dict[str, Any], parts: list[dict[str, Any]], prompt: str) -> Response:
    config = body.get("generationConfig", {})
    if "IMAGE" not in config.get("responseModalities", []):
        raise _RefusalError(400, "INVALID_ARGUMENT", f"Model {model} answers with images: ask for that modality.")
    size_fields = config.get("imageConfig", {})
    if "imageSize" in size_fields and model == "gemini-sandbox-flash-image":
        raise _RefusalError(400, "INVALID_ARGUMENT", 'Invalid value at imageConfig: "image_size" is not supported.')
    _check_model_fields(model, size_fields, config.get("thinkingConfig", {}))
    width, height = _pixels(size_fields.get("aspectRatio", "1:1"), size_fields.get("imageSize", "1K"))
    blobs = [blob for part in parts if (blob := part.get("inline_data") or part.get("inlineData"))]
    inputs = [base64.b64decode(blob["data"]) for blob in blobs]
    kind = "jpeg" if "flash" in model else "png"
    images = []
    for _ in range(2 if "two images" in prompt.lower() else 1):
        seed = random.randrange(2**31)
        data = await asyncio.to_thread(paint, prompt, width, height, seed=seed, format=kind, inputs=inputs)
        images.append({"inlineData": {"mimeType": f"image/{kind}", "data": base64.b64encode(data).decode()}})
    text = [{"text": "Here is your image."}] if "with text" in prompt.lower() else []
    return _candidate(model, {"parts": [*text, *images], "role": "model"}, "STOP")


def _check_model_fields(model: str, size_fields: dict[str, str], thinking: dict[str, str]) -> None:
    """Refuse what only other models support."""
    levels = _THINKING_LEVELS.get(model, ())
    if size_fields.get("aspectRatio") in _EXTREME_RATIOS and not levels:
        raise _RefusalError(400, "INVALID_ARGUMENT", "aspect_ratio must be one of the supported values.")
    if size_fields.get("imageSize") == "512" and model != "gemini-3.1-flash-image":
        raise _RefusalError(400, "INVALID_ARGUMENT", "image_size must be one of the supported values: 1K, 2K, 4K.")
    if thinking and thinking.get("thinkingLevel") not in levels:
        raise _RefusalError(400, "INVALID_ARGUMENT", "Thinking level is not supported for this model.")


def _candidate(model: str, content: dict[str, Any] | None, reason: str, message: str = "") -> Response:
    candidate: dict[str, Any] = {"finishReason": reason, "index": 0}
    if content:
        candidate["content"] = content
    if message:
        candidate["finishMessage"] = message
    usage = {"promptTokenCount": 7, "candidatesTokenCount": 1290, "totalTokenCount": 1297}
    return JSONResponse({"candidates": [candidate], "usageMetadata": usage, "modelVersion": model})


async def _predict(body: dict[str, Any]) -> Response:
    prompt = body["instances"][0]["prompt"]
    parameters = body.get("parameters", {})
    count = parameters.get("sampleCount", 1)
    if not 1 <= count <= 4:
        raise _RefusalError(400, "INVALID_ARGUMENT", "sampleCount must be between 1 and 4, inclusive.")
    if "refused" in prompt.lower():
        raise _RefusalError(
            400,
            "INVALID_ARGUMENT",
            "The prompt could not be submitted. It contains sensitive words that violate Google's Responsible AI "
            "practices. Try rephrasing the prompt.",
        )
    width, height = _pixels(parameters.get("aspectRatio", "1:1"), parameters.get("sampleImageSize", "1K"))
    every = 1 if "blocked" in prompt.lower() else 2 if "some filtered" in prompt.lower() else count + 1
    predictions = []
    for number in range(1, count + 1):
        if number % every == 0:
            predictions.append({"raiFilteredReason": "Your image was filtered out by Google's usage policy: 58061214."})
            continue
        data = await asyncio.to_thread(paint, prompt, width, height, seed=number)
        predictions.append({"mimeType": "image/png", "bytesBase64Encoded": base64.b64encode(data).decode()})
    if not parameters.get("includeRaiReason"):
        predictions = [entry for entry in predictions if "raiFilteredReason" not in entry]
    return JSONResponse({"predictions": predictions} if predictions else {})


def _pixels(ratio: str, size: str) -> tuple[int, int]:
    if ratio not in PIXELS or size not in SCALES:
        known = ", ".join([*PIXELS, *SCALES])
        raise _RefusalError(400, "INVALID_ARGUMENT", f"{ratio} at {size} is not one of the supported values: {known}.")
    width, height = PIXELS[ratio]
    return int(width * SCALES[size]), int(height * SCALES[size])
