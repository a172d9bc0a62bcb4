"""Calls of Gemini's models that make images, and what their responses hold.

A refusal for content is more often a 200 without an image than an error. `predict` may refuse some of its images and
return the rest.
"""

import base64
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote

from image_gateway.engines.base64_images import decode_base64
from image_gateway.engines.fanout import combine_results, gather_results
from image_gateway.engines.gemini.model_features import features_of
from image_gateway.engines.gemini.responses import (
    completion_usage_of,
    finish_reason,
    inline_data,
    parts_of,
    refusal,
    text_of,
    usage_of,
)
from image_gateway.engines.gemini.sizes import IMAGEN_RATIOS, IMAGEN_SCALES, NearestSize, nearest_size
from image_gateway.engines.model_ends import end_warnings
from image_gateway.engines.protocol import (
    OPENAI_ONLY_FIELDS,
    EngineImage,
    EngineResult,
    ImageRequest,
    SentRequest,
    unsupported_warnings,
)
from image_gateway.engines.result_limits import MAX_IMAGES, first_images
from image_gateway.engines.server import EngineServer
from image_gateway.errors import ContentBlocked, EngineError, EngineRejected, EngineUnavailable

NAME = "gemini"
_PREDICTIONS_PER_CALL = 4
_UNSUPPORTED = ("steps", "negative_prompt", "seed", "quality", "background", "style", *OPENAI_ONLY_FIELDS)
_THINKING = "thinkingLevel"

ModelFields = Mapping[str, str]
"""The request fields that not every model has: aspect ratio, size and thinking level."""


class GeminiCalls:
    """Calls models of one server."""

    def __init__(self, server: EngineServer) -> None:
        self._server = server

    async def content(self, request: ImageRequest, model: str) -> EngineResult:
        """Make one call for each image, concurrently."""
        inputs = [
            {"inline_data": {"mime_type": image.content_type, "data": base64.b64encode(image.data).decode()}}
            for image in request.images
        ]
        contents = [{"role": "user", "parts": [{"text": request.prompt}, *inputs]}]

        def body(fields: ModelFields) -> dict[str, Any]:
            level = fields.get(_THINKING)
            size_fields = {name: value for name, value in fields.items() if name != _THINKING}
            config: dict[str, Any] = {"responseModalities": ["TEXT", "IMAGE"]}
            config |= {"imageConfig": size_fields} if size_fields else {}
            config |= {"thinkingConfig": {_THINKING: level}} if level else {}
            return {"contents": contents, "generationConfig": config}

        features = features_of(model)
        nearest = nearest_size(request.size, features.ratios, features.sizes) if request.size else None
        fields = {}
        if nearest:
            fields["aspectRatio"] = nearest.aspect_ratio
            fields |= {"imageSize": nearest.image_size} if features.takes_size else {}
        level = features.thinking_level(request.complexity) if request.complexity else None
        fields |= {_THINKING: level} if level else {}
        path = path_of(model, "generateContent")
        limit = MAX_IMAGES // request.n
        result = await gather_results(
            self._call(path, body, fields, lambda response: self._read_content(response, limit))
            for _ in range(request.n)
        )
        if len(result.images) > request.n:
            result.warnings.append(f"{NAME} returned {len(result.images)} images for n={request.n}")
        result.warnings[:0] = _warnings(request, nearest, thinks=level is not None)
        return result

    async def predict(self, request: ImageRequest, model: str) -> EngineResult:
        """Make one call for every four images, concurrently."""
        nearest = nearest_size(request.size, IMAGEN_RATIOS, IMAGEN_SCALES) if request.size else None
        size_fields = {"aspectRatio": nearest.aspect_ratio, "sampleImageSize": nearest.image_size} if nearest else {}

        def call(count: int) -> Awaitable[EngineResult]:
            def body(size_fields: ModelFields) -> dict[str, Any]:
                # Without `includeRaiReason`, the response is empty if all images are filtered.
                parameters = {"sampleCount": count, "includeRaiReason": True, **size_fields}
                return {"instances": [{"prompt": request.prompt}], "parameters": parameters}

            return self._call(
                path_of(model, "predict"), body, size_fields, lambda response: self._read_predictions(response, count)
            )

        starts = range(0, request.n, _PREDICTIONS_PER_CALL)
        result = await gather_results(call(min(_PREDICTIONS_PER_CALL, request.n - start)) for start in starts)
        result.warnings[:0] = _warnings(request, nearest)
        return result

    async def _call(
        self,
        path: str,
        body: Callable[[ModelFields], dict[str, Any]],
        fields: ModelFields,
        read: Callable[[Any], EngineResult],
    ) -> EngineResult:
        """Make one call. If the model refuses one of `fields` by name, call again without that field.

        A response is read without a pause, so that of concurrent calls only one has a parsed response in memory.
        """
        server = self._server.with_operation_deadline()
        dropped: list[str] = []
        while True:
            try:
                response = await server.json("POST", path, json=body(fields))
            except EngineRejected as error:
                # Only the model in the path can be unknown. Other kinds of server have no such code in the body.
                if str(error.engine_code) == "404":
                    error.field = "model"
                detail = error.detail.lower().replace("_", "").replace(" ", "")
                name = next((name for name in fields if name.lower() in detail), None)
                if name is None or isinstance(error, ContentBlocked):
                    raise
                fields = {field: value for field, value in fields.items() if field != name}
                dropped.append(f"{name} is not supported by this model and was left out")
            else:
                result = read(response)
                result.warnings += dropped
                # Without a class, Google's models make images of 1K.
                size_class = fields.get("imageSize", fields.get("sampleImageSize", "1K"))
                result.sent = SentRequest(size_class=size_class)
                return result

    def _read_content(self, response: Any, limit: int) -> EngineResult:
        """Return the images of a response, which may hold several."""
        parts = parts_of(response)
        found = [data for part in parts if (data := inline_data(part))]
        if not found:
            raise self.missing(response)
        kept, too_many = first_images(found, limit, NAME)
        result = combine_results([_image(data) for data in kept])
        result.warnings[:0], result.usage = too_many, usage_of(response)
        result.lost, result.may_have_cost_more = len(kept) - len(result.images), False
        if text := self._server.message(text_of(parts)):
            result.warnings.append(f"{NAME} says: {text}")
        return result

    def _read_predictions(self, response: Any, count: int) -> EngineResult:
        predictions = response.get("predictions") if isinstance(response, dict) else None
        if not isinstance(predictions, list) or not predictions:
            raise self.missing(response)
        items = [item if isinstance(item, dict) else {} for item in predictions]
        made, too_many = first_images([item for item in items if not item.get("raiFilteredReason")], count, NAME)
        filtered = [item for item in items if item.get("raiFilteredReason")]
        result = combine_results([self._prediction(item) for item in [*made, *filtered[:count]]])
        result.warnings += too_many
        return result

    def _prediction(self, item: dict[str, Any]) -> EngineResult | EngineError:
        if reason := item.get("raiFilteredReason"):
            return ContentBlocked(f"{NAME} blocked the content: {self._server.message(reason)}")
        return _image(item.get("bytesBase64Encoded"))

    def missing(self, response: Any, wanted: str = "an image") -> EngineError:
        """Return the error for a 200 without the wanted content, with the tokens that it took."""
        error = self._reason(response, wanted)
        error.usage = completion_usage_of(response)
        return error

    def _reason(self, response: Any, wanted: str) -> EngineError:
        """Return why a 200 has not the wanted content: a content refusal, text instead, or nothing."""
        reason = refusal(response)
        if reason:
            return ContentBlocked(f"{NAME} blocked the content: {self._server.message(reason)}")
        if text := self._server.message(text_of(parts_of(response))):
            return EngineRejected(f"{NAME} answered without {wanted}: {text}")
        reason = self._server.message(response) or finish_reason(response) or "no explanation"
        return EngineUnavailable(f"{NAME} answered without {wanted}: {reason}", may_have_cost=True)


def _image(data: object) -> EngineResult | EngineError:
    try:
        return EngineResult([EngineImage(decode_base64(data, NAME))])
    except EngineUnavailable as error:
        return error


def path_of(model: str, method: str) -> str:
    """Return the path of a model's method."""
    # Quoted, so that a caller's model name cannot send the key to another path.
    return f"/models/{quote(model, safe='')}:{method}"


def _warnings(request: ImageRequest, nearest: NearestSize | None, *, thinks: bool = False) -> list[str]:
    unsupported = (name for name in _UNSUPPORTED if not (thinks and name == "complexity"))
    warnings = unsupported_warnings(request, NAME, *unsupported) + end_warnings(request.model, NAME)
    is_close = request.approximate_size and request.aspect_ratio in (None, nearest and nearest.aspect_ratio)
    if nearest and nearest.pixels != request.size and not is_close:
        warnings.append(
            f"{NAME} does not make {request.size}: requested {nearest.aspect_ratio} at {nearest.image_size}, "
            f"about {nearest.pixels}"
        )
    return warnings
