"""Machine-readable marks that say that an image was made by AI: recognition of engines' marks, and the gateway's own.

The gateway's mark is the property `DigitalSourceType` of IPTC (Photo Metadata Standard 2025.1, IPTC Extension) in XMP,
with a value of IPTC's vocabulary `digitalsourcetype`, and the engine and model in `AISystemUsed`. It is inserted into
the bytes of a file. Pixels are neither decoded nor encoded, and no prompt is written.
"""

import re
import struct
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import NamedTuple, Protocol

from image_gateway.images.formats import isobmff, jpeg, png, webp

_VOCABULARY = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_GENERATED = f"{_VOCABULARY}trainedAlgorithmicMedia"
_EDITED = f"{_VOCABULARY}compositeWithTrainedAlgorithmicMedia"
_MAX_NAME_LENGTH = 200
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_SOURCE_TYPE = b"DigitalSourceType"
_END_OF_RDF = re.compile(rb"</(?:[\w.-]+:)?RDF\s*>")


class _Format(NamedTuple):
    """How the files of a format are marked."""

    has_c2pa: Callable[[bytes], bool]
    xmp: Callable[[bytes], bytes | None]
    with_xmp: Callable[[bytes, bytes], bytes]


_FORMATS = MappingProxyType(
    {
        b"\x89PNG": _Format(png.has_c2pa, png.xmp, png.with_xmp),
        b"\xff\xd8\xff": _Format(jpeg.has_c2pa, jpeg.xmp, jpeg.with_xmp),
        b"RIFF": _Format(webp.has_c2pa, webp.xmp, webp.with_xmp),
    }
)
"""The first bytes of the files that can be marked, and how."""


class Encoded(Protocol):
    """An encoded image."""

    @property
    def data(self) -> bytes:
        """The file."""


def own_mark(data: bytes) -> str | None:
    """Return the name of the mark that an image has already, `C2PA` or `IPTC`; None if it has none.

    Args:
        data: an image of a type that `sniff` accepts.
    """
    try:
        format_of_file = _format(data)
        if format_of_file is None:
            has_c2pa = isobmff.has_c2pa(data) if data[4:8] == b"ftyp" else b"C2PA_GIF" in data
            return "C2PA" if has_c2pa else None
        if format_of_file.has_c2pa(data):
            return "C2PA"
        return "IPTC" if _SOURCE_TYPE in (format_of_file.xmp(data) or b"") else None
    except (ValueError, struct.error, IndexError):
        return None


def marked(data: bytes, *, engine: str, model: str, edited: bool) -> bytes:
    """Return an image with the gateway's mark. An image that has a mark, and a GIF or AVIF, is returned as it is.

    Args:
        data: an image of a type that `sniff` accepts.
        engine: the name of the engine that made it.
        model: the engine's model; empty if it is not known.
        edited: whether the image was made from other images.

    Raises:
        ValueError: the image cannot be marked. The text says why.
    """
    format_of_file = _format(data)
    if format_of_file is None or own_mark(data):
        return data
    try:
        packet = format_of_file.xmp(data)
        description = _description(_EDITED if edited else _GENERATED, _name(engine, model))
        return format_of_file.with_xmp(data, _packet(description) if packet is None else _merged(packet, description))
    except (struct.error, IndexError):
        raise ValueError("its header cannot be read") from None


def lost_mark_warnings(before: Sequence[Encoded], after: Sequence[Encoded]) -> list[str]:
    """Return a warning for each kind of mark that images had before their conversion, and do not have after it."""
    lost = {
        own_mark(old.data)
        for old, new in zip(before, after, strict=True)
        if new.data is not old.data and own_mark(new.data) != own_mark(old.data)
    }
    return [
        f"The conversion to another format removed the engine's mark of images made by AI ({mark})"
        for mark in sorted(filter(None, lost))
    ]


def _format(data: bytes) -> _Format | None:
    return next((functions for start, functions in _FORMATS.items() if data.startswith(start)), None)


def _name(engine: str, model: str) -> str:
    """Return `engine/model`, as callers write it, without what XML cannot contain."""
    name = f"{engine}/{model}" if model else engine
    printable = "".join(character for character in name if character.isprintable())
    return printable[:_MAX_NAME_LENGTH].translate(_ESCAPES)


def _description(source_type: str, system: str) -> bytes:
    return (
        '<rdf:Description rdf:about="" xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
        'xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
        f"<Iptc4xmpExt:DigitalSourceType>{source_type}</Iptc4xmpExt:DigitalSourceType>"
        f"<Iptc4xmpExt:AISystemUsed>{system}</Iptc4xmpExt:AISystemUsed>"
        "</rdf:Description>"
    ).encode()


def _packet(description: bytes) -> bytes:
    """Return an XMP packet (XMP, part 1, 7.3) that readers do not change in place."""
    return (
        b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        + description
        + b'</rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
    )


def _merged(packet: bytes, description: bytes) -> bytes:
    """Return another program's packet with the description as its last one."""
    ends = list(_END_OF_RDF.finditer(packet))
    if not ends:
        raise ValueError("its XMP cannot be read")
    return packet[: ends[-1].start()] + description + packet[ends[-1].start() :]
