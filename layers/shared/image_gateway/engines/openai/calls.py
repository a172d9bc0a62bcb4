"""Calls of an OpenAI-compatible server, each repeated without what the server says that it does not support."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from image_gateway.engines.base64_images import decode_base64
from image_gateway.engines.fanout import gather_results
from image_gateway.engines.openai.answers import AnsweredImage, describe_keys, find_images, list_keys
from image_gateway.engines.openai.prompt_arguments import with_prompt_arguments
from image_gateway.engines.openai.refusals import blocked_reason
from image_gateway.engines.openai.refused_fields import OUTPUT_FIELDS, refused_fields
from image_gateway.engines.openai.refused_values import is_replaceable, replaced_quality, replaced_size
from image_gateway.engines.openai.request_body import count_of
from image_gateway.engines.protocol import EngineImage, EngineResult, SentRequest
from image_gateway.engines.result_limits import MAX_IMAGES, first_images
from image_gateway.engines.server import EngineServer
from image_gateway.engines.usage import TokenCounts, token_counts
from image_gateway.errors import ContentBlocked, EngineRejected, EngineUnavailable

EncodeBody = Callable[[dict[str, Any]], dict[str, Any]]
"""Converts body fields to the arguments of an HTTP request: JSON or multipart."""

_PIXELS = re.compile(r"[0-9]{1,5}x[0-9]{1,5}")
_MORE_IMAGES = 10
"""How many images more than `n` are kept: some compatible servers make a fixed number."""


@dataclass(frozen=True, slots=True)
class CallResult:
    """The body that one call was finally sent with, and its response."""

    body: dict[str, Any]
    items: list[AnsweredImage]
    usage: TokenCounts | None
    warnings: list[str]
    reported: dict[str, str]
    sent: SentRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesCall:
    """What the calls for one request have in common.

    Attributes:
        server: the server, with the deadline of the request.
        path: the route, below the base URL.
        encode: converts the body to the arguments of an HTTP request.
        approximate_size: whether the size was calculated from a ratio or a size class, so that others are as good.
        aspect_ratio: the ratio from which it was calculated, if one was requested.
    """

    server: EngineServer
    path: str
    encode: EncodeBody
    approximate_size: bool = False
    aspect_ratio: str | None = None

    async def make(self, body: dict[str, Any]) -> CallResult:
        """Make one call. If the server refuses a field, or a value that can be replaced, call again without it.

        Raises:
            EngineError: the call failed, or its response has no image.
        """
        warnings: list[str] = []
        is_size_replaced = False
        while True:
            try:
                response = await self.server.answer("POST", self.path, **self.encode(with_prompt_arguments(body)))
                break
            except EngineRejected as error:
                if refused := refused_fields(error, body):
                    body = {name: value for name, value in body.items() if name not in refused}
                    warnings += [
                        f"{name} is not supported by this model and was left out"
                        for name in refused
                        if name not in OUTPUT_FIELDS
                    ]
                elif quality := replaced_quality(error, body):
                    body, warning = quality
                    warnings.append(warning)
                elif not is_size_replaced and (size := self._replaced_size(error, body)):
                    is_size_replaced = True
                    body, size_warnings = size
                    warnings += size_warnings
                else:
                    raise
        items = find_images(response)
        if not items:
            raise self._without_images(response)
        fields = response if isinstance(response, dict) else {}
        items, too_many = first_images(items, min(count_of(body) + _MORE_IMAGES, MAX_IMAGES), "openai")
        reported = {name: fields[name] for name in ("quality", "background") if isinstance(fields.get(name), str)}
        usage = token_counts(fields.get("usage"))
        return CallResult(body, items, usage, [*warnings, *too_many], reported, _sent(body, fields))

    async def read(self, call: CallResult) -> EngineResult:
        """Return the images of a response, which may have to be downloaded."""
        result = await gather_results(self._image(item) for item in call.items)
        result.usage, result.reported, result.sent = call.usage, call.reported, call.sent
        result.lost, result.may_have_cost_more = len(call.items) - len(result.images), False
        result.warnings += call.warnings
        result.handled = frozenset({"output_compression"} & call.body.keys())
        return result

    def _replaced_size(self, error: EngineRejected, body: dict[str, Any]) -> tuple[dict[str, Any], list[str]] | None:
        if not is_replaceable(body.get("size"), approximate=self.approximate_size):
            return None
        return replaced_size(error, body, self.aspect_ratio if self.approximate_size else None)

    def _without_images(self, response: Any) -> ContentBlocked | EngineUnavailable:
        if reason := blocked_reason(response):
            return ContentBlocked(f"openai blocked the content: {self.server.message(reason)}")
        reason = f"{self.server.message(response) or 'no explanation'}{self.server.safe_line(describe_keys(response))}"
        return EngineUnavailable(f"openai answered without images: {reason}", may_have_cost=True)

    async def _image(self, item: AnsweredImage) -> EngineResult:
        # Removed from the item, so that only one image at a time is held twice.
        content, item.content = item.content, None
        if not content:
            keys = f"; the keys of the image are {self.server.safe_line(list_keys(item.keys))}" if item.keys else ""
            raise EngineUnavailable(f"openai returned an image with neither b64_json nor url{keys}", may_have_cost=True)
        if item.is_url and isinstance(content, str):
            data = await self.server.download(content.strip())
        else:
            data = decode_base64(content, "openai")
        return EngineResult([EngineImage(data, revised_prompt=item.revised_prompt)])


def _sent(body: dict[str, Any], response: dict[str, Any]) -> SentRequest:
    """Return what was sent to a server. What it chose itself is what it reports, if it does."""
    size, quality, model = body.get("size"), body.get("quality"), body.get("model")
    if not isinstance(size, str) or "x" not in size:
        reported = response.get("size")
        size = reported if isinstance(reported, str) and _PIXELS.fullmatch(reported) else None
    if not isinstance(quality, str) or quality == "auto":
        quality = response.get("quality")
    return SentRequest(
        model=model if isinstance(model, str) else None,
        size=size,
        quality=quality if isinstance(quality, str) and quality != "auto" else None,
    )
