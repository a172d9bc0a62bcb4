"""The OpenAI Images API and everything compatible with it.

Facts: OpenAI's API reference and SDK types (`openai` 3.54), Azure OpenAI's differences, and recorded responses of
stable-diffusion.cpp's server. GPT image models refuse `response_format` and always return base64; other providers may
return a URL. Nothing here depends on a list of models.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, unquote

from image_gateway.engines.base64_images import decode_base64
from image_gateway.engines.connection import Connection
from image_gateway.engines.fanout import gather_results
from image_gateway.engines.model_ends import end_warnings, model_end
from image_gateway.engines.openai.answers import AnsweredImage, describe_keys, find_images, list_keys
from image_gateway.engines.openai.dalle_words import translated
from image_gateway.engines.openai.refusals import blocked_reason, refuses_n
from image_gateway.engines.openai.refused_fields import OUTPUT_FIELDS, refused_fields
from image_gateway.engines.openai.request_body import form, options
from image_gateway.engines.protocol import EngineImage, EngineResult, ImageRequest, overlay, unsupported_warnings
from image_gateway.engines.result_limits import MAX_IMAGES, first_images
from image_gateway.engines.server import EngineServer
from image_gateway.engines.usage import TokenCounts, token_counts
from image_gateway.errors import ContentBlocked, EngineRejected, EngineUnavailable, NotConfigured
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import origin
from image_gateway.models.images import ModelInfo

EncodeBody = Callable[[dict[str, Any]], dict[str, Any]]
"""Converts body fields to the arguments of an HTTP request: JSON or multipart."""

_MAKES_IMAGES = re.compile(
    r"image|dall-?e|flux|diffusion|\bsd(xl|[-_]?\d|-turbo)|imagen|banana|seedream|recraft|ideogram", re.IGNORECASE
)
_DEPLOYMENT = re.compile(r"(?P<resource>.*/openai)/deployments/(?P<name>[^/]+)", re.IGNORECASE)
_MORE_IMAGES = 10
"""How many images more than `n` are kept: some compatible servers make a fixed number."""
_DIFFUSION_FIELDS = ("steps", "negative_prompt", "seed")
_AZURE_DOMAINS = (".azure.com", ".azure.us", ".azure.cn")
_OFFICIAL = ("https", "api.openai.com", 443)


@dataclass(frozen=True, slots=True)
class _CallResult:
    """The body that one call was finally sent with, and its response."""

    body: dict[str, Any]
    items: list[AnsweredImage]
    usage: TokenCounts | None
    warnings: list[str]
    reported: dict[str, str]


class OpenAIEngine:
    """An OpenAI-compatible server, created from one configuration."""

    def __init__(self, config: ImagesConfig, connection: Connection, *, edit: bool = False) -> None:
        prefix = "IMAGES_EDIT_OPENAI" if edit else "IMAGES_OPENAI"
        base_url: str = getattr(config, f"{prefix}_API_BASE_URL")
        key: str = getattr(config, f"{prefix}_API_KEY")
        version: str = getattr(config, f"{prefix}_API_VERSION")
        if not base_url:
            raise NotConfigured(f"{prefix}_API_BASE_URL is not set", field=f"{prefix}_API_BASE_URL")
        if not key and origin(base_url) == _OFFICIAL:
            raise NotConfigured(f"{prefix}_API_KEY is not set: {base_url} needs one", field=f"{prefix}_API_KEY")
        self._params = config.IMAGES_OPENAI_API_PARAMS
        self._extra = {str(field): name for field, name in config.IMAGES_OPENAI_API_EXTRA_FIELDS.items()}
        self._server = EngineServer(
            connection,
            "openai",
            base_url,
            headers=_credentials(base_url, key, azure=bool(version)),
            params={"api-version": version} if version else {},
            blocked=blocked_reason,
            url_hint=_url_hint(connection, base_url),
        )
        self._provider = "azure" if origin(base_url)[1].endswith(_AZURE_DOMAINS) else "openai"
        deployment = _DEPLOYMENT.fullmatch(base_url)
        self._deployment = unquote(deployment["name"]) if deployment else None
        self._resource = replace(self._server, base_url=deployment["resource"]) if deployment else self._server

    async def generate(self, request: ImageRequest) -> EngineResult:
        """`POST /images/generations`."""
        body: dict[str, Any] = {"prompt": request.prompt, **options(request, self._extra)}
        result = await self._images(request, body, lambda fields: {"json": fields}, "/images/generations")
        result.warnings += self._unsupported(request)
        return result

    async def edit(self, request: ImageRequest) -> EngineResult:
        """`POST /images/edits`, multipart: `image` for one input image, `image[]` for several, `mask` with alpha."""
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
        body = await self._resource.json("GET", "/models")
        data = body.get("data") if isinstance(body, dict) else None
        if not isinstance(data, list):
            raise EngineUnavailable("openai answered /models with something that is not a list of models")
        if self._deployment:
            return [self._model_info({"id": self._deployment})]
        entries = [entry for entry in data if isinstance(entry, dict) and isinstance(entry.get("id"), str)]
        image_models = [entry for entry in entries if _makes_images(entry)] or entries
        return [self._model_info(entry) for entry in image_models]

    async def verify(self) -> None:
        """Request the models, which needs the key and is free."""
        await self.models()

    async def complete(self, *, model: str, system: str, user: str) -> str:
        """`POST /chat/completions`; returns the text of the first choice. On Azure `model` is a deployment's name."""
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        path = f"/deployments/{quote(model, safe='')}/chat/completions" if self._deployment else "/chat/completions"
        body = await self._resource.json("POST", path, json={"model": model, "messages": messages})
        try:
            text = body["choices"][0]["message"]["content"]
        except (LookupError, TypeError):
            text = None
        if not isinstance(text, str) or not text.strip():
            raise EngineUnavailable("openai answered a chat completion without text")
        return text

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

    async def _images(self, request: ImageRequest, body: dict[str, Any], encode: EncodeBody, path: str) -> EngineResult:
        """Request all images in one call; if it returns fewer, request the rest concurrently, one per call."""
        params = self._params
        if params and params.get("output_format") == "jpg":
            params = {**params, "output_format": "jpeg"}
        warnings = overlay(body, params, request, {name: field for field, name in self._extra.items()})
        count = min(_count(body.get("n")), MAX_IMAGES)
        server = self._server.with_operation_deadline()

        async def request_one(body: dict[str, Any], number: int) -> EngineResult:
            body = {**body, "n": 1}
            if isinstance(seed := body.get(self._extra.get("seed", "seed")), int):
                # The same seed again would make, and cost, the same image.
                body[self._extra.get("seed", "seed")] = seed + number
            return await _read(server, await _call(server, body, encode, path))

        try:
            first = await _call(server, body, encode, path)
        except EngineRejected as error:
            if count == 1 or not refuses_n(error):
                raise
            result = await gather_results(request_one(body, number) for number in range(count))
        else:
            # Images that were returned but cannot be read are paid for, so they are not requested again.
            missing = range(len(first.items), count)
            result = await gather_results([_read(server, first), *(request_one(first.body, i) for i in missing)])
        model = body.get("model") or self._deployment
        result.warnings[:0] = [*warnings, *end_warnings(model if isinstance(model, str) else None, self._provider)]
        result.handled = frozenset(self._params or ()) & frozenset(OUTPUT_FIELDS) | result.handled
        return result


async def _call(server: EngineServer, body: dict[str, Any], encode: EncodeBody, path: str) -> _CallResult:
    """Make one call. If the server does not support a field or a value of DALL·E, call again without it."""
    warnings: list[str] = []
    while True:
        try:
            response = await server.answer("POST", path, **encode(body))
        except EngineRejected as error:
            refused = refused_fields(error, body)
            if not refused and (instead := translated(error, body)):
                body, warning = instead
                warnings.append(warning)
                continue
            if not refused:
                raise
            body = {name: value for name, value in body.items() if name not in refused}
            warnings += [
                f"{name} is not supported by this model and was left out"
                for name in refused
                if name not in OUTPUT_FIELDS
            ]
        else:
            break
    items = find_images(response)
    fields = response if isinstance(response, dict) else {}
    if not items:
        if reason := blocked_reason(response):
            raise ContentBlocked(f"openai blocked the content: {server.message(reason)}")
        reason = f"{server.message(response) or 'no explanation'}{server.safe_line(describe_keys(response))}"
        raise EngineUnavailable(f"openai answered without images: {reason}", may_have_cost=True)
    limit = min(_count(body.get("n")) + _MORE_IMAGES, MAX_IMAGES)
    items, too_many = first_images(items, limit, "openai")
    reported = {name: fields[name] for name in ("quality", "background") if isinstance(fields.get(name), str)}
    return _CallResult(body, items, token_counts(fields.get("usage")), [*warnings, *too_many], reported)


async def _read(server: EngineServer, call: _CallResult) -> EngineResult:
    result = await gather_results(_image(server, item) for item in call.items)
    result.usage, result.reported = call.usage, call.reported
    result.warnings += call.warnings
    result.handled = frozenset({"output_compression"} & call.body.keys())
    return result


async def _image(server: EngineServer, item: AnsweredImage) -> EngineResult:
    # Removed from the item, so that only one image at a time is held twice.
    content, item.content = item.content, None
    if not content:
        keys = f"; the keys of the image are {server.safe_line(list_keys(item.keys))}" if item.keys else ""
        raise EngineUnavailable(f"openai returned an image with neither b64_json nor url{keys}", may_have_cost=True)
    if item.is_url and isinstance(content, str):
        data = await server.download(content.strip())
    else:
        data = decode_base64(content, "openai")
    return EngineResult([EngineImage(data, revised_prompt=item.revised_prompt)])


def _credentials(base_url: str, key: str, *, azure: bool) -> dict[str, str]:
    if not key:
        return {}
    if azure or origin(base_url)[1].endswith(_AZURE_DOMAINS):
        return {"api-key": key}
    return {"Authorization": f"Bearer {key}"}


def _url_hint(connection: Connection, base_url: str) -> str:
    question = "" if base_url.endswith("/v1") or _DEPLOYMENT.fullmatch(base_url) else ": does it end in /v1?"
    return f"check {connection.url_field} in the configuration{question}"


def _makes_images(entry: dict[str, Any]) -> bool:
    kind = (entry.get("mode"), entry.get("type"), entry.get("task"))
    return any(isinstance(word, str) and "image" in word for word in kind) or bool(_MAKES_IMAGES.search(entry["id"]))


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 1
