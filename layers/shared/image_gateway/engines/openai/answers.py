"""Finds the images in a response of an OpenAI-compatible server, whatever their names are.

OpenAI's own form is `{"data": [{"b64_json": …}]}` or `url`. Others, as users of such servers report them: `images`,
`image`, `output`, `artifacts` and `predictions` instead of `data`, a bare list, a bare URL, and several names for
base64. An image that was paid for must not be lost for its name. So if none of these has one, everything that is
recognizable as an image is taken, wherever it is: see `openai.unnamed_images`.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from image_gateway.engines.openai.unnamed_images import unnamed_images

_BASE64_NAMES = ("b64_json", "b64", "base64", "b64_image", "image_base64", "image_b64", "bytesBase64Encoded")
_URL_NAMES = ("url", "image_url", "uri")
_CONTAINERS = (
    "data",
    "images",
    "image",
    "image_url",
    "output",
    "outputs",
    "result",
    "results",
    "artifacts",
    "predictions",
)
_TASK_NAMES = frozenset({"task_id", "taskId", "task", "job_id", "request_id", "polling_url", "status_url", "urls"})
# Possessive (`+`), so that the time grows linearly with the length.
_BASE64 = re.compile(r"[A-Za-z0-9+/\s]{64,}+={0,2}\s*")
_MAX_URL_CHARS = 8_192
_MAX_DEPTH = 4
_MAX_KEYS = 10
_MAX_KEY_CHARS = 40


@dataclass(slots=True)
class AnsweredImage:
    """One image of a response.

    Attributes:
        content: a URL, base64 text or a `data:` URL; bytes if it is decoded already; None if nothing could be found.
        is_url: whether `content` is a URL to download.
        revised_prompt: the prompt as the server changed it.
        keys: the names of the fields of an image without content.
    """

    content: str | bytes | None = field(default=None, repr=False)
    is_url: bool = False
    revised_prompt: str | None = field(default=None, repr=False)
    keys: tuple[str, ...] = ()


def find_images(body: Any) -> list[AnsweredImage]:
    """Return the images of a response, in order. Entries of a list that cannot be read are among them."""
    images = _named_images(body, 0)
    if any(image.content for image in images):
        return images
    return [AnsweredImage(content, is_url=_is_url(content)) for content in unnamed_images(body)] or images


def _named_images(body: Any, depth: int) -> list[AnsweredImage]:
    if isinstance(body, str | bytes):
        return [AnsweredImage(body, is_url=_is_url(body))] if _is_image(body) else []
    if depth > _MAX_DEPTH:
        return []
    if isinstance(body, list):
        return [image for item in body for image in _named_images(item, depth + 1) or [AnsweredImage(keys=_keys(item))]]
    if not isinstance(body, dict):
        return []
    images = _own_image(body) or _first_readable(_named_images(body.get(name), depth + 1) for name in _CONTAINERS)
    revised = body.get("revised_prompt")
    if isinstance(revised, str) and len(images) == 1 and images[0].revised_prompt is None:
        images[0].revised_prompt = revised
    return images


def describe_keys(body: Any) -> str:
    """Return a sentence part about the keys of a response without images; empty if there are none."""
    keys = _keys(body)
    if not keys:
        return ""
    task = "It started a task, and the gateway needs a server that answers with the images"
    is_task = not _TASK_NAMES.isdisjoint(keys) or {"id", "status"} <= set(keys)
    return f"; the keys of the answer are {list_keys(keys)}" + (f". {task}" if is_task else "")


def list_keys(keys: tuple[str, ...]) -> str:
    """Return the first keys, separated by commas."""
    return ", ".join([*(key[:_MAX_KEY_CHARS] for key in keys[:_MAX_KEYS]), *(["…"] if len(keys) > _MAX_KEYS else [])])


def _own_image(item: dict[str, Any]) -> list[AnsweredImage]:
    for name in (*_BASE64_NAMES, *_URL_NAMES):
        value = item.get(name)
        if value and (isinstance(value, str | bytes) or name in _BASE64_NAMES):
            return [AnsweredImage(value, is_url=_is_url(value) or (name in _URL_NAMES and not _is_data(value)))]
    return []


def _first_readable(found: Iterable[list[AnsweredImage]]) -> list[AnsweredImage]:
    """Return the first images of which at least one can be read, else the first ones."""
    unreadable: list[AnsweredImage] = []
    for images in found:
        if any(image.content for image in images):
            return images
        unreadable = unreadable or images
    return unreadable


def _keys(item: Any) -> tuple[str, ...]:
    return tuple(item) if isinstance(item, dict) else ()


def _is_image(value: str | bytes) -> bool:
    """Whether a text without a telling name is an image rather than a message."""
    return _is_data(value) or _is_url(value) or bool(isinstance(value, str) and _BASE64.fullmatch(value))


def _is_data(value: Any) -> bool:
    return isinstance(value, bytes) or (isinstance(value, str) and value.startswith("data:"))


def _is_url(value: Any) -> bool:
    """Whether a text is an absolute URL or a path. Base64 may begin with a slash too, and has no dot."""
    # The length comes first: the parts of a long text with many spaces could take many times its memory.
    if not isinstance(value, str) or len(value) > _MAX_URL_CHARS or len(value.split()) != 1:
        return False
    return value.startswith(("http://", "https://")) or (value.startswith("/") and "." in value)
