"""Input images of an edit: data URLs, base64, links, and ids of what this deployment stores, made into images.

A string is read as the first of these that it has the form of: data URL, http(s) URL, id, base64.
"""

import asyncio
import base64
import binascii
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol
from urllib.parse import unquote_to_bytes

from image_gateway.access.principals import Principal
from image_gateway.engines.protocol import InputImage
from image_gateway.errors import InvalidImage, InvalidUrl, NotFound, TooLarge
from image_gateway.models.forms import MAX_IMAGES, STORED_ID
from image_gateway.net.public_fetch import MAX_BYTES

MAX_TOTAL_BYTES = 100_000_000
"""Most bytes of all images of one edit together, as they go to the engine."""

_AT_ONCE = 8
_MEGABYTE = 1_000_000
_DATA_URL = re.compile(r"data:([^,]*),", re.IGNORECASE)
_BASE64 = re.compile(r";\s*base64\s*$", re.IGNORECASE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_STANDARD = str.maketrans("-_", "+/")


class StoredImages(Protocol):
    """The images and uploads that this deployment keeps."""

    def reference(self, url: str) -> str | None:
        """The id that `url` is an address of, or None where it leads elsewhere.

        Raises:
            NotFound: it leads to this deployment's bucket, and to nothing that can be an input.
        """

    async def read(self, reference: str, principal: Principal) -> bytes | None:
        """The image or upload of that id; None where there is none, or where it is somebody else's.

        Raises:
            TooLarge: it is over `MAX_BYTES`.
        """


class Fetch(Protocol):
    """Fetches a URL under the guard for callers' URLs: `PublicFetcher.fetch`."""

    def __call__(self, url: str, *, field: str | None = None) -> Awaitable[bytes]:
        """The body that `url` answers with, or an error that names `field`."""


Read = Callable[[], Awaitable[bytes]]


class ImageInputs:
    """Resolves the strings that stand for images in an edit. Made once per process.

    Args:
        fetch: fetches links.
        stored: images and uploads of this deployment.
    """

    def __init__(self, fetch: Fetch, stored: StoredImages) -> None:
        self._fetch = fetch
        self._stored = stored
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._pixels = asyncio.Lock()

    async def resolve(
        self, image: str | Sequence[str], mask: str | None, principal: Principal
    ) -> tuple[tuple[InputImage, ...], InputImage | None]:
        """Give the images in the order asked for, and the mask, all normalised.

        Every string is read before anything is fetched; then all are resolved at the same time.

        Args:
            image: one image or several.
            mask: as an image; its transparent pixels are the ones to edit.
            principal: whose images and uploads may be used.

        Raises:
            InvalidImage: a string or an image cannot be read; `field` is `image`, `image[3]` or `mask`.
            InvalidUrl: a link cannot be fetched.
            NotFound: an id is unknown, or somebody else's.
            TooLarge: an image is over `MAX_BYTES`, or all together are over `MAX_TOTAL_BYTES`.
        """
        texts = {"image": image} if isinstance(image, str) else {f"image[{n}]": text for n, text in enumerate(image)}
        if not 1 <= len(texts) <= MAX_IMAGES:
            raise InvalidImage(f"An edit takes 1 to {MAX_IMAGES} images", field="image")
        reads = {field: self._reader(text, field, principal) for field, text in texts.items()}
        read_mask = None if mask is None else self._reader(mask, "mask", principal)
        sizes: list[int] = []
        first, *others = [asyncio.create_task(self._image(read, field, sizes)) for field, read in reads.items()]
        tasks: list[asyncio.Task[InputImage]] = [first, *others]
        if read_mask:
            tasks.append(asyncio.create_task(self._mask(read_mask, first)))
        try:
            found = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
        return tuple(found[: len(reads)]), found[-1] if read_mask else None

    def _reader(self, text: str, field: str, principal: Principal) -> Read:
        """Tell what `text` is, and check all that needs no network."""
        text = text.strip()
        if header := _DATA_URL.match(text):
            return _given(_data_url(header[1], text[header.end() :], field))
        if text[:5].lower() == "data:":
            raise InvalidImage("A data URL needs a comma before its data", field=field)
        if _SCHEME.match(text):
            return self._link(text, field, principal)
        if STORED_ID.fullmatch(text):
            return lambda: self._stored_bytes(text.lower(), field, principal)
        return _given(_base64(text, field))

    def _link(self, url: str, field: str, principal: Principal) -> Read:
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

    async def _image(self, read: Read, field: str, sizes: list[int]) -> InputImage:
        async with self._slots:
            data = await read()
            async with self._pixels:
                image = await asyncio.to_thread(_normalise, data, field)
        sizes.append(len(image.data))
        if sum(sizes) > MAX_TOTAL_BYTES:
            raise TooLarge(f"The images are over {MAX_TOTAL_BYTES // _MEGABYTE} MB together", field="image")
        return image

    async def _mask(self, read: Read, first: "asyncio.Task[InputImage]") -> InputImage:
        data = await read()
        size_of = await first
        async with self._pixels:
            return await asyncio.to_thread(_normalise_mask, data, size_of)


def _given(data: bytes) -> Read:
    async def read() -> bytes:
        return data

    return read


def _data_url(header: str, data: str, field: str) -> bytes:
    """The bytes of a data URL (RFC 2397), which may be percent-encoded also where it is base64."""
    if not data.isascii():
        raise InvalidImage("A data URL holds ASCII only", field=field)
    if _BASE64.search(header):
        return _base64(unquote_to_bytes(data).decode("latin-1") if "%" in data else data, field)
    decoded = unquote_to_bytes(data)
    if len(decoded) > MAX_BYTES:
        raise _too_large(field)
    return decoded


def _base64(text: str, field: str) -> bytes:
    """Decode base64 (RFC 4648) of either alphabet, with or without padding, with any whitespace."""
    compact = "".join(text.split()).translate(_STANDARD).rstrip("=")
    if not compact:
        raise InvalidImage("The image is empty", field=field)
    if len(compact) * 3 // 4 > MAX_BYTES:
        raise _too_large(field)
    try:
        return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidImage(
            "Not an image: send a data URL, base64, an http(s) URL, or the id of an image or upload", field=field
        ) from None


def _too_large(field: str) -> TooLarge:
    return TooLarge(f"The image is over {MAX_BYTES // _MEGABYTE} MB", field=field)


def _normalise(data: bytes, field: str) -> InputImage:
    from image_gateway.images.normalise import normalise  # noqa: PLC0415 - loads Pillow, which only edits need

    return normalise(data, field=field)


def _normalise_mask(data: bytes, size_of: InputImage) -> InputImage:
    from image_gateway.images.normalise import normalise_mask  # noqa: PLC0415 - as above

    return normalise_mask(data, size_of=size_of, field="mask")
