"""Resolution of the strings that name an edit's input images: data URLs, http(s) URLs, ids and base64.

A string is classified as the first of these, in this order, whose syntax it has.
"""

import asyncio
import base64
import binascii
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol
from urllib.parse import unquote_to_bytes, urlsplit

from image_gateway.access.principals import Principal
from image_gateway.aws import Remaining
from image_gateway.errors import InvalidImage, InvalidUrl, NotFound, TooLarge
from image_gateway.images.decoding.decoder import Decoder
from image_gateway.models.forms import MAX_IMAGES, STORED_ID
from image_gateway.models.input_image import InputImage
from image_gateway.net.public_fetch import MAX_BYTES

MAX_TOTAL_BYTES = 100_000_000
"""Maximum total size of the normalized images of one edit, in bytes."""

_MAX_CONCURRENT_READS = 4
"""Most images that are in memory before they are normalized, which is 50 MB for each."""
_MAX_CONCURRENT_READS_OF_AN_EDIT = 2
"""So many of them may be of the same edit, so that others do not wait for all of its images."""
_MEGABYTE = 1_000_000
_DATA_URL = re.compile(r"data:([^,]*),", re.IGNORECASE)
_BASE64 = re.compile(r";\s*base64\s*$", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_IMAGE_PATH = re.compile(rf"(?:/.*)?/api/v1/images/({STORED_ID.pattern})", re.IGNORECASE)
_TO_STANDARD_ALPHABET = bytes.maketrans(b"-_", b"+/")
_ASCII_SPACE = b"\t\n\v\f\r\x1c\x1d\x1e\x1f "
_OTHER_SPACE = dict.fromkeys((0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F, 0x205F, 0x3000))
_UNQUOTED_CHARS = 16_384
"""How much of a data URL is unquoted at once: each of its escapes takes 50 bytes meanwhile."""


class StoredImages(Protocol):
    """The images and uploads of this deployment."""

    def reference(self, url: str) -> str | None:
        """Return the id of the image or upload at `url`; None if the URL is not in this deployment's bucket.

        Raises:
            NotFound: the URL is in this deployment's bucket, but it is not one of an image or an upload.
        """

    async def read(self, reference: str, principal: Principal) -> bytes | None:
        """Return the image or upload with this id; None if it does not exist, or if `principal` may not read it.

        Raises:
            TooLarge: it has more than `MAX_BYTES`.
        """


class Fetch(Protocol):
    """Fetches a caller's URL, from public addresses only: `PublicFetcher.fetch`."""

    def __call__(self, url: str, *, field: str | None = None) -> Awaitable[bytes]:
        """Return the body of the response; errors have `field`."""


Read = Callable[[], Awaitable[bytes]]


class ImageInputs:
    """Resolves the strings that name images in an edit. One instance per process.

    Args:
        fetch: fetches URLs.
        stored: reads images and uploads of this deployment.
        decoder: decodes images.
    """

    def __init__(self, fetch: Fetch, stored: StoredImages, decoder: Decoder) -> None:
        self._fetch = fetch
        self._stored = stored
        self._decoder = decoder
        self._read_slots = asyncio.Semaphore(_MAX_CONCURRENT_READS)

    async def resolve(
        self,
        image: str | Sequence[str],
        mask: str | None,
        principal: Principal,
        *,
        own_host: str | None = None,
        remaining: Remaining | None = None,
    ) -> tuple[tuple[InputImage, ...], InputImage | None]:
        """Return the normalized images, in the order of the strings, and the normalized mask.

        All strings are parsed before anything is fetched. Then they are resolved concurrently.

        Args:
            image: the string of one image, or of several.
            mask: the string of the mask, whose transparent pixels are the ones to edit.
            principal: the caller, for access to stored images and uploads.
            own_host: the host that the request was sent to, as in its header. `/api/v1/images/{id}` on it is an id.
            remaining: returns the seconds that are left for this; None for no limit. When they are over, nothing of it
                goes on.

        Raises:
            InvalidImage: a string or an image is invalid; `field` is `image`, `image[3]` or `mask`. Or the images were
                not resolved in time.
            Busy: there is no memory to decode an image.
            InvalidUrl: a URL cannot be fetched.
            NotFound: an id is unknown, or the caller may not use it.
            TooLarge: an image has more than `MAX_BYTES`, or all have more than `MAX_TOTAL_BYTES` in total.
        """
        texts = {"image": image} if isinstance(image, str) else {f"image[{n}]": text for n, text in enumerate(image)}
        if not 1 <= len(texts) <= MAX_IMAGES:
            raise InvalidImage(f"An edit takes 1 to {MAX_IMAGES} images", field="image")
        texts = {field: _own_id(text, own_host) or text for field, text in texts.items()}
        reads = {field: self._reader(text, field, principal) for field, text in texts.items()}
        read_mask = None if mask is None else self._reader(_own_id(mask, own_host) or mask, "mask", principal)
        self._decoder.warm_up()
        sizes: list[int] = []
        turns = asyncio.Semaphore(_MAX_CONCURRENT_READS_OF_AN_EDIT)
        first, *others = [asyncio.create_task(self._image(read, field, sizes, turns)) for field, read in reads.items()]
        tasks: list[asyncio.Task[InputImage]] = [first, *others]
        if read_mask:
            tasks.append(asyncio.create_task(self._mask(read_mask, first, turns)))
        try:
            async with asyncio.timeout(None if remaining is None else max(remaining(), 0.0)) as time_limit:
                resolved = await asyncio.gather(*tasks)
        except TimeoutError:
            if not time_limit.expired():
                raise
            message = "The images could not be read in the time that a request has: send fewer or smaller images"
            raise InvalidImage(message, field="image") from None
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        return tuple(resolved[: len(reads)]), resolved[-1] if read_mask else None

    def _reader(self, text: str, field: str, principal: Principal) -> Read:
        """Classify a string, check it as far as that needs no network, and return the function that reads the image."""
        text = text.strip()
        if header := _DATA_URL.match(text):
            return _constant(_data_url(header[1], text[header.end() :], field))
        if text[:5].lower() == "data:":
            raise InvalidImage("A data URL needs a comma before its data", field=field)
        if _SCHEME.match(text):
            return self._url_reader(text, field, principal)
        if STORED_ID.fullmatch(text):
            return lambda: self._stored_bytes(text.lower(), field, principal)
        return _constant(_base64(text, field))

    def _url_reader(self, url: str, field: str, principal: Principal) -> Read:
        if not url.lower().startswith(("http://", "https://")):
            raise InvalidUrl("Only http://, https:// and data: URLs can be inputs", field=field)
        try:
            reference = self._stored.reference(url)
        except NotFound as error:
            error.field = field
            raise
        if reference is not None:
            return lambda: self._stored_bytes(reference, field, principal)
        return lambda: self._fetch(url, field=field)

    async def _stored_bytes(self, reference: str, field: str, principal: Principal) -> bytes:
        try:
            data = await self._stored.read(reference, principal)
        except TooLarge as error:
            error.field = field
            raise
        if data is None:
            raise NotFound(f"There is no image or upload {reference}", field=field)
        return data

    async def _image(self, read: Read, field: str, sizes: list[int], turns: asyncio.Semaphore) -> InputImage:
        async with turns, self._read_slots:
            image = await self._decoder.normalize(await read(), field)
        sizes.append(len(image.data))
        if sum(sizes) > MAX_TOTAL_BYTES:
            raise TooLarge(f"The images are over {MAX_TOTAL_BYTES // _MEGABYTE} MB together", field="image")
        return image

    async def _mask(self, read: Read, first: "asyncio.Task[InputImage]", turns: asyncio.Semaphore) -> InputImage:
        size_of = await first
        async with turns, self._read_slots:
            return await self._decoder.normalize_mask(await read(), size_of=size_of, field="mask")


def _own_id(text: str, own_host: str | None) -> str | None:
    """Return the id of the image whose address on this gateway the text is; None if it is not one."""
    if not own_host or not text.lstrip()[:8].lower().startswith(("http://", "https://")):
        return None
    try:
        parts = urlsplit(text.strip())
    except ValueError:
        return None
    match = _IMAGE_PATH.fullmatch(parts.path)
    return match[1] if match and parts.netloc.lower() == own_host.lower() else None


def _constant(data: bytes) -> Read:
    async def read() -> bytes:
        return data

    return read


def _data_url(header: str, data: str, field: str) -> bytes:
    """Decode the data of a data URL (RFC 2397). Base64 data may be percent-encoded too."""
    if not data.isascii():
        raise InvalidImage("A data URL must be ASCII", field=field)
    if _BASE64.search(header):
        return _base64(_unquoted(data).decode("latin-1") if "%" in data else data, field)
    decoded = _unquoted(data)
    if len(decoded) > MAX_BYTES:
        raise _too_large(field)
    return decoded


def _unquoted(text: str) -> bytes:
    decoded, position = bytearray(), 0
    while position < len(text):
        end = position + _UNQUOTED_CHARS
        if end < len(text) and (escape := text.rfind("%", end - 2, end)) >= 0:
            end = escape  # no escape is cut in two
        decoded += unquote_to_bytes(text[position:end])
        position = end
    return bytes(decoded)


def _base64(text: str, field: str) -> bytes:
    """Decode base64 (RFC 4648) of either alphabet, with or without padding; whitespace is ignored."""
    # Unlike `split`, this makes no text of each line, which could take many times the memory of the whole.
    encoded = (text if text.isascii() else text.translate(_OTHER_SPACE)).encode(errors="replace")
    compact = encoded.translate(_TO_STANDARD_ALPHABET, _ASCII_SPACE).rstrip(b"=")
    if not compact:
        raise InvalidImage("The image is empty", field=field)
    if len(compact) * 3 // 4 > MAX_BYTES:
        raise _too_large(field)
    try:
        return base64.b64decode(compact + b"=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidImage(
            "Not an image: send a data URL, base64, an http(s) URL, or the id of an image or upload", field=field
        ) from None


def _too_large(field: str) -> TooLarge:
    return TooLarge(f"The image is over {MAX_BYTES // _MEGABYTE} MB", field=field)
