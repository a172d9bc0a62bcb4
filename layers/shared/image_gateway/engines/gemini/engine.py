"""The Gemini API: `generateContent` for Gemini's own image models, `predict` for Imagen.

Facts: Google's API reference and SDK types (`google-genai` 3.4).
"""

import re
from typing import Any

from image_gateway.engines.connection import Connection
from image_gateway.engines.credentials import credentials
from image_gateway.engines.gemini.calls import NAME, GeminiCalls, path_of
from image_gateway.engines.gemini.responses import (
    blocked,
    completion_usage_of,
    model_info,
    parts_of,
    retry_delay,
    text_of,
)
from image_gateway.engines.protocol import Completion, EngineResult, ImageRequest
from image_gateway.engines.server import EngineServer
from image_gateway.errors import EngineUnavailable, NotConfigured
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import origin
from image_gateway.models.images import ModelInfo

_OFFICIAL = ("https", "generativelanguage.googleapis.com", 443)
_MODEL_PAGES = 20
_MAKES_IMAGES = re.compile(r"image|banana", re.IGNORECASE)

_VERSION = re.compile(r"/v[0-9]+\w*$")
"""The API's version, with which a base URL of Google's ends."""


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
            NAME,
            base_url,
            headers=credentials(connection, key, {"x-goog-api-key": key}),
            blocked=blocked,
            retry_delay=retry_delay,
            url_hint=_url_hint(connection, base_url),
        )
        self._calls = GeminiCalls(self._server)

    async def generate(self, request: ImageRequest) -> EngineResult:
        """`:generateContent` or `:predict`, depending on the configuration or else on the model's name."""
        model = self._model(request)
        call = self._calls.predict if self._method_of(model) == "predict" else self._calls.content
        return await call(request, model)

    async def edit(self, request: ImageRequest) -> EngineResult:
        """`:generateContent` with the input images after the prompt."""
        result = await self._calls.content(request, self._model(request))
        if request.mask:
            result.warnings.append(f"mask is not supported by {NAME} and was ignored")
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
                    f"{NAME} answered /models with something that is not a list of models; is it a Gemini API?"
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
        response = await self._server.json("POST", path_of(model.removeprefix("models/"), "generateContent"), json=body)
        text = text_of(parts_of(response))
        if not text:
            raise self._calls.missing(response, "text")
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
                f"{NAME} has no default model: name one in the request or set {self._model_field}",
                field=self._model_field,
            )
        return request.model.removeprefix("models/")


def _url_hint(connection: Connection, base_url: str) -> str:
    question = "" if _VERSION.search(base_url) else ": does it end in /v1beta?"
    return f"check {connection.url_field} in the configuration{question}"
