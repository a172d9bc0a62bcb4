"""The OpenAI Images API and everything compatible with it.

Facts: OpenAI's API reference and SDK types (`openai` 3.54), Azure OpenAI's differences, and recorded answers of
stable-diffusion.cpp's server. GPT image models refuse `response_format` and always answer base64; other providers may
answer a URL. Nothing here depends on a list of models.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, unquote

from image_gateway.engines.base64_images import decode_base64
from image_gateway.engines.fanout import gather
from image_gateway.engines.protocol import EngineImage, EngineResult, ImageRequest, overlay, unsupported
from image_gateway.engines.server import Connection, EngineServer
from image_gateway.errors import ContentBlocked, EngineRejected, EngineUnavailable, NotConfigured
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import origin
from image_gateway.models.images import ModelInfo

Encode = Callable[[dict[str, Any]], dict[str, Any]]
"""Turns body fields into the arguments of an HTTP request: JSON or multipart."""

_BLOCKS = ("moderation_blocked", "content_policy_violation", "content_filter", "ResponsibleAIPolicyViolation")
_MAKES_IMAGES = re.compile(
    r"image|dall-?e|flux|diffusion|\bsd(xl|[-_]?\d|-turbo)|imagen|banana|seedream|recraft|ideogram", re.IGNORECASE
)
_UNKNOWN = re.compile(r"unknown|unrecogni[sz]ed|unexpected|not permitted|unsupported parameter", re.IGNORECASE)
_REFUSES_N = re.compile(
    r"['\"`]n['\"`]|\bn ?(=|must|should)|\bnumber of images\b|\b(one|single) image\b", re.IGNORECASE
)
_DEPLOYMENT = re.compile(r"(?P<resource>.*/openai)/deployments/(?P<name>[^/]+)", re.IGNORECASE)
_OUTPUT = ("output_format", "output_compression")
_AZURE = (".azure.com", ".azure.us", ".azure.cn")
_OFFICIAL = ("https", "api.openai.com", 443)


@dataclass(frozen=True, slots=True)
class _Call:
    """What one call was sent in the end, and what came back."""

    body: dict[str, Any]
    items: list[Any]
    usage: dict[str, Any] | None
    warnings: list[str]
    reported: dict[str, str]


class OpenAIEngine:
    """An OpenAI-compatible server, made from one configuration."""

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
        self._server = EngineServer(
            connection,
            "openai",
            base_url,
            headers=_credentials(base_url, key, azure=bool(version)),
            params={"api-version": version} if version else {},
            blocked=_blocked,
        )
        deployment = _DEPLOYMENT.fullmatch(base_url)
        self._deployment = unquote(deployment["name"]) if deployment else None
        self._resource = replace(self._server, base_url=deployment["resource"]) if deployment else self._server

    async def generate(self, request: ImageRequest) -> EngineResult:
        """`POST /images/generations`."""
        body: dict[str, Any] = {"prompt": request.prompt, **_options(request)}
        result = await self._images(request, body, lambda fields: {"json": fields}, "/images/generations")
        result.warnings += unsupported(request, "openai", "steps", "negative_prompt", "seed")
        return result

    async def edit(self, request: ImageRequest) -> EngineResult:
        """`POST /images/edits`, multipart: `image` for one input, `image[]` for more, `mask` with alpha."""
        fidelity = {"input_fidelity": request.input_fidelity} if request.input_fidelity else {}
        body: dict[str, Any] = {"prompt": request.prompt, **_options(request), **fidelity}
        try:
            result = await self._edited(request, body, "image" if len(request.images) == 1 else "image[]")
        except EngineRejected as error:
            # stable-diffusion.cpp's server knows the name for several images only, also for one.
            if len(request.images) != 1 or "image[]" not in error.detail:
                raise
            result = await self._edited(request, body, "image[]")
        result.warnings += unsupported(request, "openai", "steps", "negative_prompt", "seed")
        return result

    async def models(self) -> list[ModelInfo]:
        """`GET /models`, those whose name or kind says that they make images; all of them where none does.

        An Azure deployment is one model: its own name is answered, once the resource has accepted the key.
        """
        body = await self._resource.json("GET", "/models")
        found = body.get("data") if isinstance(body, dict) else None
        if not isinstance(found, list):
            raise EngineUnavailable("openai answered /models with something that is not a list of models")
        if self._deployment:
            return [ModelInfo(id=self._deployment, name=self._deployment)]
        entries = [entry for entry in found if isinstance(entry, dict) and isinstance(entry.get("id"), str)]
        fitting = [entry for entry in entries if _makes_images(entry)] or entries
        return [ModelInfo(id=entry["id"], name=str(entry.get("name") or entry["id"])) for entry in fitting]

    async def verify(self) -> None:
        """Ask for the models: needs the key, costs nothing."""
        await self.models()

    async def complete(self, *, model: str, system: str, user: str) -> str:
        """`POST /chat/completions`; the text of the first choice. On Azure `model` is a deployment's name."""
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

    async def _edited(self, request: ImageRequest, body: dict[str, Any], name: str) -> EngineResult:
        files = [
            (name, (f"image-{number}.{image.extension}", image.data, image.content_type))
            for number, image in enumerate(request.images)
        ]
        if request.mask:
            files.append(("mask", (f"mask.{request.mask.extension}", request.mask.data, request.mask.content_type)))
        return await self._images(
            request, dict(body), lambda fields: {"data": _form(fields), "files": files}, "/images/edits"
        )

    async def _images(self, request: ImageRequest, body: dict[str, Any], encode: Encode, path: str) -> EngineResult:
        """Ask for all images in one call; where one call gives fewer, ask for the rest at once, one by one."""
        warnings = overlay(body, self._params, request, {})
        count = _count(body.get("n"))
        server = self._server.starting_now()

        async def one(body: dict[str, Any]) -> EngineResult:
            return await _read(server, await _call(server, {**body, "n": 1}, encode, path))

        try:
            first = await _call(server, body, encode, path)
        except EngineRejected as error:
            if count == 1 or not _refuses_n(error):
                raise
            result = await gather(one(body) for _ in range(count))
        else:
            # Counted in what was answered, not in what could be read: that is paid for.
            missing = range(count - len(first.items))
            result = await gather([_read(server, first), *(one(first.body) for _ in missing)])
        result.warnings[:0] = warnings
        result.handled = frozenset(self._params or ()) & frozenset(_OUTPUT) | result.handled
        return result


async def _call(server: EngineServer, body: dict[str, Any], encode: Encode, path: str) -> _Call:
    """One call; where the server refuses a field as unknown to it, once more without that field."""
    warnings: list[str] = []
    while True:
        try:
            answer = await server.json("POST", path, **encode(body))
        except EngineRejected as error:
            name = _unknown_field(error, body)
            if name is None:
                raise
            body = {field: value for field, value in body.items() if field != name}
            if name not in _OUTPUT:
                warnings.append(f"{name} is not known to this model and was left out")
        else:
            break
    items = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(items, list) or not items:
        if reason := _blocked(answer):
            raise ContentBlocked(f"openai blocked the content: {server.message(reason)}")
        said = server.message(answer) or "no explanation"
        raise EngineUnavailable(f"openai answered without images: {said}", may_have_cost=True)
    usage = answer.get("usage")
    reported = {name: answer[name] for name in ("quality", "background") if isinstance(answer.get(name), str)}
    return _Call(body, items, usage if isinstance(usage, dict) else None, warnings, reported)


async def _read(server: EngineServer, call: _Call) -> EngineResult:
    result = await gather(_image(server, item) for item in call.items)
    result.usage, result.reported = call.usage, call.reported
    result.warnings += call.warnings
    result.handled = frozenset({"output_compression"} & call.body.keys())
    return result


async def _image(server: EngineServer, item: Any) -> EngineResult:
    item = item if isinstance(item, dict) else {}
    url, revised = item.get("url"), item.get("revised_prompt")
    if item.get("b64_json"):
        # Taken out, so that of several images not all are held twice.
        data = decode_base64(item.pop("b64_json"), "openai")
    elif isinstance(url, bytes) or (isinstance(url, str) and url.startswith("data:")):
        data = decode_base64(url, "openai")
    elif isinstance(url, str) and url:
        data = await server.download(url)
    else:
        raise EngineUnavailable("openai answered an image with neither b64_json nor url", may_have_cost=True)
    return EngineResult([EngineImage(data, revised_prompt=revised if isinstance(revised, str) else None)])


def _options(request: ImageRequest) -> dict[str, Any]:
    size = "auto" if request.auto_size else str(request.size) if request.size else None
    options = {
        "model": request.model,
        "n": request.n,
        "size": size,
        "quality": request.quality,
        "background": request.background,
        "output_format": request.output_format,
        "output_compression": request.output_compression,
        "style": request.style,
        "moderation": request.moderation,
        "user": request.user,
        "safety_identifier": request.safety_identifier,
        "complexity": request.complexity,
        "frame_count": request.frame_count,
        "frame_duration_ms": request.frame_duration_ms,
    }
    return {name: value for name, value in options.items() if value is not None}


def _form(fields: dict[str, Any]) -> dict[str, str]:
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}


def _credentials(base_url: str, key: str, *, azure: bool) -> dict[str, str]:
    if not key:
        return {}
    if azure or origin(base_url)[1].endswith(_AZURE):
        return {"api-key": key}
    return {"Authorization": f"Bearer {key}"}


def _blocked(body: Any) -> str | None:
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return None
    inner = error.get("innererror")
    codes = (error.get("code"), error.get("type"), inner.get("code") if isinstance(inner, dict) else None)
    return str(error.get("message") or error["code"]) if any(code in _BLOCKS for code in codes) else None


def _refuses_n(error: EngineRejected) -> bool:
    return error.param == "n" or bool(_REFUSES_N.search(error.detail))


def _unknown_field(error: EngineRejected, body: dict[str, Any]) -> str | None:
    """The optional field that the engine says it does not know, if it says that and we sent it."""
    if error.engine_code != "unknown_parameter" and not _UNKNOWN.search(error.detail):
        return None
    needed = ("prompt", "model") if body.get("n") == 1 else ("prompt", "model", "n")
    optional = [name for name in body if name not in needed]
    if error.param in optional:
        return error.param
    said = error.detail
    return next((name for name in optional if re.search(rf"['\"`]{re.escape(name)}['\"`]|\bbody\.{name}:", said)), None)


def _makes_images(entry: dict[str, Any]) -> bool:
    kind = (entry.get("mode"), entry.get("type"), entry.get("task"))
    return any(isinstance(word, str) and "image" in word for word in kind) or bool(_MAKES_IMAGES.search(entry["id"]))


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 1
