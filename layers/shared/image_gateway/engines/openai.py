"""The OpenAI Images API and everything compatible with it.

Facts: OpenAI's API reference and SDK types (`openai` 3.54), Azure OpenAI's differences, and recorded answers of
stable-diffusion.cpp's server. GPT image models refuse `response_format` and always answer base64; other providers may
answer a URL. Nothing here depends on a list of models.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from image_gateway.engines.base import EngineImage, EngineResult, ImageRequest, overlay, unsupported
from image_gateway.engines.decode import decode_base64
from image_gateway.engines.fanout import gather
from image_gateway.engines.http import Connection, EngineServer
from image_gateway.errors import EngineRejected, EngineUnavailable, NotConfigured
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import origin
from image_gateway.models.pictures import ModelInfo

Encode = Callable[[dict[str, Any]], dict[str, Any]]
"""Turns body fields into the arguments of an HTTP request: JSON or multipart."""

_BLOCKS = ("moderation_blocked", "content_policy_violation", "content_filter", "ResponsibleAIPolicyViolation")
_MAKES_IMAGES = re.compile(r"image|dall-?e|flux|diffusion|sd[-_x]?[\d-]|imagen|banana|seedream|recraft|ideogram", re.I)
_UNKNOWN = re.compile(r"unknown|unrecogni[sz]ed|unexpected|not permitted|unsupported parameter", re.I)
_OFFICIAL = ("https", "api.openai.com", 443)


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

    async def generate(self, request: ImageRequest) -> EngineResult:
        """`POST /images/generations`."""
        body: dict[str, Any] = {"prompt": request.prompt, **_options(request)}
        result = await self._pictures(request, body, lambda fields: {"json": fields}, "/images/generations")
        result.warnings += unsupported(request, "openai", "steps", "negative_prompt", "seed")
        return result

    async def edit(self, request: ImageRequest) -> EngineResult:
        """`POST /images/edits`, multipart: `image` for one input, `image[]` for more, `mask` with alpha."""
        name = "image" if len(request.images) == 1 else "image[]"
        files = [
            (name, (f"image-{number}.{image.extension}", image.data, image.content_type))
            for number, image in enumerate(request.images)
        ]
        if request.mask:
            files.append(("mask", ("mask.png", request.mask.data, request.mask.content_type)))
        body: dict[str, Any] = {"prompt": request.prompt, **_options(request)}
        result = await self._pictures(
            request, body, lambda fields: {"data": _form(fields), "files": files}, "/images/edits"
        )
        result.warnings += unsupported(request, "openai", "steps", "negative_prompt", "seed")
        return result

    async def models(self) -> list[ModelInfo]:
        """`GET /models`, those whose name or kind says that they make images; all of them where none does."""
        body = await self._server.json("GET", "/models")
        found = body.get("data") if isinstance(body, dict) else None
        if not isinstance(found, list):
            raise EngineUnavailable("openai answered /models with something that is not a list of models")
        entries = [entry for entry in found if isinstance(entry, dict) and isinstance(entry.get("id"), str)]
        fitting = [entry for entry in entries if _makes_images(entry)] or entries
        return [ModelInfo(id=entry["id"], name=str(entry.get("name") or entry["id"])) for entry in fitting]

    async def verify(self) -> None:
        """Ask for the models: needs the key, costs nothing."""
        await self.models()

    async def complete(self, *, model: str, system: str, user: str) -> str:
        """`POST /chat/completions`; the text of the first choice."""
        messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
        body = await self._server.json("POST", "/chat/completions", json={"model": model, "messages": messages})
        try:
            return str(body["choices"][0]["message"]["content"] or "")
        except (LookupError, TypeError):
            raise EngineUnavailable("openai answered a chat completion without choices") from None

    async def _pictures(self, request: ImageRequest, body: dict[str, Any], encode: Encode, path: str) -> EngineResult:
        """Ask for all pictures in one call; where one call gives fewer, ask for the rest at once, one by one."""
        warnings = overlay(body, self._params, request, {})
        count = _count(body.get("n"))
        try:
            first = await self._call(body, encode, path)
        except EngineRejected as error:
            if error.param != "n" or count == 1:
                raise
            result = await gather(self._call({**body, "n": 1}, encode, path) for _ in range(count))
        else:
            missing = count - len(first.images)
            result = await gather([_ready(first), *(self._call({**body, "n": 1}, encode, path) for _ in range(missing))])
        result.warnings[:0] = warnings
        return result

    async def _call(self, body: dict[str, Any], encode: Encode, path: str) -> EngineResult:
        """One call; where the server refuses a field as unknown to it, once more without that field."""
        dropped: list[str] = []
        while True:
            try:
                answer = await self._server.json("POST", path, **encode(body))
            except EngineRejected as error:
                name = _unknown_field(error, body)
                if name is None:
                    raise
                body = {field: value for field, value in body.items() if field != name}
                dropped.append(f"{name} is not known to this model and was left out")
            else:
                result = await self._read(answer)
                result.warnings += dropped
                return result

    async def _read(self, answer: Any) -> EngineResult:
        items = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(items, list) or not items:
            raise EngineUnavailable("openai answered without pictures", may_have_cost=True)
        result = await gather(self._picture(item) for item in items)
        result.usage = answer.get("usage")
        return result

    async def _picture(self, item: Any) -> EngineResult:
        item = item if isinstance(item, dict) else {}
        if item.get("b64_json"):
            data = decode_base64(item["b64_json"], "openai")
        elif isinstance(item.get("url"), str):
            url = item["url"]
            data = decode_base64(url, "openai") if url.startswith("data:") else await self._server.download(url)
        else:
            raise EngineUnavailable("openai answered a picture with neither b64_json nor url", may_have_cost=True)
        return EngineResult([EngineImage(data, revised_prompt=item.get("revised_prompt"))])


def _options(request: ImageRequest) -> dict[str, Any]:
    size = "auto" if request.auto_size else str(request.size) if request.size else None
    options = {
        "model": request.model,
        "n": request.n,
        "size": size,
        "quality": request.quality,
        "background": request.background,
        "output_format": request.output_format,
        "style": request.style,
    }
    return {name: value for name, value in options.items() if value is not None}


def _form(fields: dict[str, Any]) -> dict[str, str]:
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}


def _credentials(base_url: str, key: str, *, azure: bool) -> dict[str, str]:
    if not key:
        return {}
    if azure or (origin(base_url)[1].endswith(".azure.com")):
        return {"api-key": key}
    return {"Authorization": f"Bearer {key}"}


def _blocked(body: Any) -> str | None:
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return None
    inner = error.get("innererror")
    codes = (error.get("code"), error.get("type"), inner.get("code") if isinstance(inner, dict) else None)
    return str(error.get("message") or error["code"]) if any(code in _BLOCKS for code in codes) else None


def _unknown_field(error: EngineRejected, body: dict[str, Any]) -> str | None:
    """The optional field that the engine says it does not know, if it says that and we sent it."""
    if error.engine_code != "unknown_parameter" and not _UNKNOWN.search(error.detail):
        return None
    optional = [name for name in body if name not in ("prompt", "model", "n")]
    if error.param in optional:
        return error.param
    return next((name for name in optional if re.search(rf"['\"`]{re.escape(name)}['\"`]", error.detail)), None)


def _makes_images(entry: dict[str, Any]) -> bool:
    kind = (entry.get("mode"), entry.get("type"), entry.get("task"))
    return any(isinstance(word, str) and "image" in word for word in kind) or bool(_MAKES_IMAGES.search(entry["id"]))


def _count(value: Any) -> int:
    return value if isinstance(value, int) and value > 0 else 1


async def _ready(result: EngineResult) -> EngineResult:
    return result
