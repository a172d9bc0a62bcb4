"""The OpenAI Images API and everything compatible with it.

Facts: OpenAI's API reference and SDK types (`openai` 3.54), Azure OpenAI's differences, and recorded responses of
stable-diffusion.cpp's server. GPT image models refuse `response_format` and always return base64; other providers may
return a URL. Nothing here depends on a list of models.
"""

import re
from dataclasses import replace
from typing import Any
from urllib.parse import quote, unquote

from image_gateway.engines.connection import Connection
from image_gateway.engines.credentials import credentials
from image_gateway.engines.fanout import gather_results
from image_gateway.engines.model_ends import end_warnings, model_end
from image_gateway.engines.openai.calls import EncodeBody, ImagesCall
from image_gateway.engines.openai.dialects import (
    DEPLOYMENT,
    JSON_DIALECTS,
    JsonDialect,
    chat_body,
    dialect_of,
    json_body,
    json_warnings,
)
from image_gateway.engines.openai.refusals import blocked_reason, refuses_n
from image_gateway.engines.openai.refused_fields import OUTPUT_FIELDS
from image_gateway.engines.openai.request_body import count_of, form, options
from image_gateway.engines.protocol import Completion, EngineResult, ImageRequest, overlay, unsupported_warnings
from image_gateway.engines.result_limits import MAX_IMAGES
from image_gateway.engines.server import EngineServer
from image_gateway.engines.usage import TokenCounts, text_counts, token_counts
from image_gateway.errors import EngineRejected, EngineUnavailable
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import origin
from image_gateway.models.images import ModelInfo

_MAKES_IMAGES = re.compile(
    r"image|dall-?e|flux|diffusion|\bsd(xl|[-_]?\d|-turbo)|imagen|banana|seedream|recraft|ideogram", re.IGNORECASE
)
_DIFFUSION_FIELDS = ("steps", "negative_prompt", "seed")
_OFFICIAL = ("https", "api.openai.com", 443)


class OpenAIEngine:
    """An OpenAI-compatible server, created from one configuration."""

    def __init__(self, config: ImagesConfig, connection: Connection, *, edit: bool = False) -> None:
        prefix = "IMAGES_EDIT_OPENAI" if edit else "IMAGES_OPENAI"
        base_url: str = getattr(config, f"{prefix}_API_BASE_URL")
        key: str = getattr(config, f"{prefix}_API_KEY")
        version: str = getattr(config, f"{prefix}_API_VERSION")
        if not base_url:
            raise connection.not_set(f"{prefix}_API_BASE_URL", "base_url")
        if not key and origin(base_url) == _OFFICIAL:
            raise connection.not_set(f"{prefix}_API_KEY", "key", f": {base_url} needs one")
        self._params = config.IMAGES_OPENAI_API_PARAMS
        dialect = dialect_of(connection.access, base_url)
        is_azure = bool(version) or dialect == "azure"
        self._extra = {str(field): name for field, name in config.IMAGES_OPENAI_API_EXTRA_FIELDS.items()}
        self._server = EngineServer(
            connection,
            "openai",
            base_url,
            headers=credentials(connection, key, {"api-key": key} if is_azure else {"Authorization": f"Bearer {key}"}),
            params={"api-version": version} if version else {},
            blocked=blocked_reason,
            url_hint=_url_hint(connection, base_url),
        )
        self._json = JSON_DIALECTS.get(dialect)
        self._provider = "azure" if dialect == "azure" else "openai"
        deployment = DEPLOYMENT.fullmatch(base_url)
        self._deployment = unquote(deployment["name"]) if deployment else None
        self._resource = replace(self._server, base_url=deployment["resource"]) if deployment else self._server

    async def generate(self, request: ImageRequest) -> EngineResult:
        """`POST /images/generations`, or what the dialect has in its place."""
        if self._json:
            return await self._as_json(request, self._json, self._json.generations)
        body: dict[str, Any] = {"prompt": request.prompt, **options(request, self._extra)}
        result = await self._images(request, body, lambda fields: {"json": fields}, "/images/generations")
        result.warnings += self._unsupported(request)
        return result

    async def edit(self, request: ImageRequest) -> EngineResult:
        """`POST /images/edits`, multipart: `image` for one input image, `image[]` for several, `mask` with alpha.

        Dialects may want JSON instead.
        """
        if self._json:
            return await self._as_json(request, self._json, self._json.edits)
        fidelity = {"input_fidelity": request.input_fidelity} if request.input_fidelity else {}
        body: dict[str, Any] = {"prompt": request.prompt, **options(request, self._extra), **fidelity}
        try:
            result = await self._edit_as(request, body, "image" if len(request.images) == 1 else "image[]")
        except EngineRejected as error:
            # stable-diffusion.cpp's server accepts only `image[]`, also for a single image.
            if len(request.images) != 1 or "image[]" not in error.detail:
                raise
            result = await self._edit_as(request, body, "image[]")
        result.warnings += self._unsupported(request)
        return result

    async def models(self) -> list[ModelInfo]:
        """`GET /models`: the models whose name or kind suggests images; all models if none does.

        An Azure deployment is one model. Its name is returned after the resource has accepted the key.
        """
        query = self._json.models_query if self._json else {}
        body = await self._resource.json("GET", "/models", params=query or None)
        data = body.get("data") if isinstance(body, dict) else None
        if not isinstance(data, list):
            raise EngineUnavailable("openai answered /models with something that is not a list of models")
        if self._deployment:
            return [self._model_info({"id": self._deployment})]
        entries = [entry for entry in data if isinstance(entry, dict) and isinstance(entry.get("id"), str)]
        image_models = entries if query else [entry for entry in entries if _makes_images(entry)] or entries
        return [self._model_info(entry) for entry in image_models]

    async def verify(self) -> None:
        """Request the models, which needs the key and is free."""
        await self.models()

    async def complete(self, *, model: str, system: str, user: str) -> Completion:
        """`POST /chat/completions`; returns the text of the first choice. On Azure `model` is a deployment's name."""
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        path = f"/deployments/{quote(model, safe='')}/chat/completions" if self._deployment else "/chat/completions"
        body = await self._resource.json("POST", path, json={"model": model, "messages": messages})
        try:
            text = body["choices"][0]["message"]["content"]
        except (LookupError, TypeError):
            text = None
        if not isinstance(text, str) or not text.strip():
            raise EngineUnavailable("openai answered a chat completion without text", may_have_cost=True)
        return Completion(text, _completion_usage(body.get("usage")))

    def _model_info(self, entry: dict[str, Any]) -> ModelInfo:
        end = model_end(entry["id"], self._provider)
        name = str(entry.get("name") or entry["id"])
        return ModelInfo(id=entry["id"], name=name, ends_on=end.ends_on if end else None)

    def _unsupported(self, request: ImageRequest) -> list[str]:
        fields = (name for name in _DIFFUSION_FIELDS if name not in self._extra)
        return unsupported_warnings(request, "openai", *fields)

    async def _edit_as(self, request: ImageRequest, body: dict[str, Any], name: str) -> EngineResult:
        files = [
            (name, (f"image-{number}.{image.extension}", image.data, image.content_type))
            for number, image in enumerate(request.images)
        ]
        if request.mask:
            files.append(("mask", (f"mask.{request.mask.extension}", request.mask.data, request.mask.content_type)))
        return await self._images(
            request, dict(body), lambda fields: {"data": form(fields), "files": files}, "/images/edits"
        )

    async def _as_json(self, request: ImageRequest, dialect: JsonDialect, path: str) -> EngineResult:
        body = json_body(dialect, request, self._extra)
        warnings = json_warnings(dialect, request, body)
        try:
            result = await self._images(request, body, lambda fields: {"json": fields}, path)
        except EngineRejected as error:
            if dialect.name != "openrouter" or " answered 404" not in error.detail:
                raise
            # Before it had `/images`, and servers like it, make images in chat completions, one in each.
            chat = chat_body(request, body)
            path = "/chat/completions"
            result = await gather_results(
                self._images(request, dict(chat), lambda fields: {"json": fields}, path) for _ in range(request.n)
            )
        result.warnings += warnings
        if result.sent and result.sent.size is None and request.size:
            # Their own fields for the size, a ratio and a class, mean these pixels.
            result.sent = replace(result.sent, size=str(request.size))
        return result

    async def _images(self, request: ImageRequest, body: dict[str, Any], encode: EncodeBody, path: str) -> EngineResult:
        """Request all images in one call; if it returns fewer, request the rest concurrently, one per call."""
        params = self._params
        if params and params.get("output_format") == "jpg":
            params = {**params, "output_format": "jpeg"}
        calculated_size = body.get("size")
        warnings = overlay(body, params, request, {name: field for field, name in self._extra.items()})
        count = min(count_of(body), MAX_IMAGES)
        call = ImagesCall(
            server=self._server.with_operation_deadline(),
            path=path,
            encode=encode,
            # A size of the operator's parameters is not approximate.
            approximate_size=request.approximate_size and body.get("size") == calculated_size,
            aspect_ratio=request.aspect_ratio,
        )

        async def request_one(body: dict[str, Any], number: int) -> EngineResult:
            body = {**body, "n": 1}
            seed_name = self._extra.get("seed", "seed")
            # The same seed again would make, and cost, the same image. A negative one is random.
            if isinstance(seed := body.get(seed_name), int) and seed >= 0:
                body[seed_name] = seed + number
            return await call.read(await call.make(body))

        try:
            first = await call.make(body)
        except EngineRejected as error:
            if count == 1 or not refuses_n(error):
                raise
            result = await gather_results(request_one(body, number) for number in range(count))
        else:
            # Images that were returned but cannot be read are paid for, so they are not requested again.
            missing = range(len(first.items), count)
            result = await gather_results([call.read(first), *(request_one(first.body, i) for i in missing)])
        model = body.get("model") or self._deployment
        result.warnings[:0] = [*warnings, *end_warnings(model if isinstance(model, str) else None, self._provider)]
        result.handled = frozenset(self._params or ()) & frozenset(OUTPUT_FIELDS) | result.handled
        return result


def _completion_usage(reported: Any) -> TokenCounts | None:
    """Return the token counts of a chat completion, which has other names for them than the Images API."""
    if not isinstance(reported, dict):
        return None
    counts = token_counts(
        {
            "input_tokens": reported.get("prompt_tokens"),
            "output_tokens": reported.get("completion_tokens"),
            "total_tokens": reported.get("total_tokens"),
            "input_tokens_details": reported.get("prompt_tokens_details"),
        }
    )
    return text_counts(counts) if counts else None


def _url_hint(connection: Connection, base_url: str) -> str:
    question = "" if base_url.endswith("/v1") or DEPLOYMENT.fullmatch(base_url) else ": does it end in /v1?"
    return f"check {connection.url_field} in the configuration{question}"


def _makes_images(entry: dict[str, Any]) -> bool:
    kind = (entry.get("mode"), entry.get("type"), entry.get("task"))
    return any(isinstance(word, str) and "image" in word for word in kind) or bool(_MAKES_IMAGES.search(entry["id"]))
