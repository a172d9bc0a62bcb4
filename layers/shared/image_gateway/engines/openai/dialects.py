"""Dialects: APIs that call themselves compatible with OpenAI's, and want images or sizes in another way.

A dialect is named by a connection, or found by the server's host. The tables are from the providers' documentation and
from programs that are known to work, as of November 2026:

- xAI: docs.x.ai, "Image generation" and "Image editing", and the `xai` provider of Vercel's AI SDK. Edits are JSON; a
  multipart form gets a 415. Unknown fields get a 422.
- OpenRouter: its documentation's "Image generation" (chat completions), and the requests of its own SDKs for the newer
  `POST /images`.
"""

import base64
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from image_gateway.engines.protocol import OPENAI_ONLY_FIELDS, ImageRequest, InputImage, unsupported_warnings
from image_gateway.models.fields import Size, origin
from image_gateway.models.servers import Dialect, ServerAccess
from image_gateway.models.sizes import proportion

AZURE_DOMAINS: Final = (".azure.com", ".azure.us", ".azure.cn")
_HOSTS: Mapping[str, Dialect] = MappingProxyType({"api.x.ai": "xai", "openrouter.ai": "openrouter"})

DEPLOYMENT: Final = re.compile(r"(?P<resource>.*/openai)/deployments/(?P<name>[^/]+)", re.IGNORECASE)
"""The base URL of an Azure deployment, which is one model."""
_RATIOS: Final = (
    *("1:1", "3:4", "4:3", "9:16", "16:9", "2:3", "3:2", "1:2", "2:1"),
    *("9:19.5", "19.5:9", "9:20", "20:9"),
)
"""The aspect ratios of xAI."""
_LARGE_PIXELS: Final = 1_500_000
"""Above this many pixels, an image is nearer to 2K (four megapixels) than to 1K."""
_HUGE_PIXELS: Final = 8_000_000


@dataclass(frozen=True, slots=True)
class JsonDialect:
    """A dialect whose generations and edits are JSON.

    Attributes:
        name: as in messages.
        generations: path of generations.
        edits: path of edits.
        max_inputs: most input images of an edit.
        unsupported: fields of a request that the API does not have.
        models_query: query parameters of the list of models; with some, it has image models only.
    """

    name: str
    generations: str
    edits: str
    max_inputs: int
    unsupported: tuple[str, ...]
    models_query: Mapping[str, str] = field(default_factory=dict)


JSON_DIALECTS: Mapping[Dialect, JsonDialect] = MappingProxyType(
    {
        "xai": JsonDialect(
            "xai",
            "/images/generations",
            "/images/edits",
            max_inputs=3,
            unsupported=("background", "style", *(name for name in OPENAI_ONLY_FIELDS if name != "user")),
        ),
        "openrouter": JsonDialect(
            "openrouter",
            "/images",
            "/images",
            max_inputs=16,
            unsupported=("style", *OPENAI_ONLY_FIELDS),
            models_query={"output_modalities": "image"},
        ),
    }
)


def dialect_of(access: ServerAccess | None, base_url: str) -> Dialect:
    """Return the dialect of a server: the connection's, or that of the server's host; never `auto`."""
    chosen = access.dialect if access else "auto"
    if chosen != "auto":
        return chosen
    host = origin(base_url)[1]
    return "azure" if host.endswith(AZURE_DOMAINS) else _HOSTS.get(host, "plain")


def json_body(dialect: JsonDialect, request: ImageRequest, extra: Mapping[str, str]) -> dict[str, Any]:
    """Return the body of a generation or an edit.

    Args:
        dialect: `xai` or `openrouter`.
        request: the request.
        extra: further fields that the connection says the server takes, with their names there.
    """
    fields = _xai(request) if dialect.name == "xai" else _openrouter(request)
    fields |= {name: getattr(request, own) for own, name in extra.items() if own != "aspect_ratio"}
    return {"prompt": request.prompt, **{name: value for name, value in fields.items() if value is not None}}


def json_warnings(dialect: JsonDialect, request: ImageRequest, body: Mapping[str, Any]) -> list[str]:
    """Return what of a request is not done as requested."""
    names = [name for name in ("steps", "negative_prompt", "seed") if name not in body]
    warnings = unsupported_warnings(request, dialect.name, *names, *dialect.unsupported)
    if request.mask:
        warnings.append(f"mask is not supported by {dialect.name} and was ignored")
    if len(request.images) > dialect.max_inputs:
        warnings.append(f"{dialect.name} takes {dialect.max_inputs} input images: the others were ignored")
    if "size" in request.requested and request.size and not request.approximate_size and "size" not in body:
        ratio = body.get("aspect_ratio")
        warnings.append(f"size is not supported by {dialect.name}: the aspect ratio {ratio} was requested instead")
    return warnings


def chat_body(request: ImageRequest, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a chat completion that makes an image, from that of `POST /images` of OpenRouter."""
    parts: list[dict[str, Any]] = [{"type": "text", "text": request.prompt}]
    parts += [{"type": "image_url", "image_url": {"url": data_url(image)}} for image in request.images]
    config = {"aspect_ratio": body.get("aspect_ratio"), "image_size": body.get("resolution")}
    config = {name: value for name, value in config.items() if value is not None}
    return {
        **({"model": body["model"]} if "model" in body else {}),
        "messages": [{"role": "user", "content": parts}],
        "modalities": ["image", "text"],
        **({"image_config": config} if config else {}),
    }


def data_url(image: InputImage) -> str:
    """Return an image as a data URL (RFC 2397)."""
    return f"data:{image.content_type};base64,{base64.b64encode(image.data).decode()}"


def _xai(request: ImageRequest) -> dict[str, Any]:
    sources = [{"url": data_url(image), "type": "image_url"} for image in request.images[:3]]
    return {
        "model": request.model,
        "n": request.n,
        "aspect_ratio": "auto" if request.auto_size else _nearest_ratio(request),
        "resolution": _resolution(request.size, ("1k", "2k")),
        "quality": request.quality,
        "user": request.user,
        # By default the response has a URL, which is one more request.
        "response_format": "b64_json",
        "image": sources[0] if len(sources) == 1 else None,
        "images": sources if len(sources) > 1 else None,
    }


def _openrouter(request: ImageRequest) -> dict[str, Any]:
    by_pixels = request.size and not request.approximate_size
    references = [{"type": "image_url", "image_url": {"url": data_url(image)}} for image in request.images]
    return {
        "model": request.model,
        "n": request.n,
        "size": str(request.size) if by_pixels else None,
        "aspect_ratio": None if by_pixels else request.aspect_ratio,
        "resolution": None if by_pixels else _resolution(request.size, ("1K", "2K", "4K")),
        "quality": request.quality,
        "background": request.background,
        "output_format": request.output_format,
        "output_compression": request.output_compression,
        "seed": request.seed,
        "input_references": references or None,
    }


def _nearest_ratio(request: ImageRequest) -> str | None:
    if request.aspect_ratio in _RATIOS:
        return request.aspect_ratio
    if request.size is None:
        return None
    wanted = math.log(request.size.width / request.size.height)
    return min(_RATIOS, key=lambda ratio: abs(math.log(proportion(ratio)) - wanted))


def _resolution(size: Size | None, names: tuple[str, ...]) -> str | None:
    """Return the class whose number of pixels is nearest."""
    if size is None:
        return None
    pixels = size.width * size.height
    return names[min((pixels > _LARGE_PIXELS) + (pixels > _HUGE_PIXELS), len(names) - 1)]
