"""Finds images in a response by what they are, for servers whose names for them are not known."""

import re
from collections.abc import Iterator
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

_MAX_VALUES = 10_000
_MAX_DEPTH = 12
_MAX_URL_CHARS = 8_192
_BASE64_STARTS = ("iVBORw0KGgo", "/9j/", "UklGR", "R0lGOD", "AAAAIGZ0eX", "AAAAHGZ0eX")
"""How PNG, JPEG, WebP, GIF and AVIF begin in base64."""
_IMAGE_FILE = re.compile(r"\.(?:png|jpe?g|webp|gif|avif)$", re.IGNORECASE)
_URL_KEY = re.compile(
    r"(?:image|img|output|result|media|file|public|signed|download).*(?:ur[il]|link)|^(?:img|src|sample)$"
)
_OTHER_KEY = re.compile(
    r"error|input|init|mask|reference|original|source|thumb|preview|avatar|logo|icon|doc|callback|hook"
)
"""What is not the answer: images that the request had, small copies, and links to pages."""


def unnamed_images(body: Any) -> list[str | bytes]:
    """Return what is recognizable as an image in a response, in order: bytes, base64 text, `data:` URLs, else URLs.

    A URL counts if its path ends as that of an image, or if its key says that it leads to one. Of several in one
    object, which usually lead to the same image, only the first does.
    """
    contents: list[str | bytes] = []
    urls: list[str] = []
    for values in _groups(body):
        contents += [value for _, value in values if _is_content(value)]
        urls += [value for key, value in values if isinstance(value, str) and _is_image_url(key, value)][:1]
    return contents or [*dict.fromkeys(urls)]


def _groups(body: Any) -> Iterator[list[tuple[str, Any]]]:
    """Yield the keys and values of each object and of each entry of a list, from the outside in, breadth first.

    Only the first values of a very long response are read.
    """
    level: list[tuple[str, Any]] = [("", body)]
    left = _MAX_VALUES
    for _ in range(_MAX_DEPTH):
        deeper: list[tuple[str, Any]] = []
        for key, value in level:
            children = _children(key, value, left)
            left -= len(children)
            # The entries of a list are images of their own; the values of an object may be the same image.
            yield from [children] if isinstance(value, dict) else ([child] for child in children)
            deeper += [child for child in children if isinstance(child[1], dict | list)]
        level = deeper


def _children(key: str, value: Any, limit: int) -> list[tuple[str, Any]]:
    """Return the first keys and values of an object, or the entries of a list under the list's own key."""
    if isinstance(value, list):
        return [(key, item) for item in value[:limit]]
    pairs = (
        ((_normalized(name), item) for name, item in islice(value.items(), limit)) if isinstance(value, dict) else ()
    )
    return [pair for pair in pairs if not _OTHER_KEY.search(pair[0])]


def _normalized(key: Any) -> str:
    return re.sub(r"[^a-z]", "", str(key)[:64].lower())


def _is_content(value: Any) -> bool:
    if isinstance(value, str):
        return value.startswith(("data:image/", *_BASE64_STARTS)) and len(value) >= 64
    return isinstance(value, bytes) and bool(value)


def _is_image_url(key: str, value: str) -> bool:
    if len(value) > _MAX_URL_CHARS or not value.startswith(("http://", "https://")) or len(value.split()) != 1:
        return False
    try:
        path = urlsplit(value).path
    except ValueError:
        return False
    return bool(_IMAGE_FILE.search(path) or _URL_KEY.search(key))
