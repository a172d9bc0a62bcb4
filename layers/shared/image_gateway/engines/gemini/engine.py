"""The Gemini API: `generateContent` for Gemini's own image models, `predict` for Imagen.

Facts: Google's API reference and SDK types (`google-genai` 3.4). A refusal for content is more often a 200 without an
image than an error. `predict` may refuse some of its images and return the rest.
"""

import base64
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote

from image_gateway.engines.base64_images import decode_base64
from image_gateway.engines.connection import Connection
from image_gateway.engines.credentials import credentials
from image_gateway.engines.fanout import combine_results, gather_results
from image_gateway.engines.gemini.model_features import features_of
from image_gateway.engines.gemini.responses import (
    blocked,
    completion_usage_of,
    finish_reason,
    inline_data,
    model_info,
    parts_of,
    refusal,
    retry_delay,
    text_of,
    usage_of,
)
from image_gateway.engines.gemini.sizes import IMAGEN_RATIOS, IMAGEN_SCALES, NearestSize, nearest_size
from image_gateway.engines.model_ends import end_warnings
from image_gateway.engines.protocol import (
    OPENAI_ONLY_FIELDS,
    Completion,
    EngineImage,
    EngineResult,
    ImageRequest,
    SentRequest,
    unsupported_warnings,
)
from image_gateway.engines.result_limits import MAX_IMAGES, first_images
from image_gateway.engines.server import EngineServer
from image_gateway.errors import ContentBlocked, EngineError, EngineRejected, EngineUnavailable, NotConfigured
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import origin
from image_gateway.models.images import ModelInfo

_NAME = "gemini"
_OFFICIAL = ("https", "generativelanguage.googleapis.com", 443)
_PREDICTIONS_PER_CALL = 4
_MODEL_PAGES = 20
_UNSUPPORTED = ("steps", "negative_prompt", "seed", "quality", "background", "style", *OPENAI_ONLY_FIELDS)
_MAKES_IMAGES = re.compile(r"image|banana", re.IGNORECASE)

_VERSION = re.compile(r"/v[0-9]+\w*$")
"""The API's version, with which a base URL of Google's ends."""
_THINKING = "thinkingLevel"

ModelFields = Mapping[str, str]
"""The request fields that not every model has: aspect ratio, size and thinking level."""


class GeminiEngine:
    """A server of the Gemini API, created from one configuration."""

    def __init__(self, config: ImagesConfig, connection: Connection, *, edit: bool = False) -> None:
        prefix = "IMAGES_EDIT_GEMINI" if edit else "IMAGES_GEMINI"
        base_url: str = getattr(config, f"{prefix}_API_BASE_URL")
        key: str = getattr(config, f"{prefix}_API_KEY")
        if not base_url:
            raise connection.not_set(f"{prefix}_API_BASE_URL", "base_url")
        if not key and origin(base_url) == _OFFICIAL:
            raise connection.not_set(f"{prefix}_API_KEY", "key", f": {base_url} needs one")
        # Only Gemini's own models can edit.
        self._method = "generateContent" if edit else config.IMAGES_GEMINI_ENDPOINT_METHOD
        self._model_field = "IMAGE_EDIT_MODEL" if edit else "IMAGE_GENERATION_MODEL"
        self._server = EngineServer(
            connection,
            _NAME,
            base_url,
            headers=credentials(connection, key, {"x-goog-api-key": key}),
            blocked=blocked,
            retry_delay=retry_delay,
            url_hint=_url_hint(connection, base_url),
        )

    async def generate(self, request: ImageRequest) -> EngineResult:
        """`:generateContent` or `:predict`, depending on the configuration or else on the model's name."""
        model = self._model(request)
        return await (self._predict if self._method_of(model) == "predict" else self._content)(request, model)

    async def edit(self, request: ImageRequest) -> EngineResult:
        """`:generateContent` with the input images after the prompt."""
        result = await self._content(request, self._model(request))
        if request.mask:
            result.warnings.append(f"mask is not supported by {_NAME} and was ignored")
        return result

    async def models(self) -> list[ModelInfo]:
        """`GET /models`, all pages: the models whose name suggests images and that support the method in use."""
        server = self._server.with_operation_deadline()
        models: list[ModelInfo] = []
        token = ""
        for _ in range(_MODEL_PAGES):
            query = {"pageSize": "1000", **({"pageToken": token} if token else {})}
            page = await server.json("GET", "/models", params=query)
            entries = page.get("models") if isinstance(page, dict) else None
            if not isinstance(entries, list):
                raise EngineUnavailable(
                    f"{_NAME} answered /models with something that is not a list of models; is it a Gemini API?"
                )
            models += [model_info(entry) for entry in entries if self._makes_images(entry)]
            token = page.get("nextPageToken") or ""
            if not token:
                break
        return models

    async def verify(self) -> None:
        """Request the models, which needs the key and is free."""
        await self.models()

    async def complete(self, *, model: str, system: str, user: str) -> Completion:
        """`:generateContent` with a language model; returns the text of its response without its thoughts."""
        body = {
            "system_instruction": {"parts": [{"text": system}]},
            "contents": [{"role": "user", "parts": [{"text": user}]}],
        }
        response = await self._server.json("POST", _path(model.removeprefix("models/"), "generateContent"), json=body)
        text = text_of(parts_of(response))
        if not text:
            raise self._missing(response, "text")
        return Completion(text, completion_usage_of(response))

    def _method_of(self, model: str) -> str:
        return self._method or ("predict" if model.startswith("imagen") else "generateContent")

    def _makes_images(self, entry: Any) -> bool:
        if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
            return False
        methods = entry.get("supportedGenerationMethods")
        is_callable = not isinstance(methods, list) or self._method_of(model_info(entry).id) in methods
        return is_callable and bool(_MAKES_IMAGES.search(f"{entry['name']} {entry.get('displayName')}"))

    def _model(self, request: ImageRequest) -> str:
        if not request.model:
            raise NotConfigured(
                f"{_NAME} has no default model: name one in the request or set {self._model_field}",
                field=self._model_field,
            )
        return request.model.removeprefix("models/")

    async def _content(self, request: ImageRequest, model: str) -> EngineResult:
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
        path = _path(model, "generateContent")
        limit = MAX_IMAGES // request.n
        result = await gather_results(
            self._call(path, body, fields, lambda response: self._read_content(response, limit))
            for _ in range(request.n)
        )
        if len(result.images) > request.n:
            result.warnings.append(f"{_NAME} returned {len(result.images)} images for n={request.n}")
        result.warnings[:0] = _warnings(request, nearest, thinks=level is not None)
        return result

    async def _predict(self, request: ImageRequest, model: str) -> EngineResult:
        """Make one call for every four images, concurrently."""
        nearest = nearest_size(request.size, IMAGEN_RATIOS, IMAGEN_SCALES) if request.size else None
        size_fields = {"aspectRatio": nearest.aspect_ratio, "sampleImageSize": nearest.image_size} if nearest else {}

        def call(count: int) -> Awaitable[EngineResult]:
            def body(size_fields: ModelFields) -> dict[str, Any]:
                # Without `includeRaiReason`, the response is empty if all images are filtered.
                parameters = {"sampleCount": count, "includeRaiReason": True, **size_fields}
                return {"instances": [{"prompt": request.prompt}], "parameters": parameters}

            return self._call(
                _path(model, "predict"), body, size_fields, lambda response: self._read_predictions(response, count)
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
            raise self._missing(response)
        kept, too_many = first_images(found, limit, _NAME)
        result = combine_results([_image(data) for data in kept])
        result.warnings[:0], result.usage = too_many, usage_of(response)
        result.lost, result.may_have_cost_more = len(kept) - len(result.images), False
        if text := self._server.message(text_of(parts)):
            result.warnings.append(f"{_NAME} says: {text}")
        return result

    def _read_predictions(self, response: Any, count: int) -> EngineResult:
        predictions = response.get("predictions") if isinstance(response, dict) else None
        if not isinstance(predictions, list) or not predictions:
            raise self._missing(response)
        items = [item if isinstance(item, dict) else {} for item in predictions]
        made, too_many = first_images([item for item in items if not item.get("raiFilteredReason")], count, _NAME)
        filtered = [item for item in items if item.get("raiFilteredReason")]
        result = combine_results([self._prediction(item) for item in [*made, *filtered[:count]]])
        result.warnings += too_many
        return result

    def _prediction(self, item: dict[str, Any]) -> EngineResult | EngineError:
        if reason := item.get("raiFilteredReason"):
            return ContentBlocked(f"{_NAME} blocked the content: {self._server.message(reason)}")
        return _image(item.get("bytesBase64Encoded"))

    def _missing(self, response: Any, wanted: str = "an image") -> EngineError:
        """Return the error for a 200 without the wanted content, with the tokens that it took."""
        error = self._reason(response, wanted)
        error.usage = completion_usage_of(response)
        return error

    def _reason(self, response: Any, wanted: str) -> EngineError:
        """Return why a 200 has not the wanted content: a content refusal, text instead, or nothing."""
        reason = refusal(response)
        if reason:
            return ContentBlocked(f"{_NAME} blocked the content: {self._server.message(reason)}")
        if text := self._server.message(text_of(parts_of(response))):
            return EngineRejected(f"{_NAME} answered without {wanted}: {text}")
        reason = self._server.message(response) or finish_reason(response) or "no explanation"
        return EngineUnavailable(f"{_NAME} answered without {wanted}: {reason}", may_have_cost=True)


def _image(data: object) -> EngineResult | EngineError:
    try:
        return EngineResult([EngineImage(decode_base64(data, _NAME))])
    except EngineUnavailable as error:
        return error


def _url_hint(connection: Connection, base_url: str) -> str:
    question = "" if _VERSION.search(base_url) else ": does it end in /v1beta?"
    return f"check {connection.url_field} in the configuration{question}"


def _path(model: str, method: str) -> str:
    # Quoted, so that a caller's model name cannot send the key to another path.
    return f"/models/{quote(model, safe='')}:{method}"


def _warnings(request: ImageRequest, nearest: NearestSize | None, *, thinks: bool = False) -> list[str]:
    unsupported = (name for name in _UNSUPPORTED if not (thinks and name == "complexity"))
    warnings = unsupported_warnings(request, _NAME, *unsupported) + end_warnings(request.model, _NAME)
    is_close = request.approximate_size and request.aspect_ratio in (None, nearest and nearest.aspect_ratio)
    if nearest and nearest.pixels != request.size and not is_close:
        warnings.append(
            f"{_NAME} does not make {request.size}: requested {nearest.aspect_ratio} at {nearest.image_size}, "
            f"about {nearest.pixels}"
        )
    return warnings
