"""JPEG files as segments (ITU T.81, B.1 and B.2), and those that say where an image comes from.

XMP is in an APP1 segment (XMP, part 3, 1.1.3), C2PA's manifest as JUMBF in APP11 segments (C2PA 2.1, A.3.1).
"""

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from image_gateway.images.formats.parts import limited

START = b"\xff\xd8"
END = b"\xff\xd9"
SCAN_HEADER = 0xDA
END_MARKER = 0xD9
SCAN_DATA = -1
"""In place of a marker: the entropy-coded data of a scan."""

EXIF = b"Exif\0\0"
XMP = b"http://ns.adobe.com/xap/1.0/\0"
_APP0, _APP1, _APP11 = 0xE0, 0xE1, 0xEB
_MAX_CONTENT = 65_533
_C2PA_TYPE = b"c2pa\x00\x11\x00\x10\x80\x00\x00\xaa\x008\x9bq"
"""The type of C2PA's JUMBF box, 63327061-0011-0010-8000-00AA00389B71 (C2PA 2.1, 11.1.4.2)."""

# Without a repetition, which would make the search quadratic: fill bytes are skipped, because 0xFF is no marker.
_MARKER = re.compile(rb"\xff[\x02-\xcf\xd9-\xfe]")
_MARKER_BEHIND_SCAN = re.compile(rb"\xff[\x01-\xfe]")
_MARKER_IN_SCAN = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
_BETWEEN_SCANS = frozenset({0xC4, 0xCC, SCAN_HEADER, 0xDB, 0xDC, 0xDD, *range(0xE0, 0xF0), 0xFE})
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class Segment(NamedTuple):
    """A segment in a file: its marker, and where it begins (with its marker) and ends."""

    marker: int
    start: int
    end: int

    def content(self, data: bytes) -> bytes:
        """Return what is behind the marker and the length."""
        return data[self.start + 4 : self.end]

    def starts(self, data: bytes, prefix: bytes) -> bool:
        """Return whether the content begins with `prefix`."""
        return data.startswith(prefix, self.start + 4, self.end)

    @property
    def is_frame_header(self) -> bool:
        """Whether this is the header with the image's size."""
        return self.marker in _FRAME_HEADERS


def segments(data: bytes) -> Iterator[Segment]:
    """Yield the segments of a JPEG file, up to and including the end marker of its first image.

    They also end where the file does, or where something begins that cannot be a part of the image: some cameras write
    data of their own behind the last scan.

    Raises:
        ValueError: there are too many.
    """
    return limited(_segments(data))


def _segments(data: bytes) -> Iterator[Segment]:
    position, next_marker = len(START), _MARKER
    while found := next_marker.search(data, position):
        start = found.start()
        marker = data[start + 1]
        if marker == END_MARKER:
            yield Segment(marker, start, start + 2)
            return
        is_scanned = next_marker is _MARKER_BEHIND_SCAN
        if start + 4 > len(data) or (is_scanned and marker not in _BETWEEN_SCANS):
            return
        position = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
        if not start + 4 <= position <= len(data):
            return
        yield Segment(marker, start, position)
        if marker == SCAN_HEADER:
            next_marker = _MARKER_BEHIND_SCAN
            end_of_scan = _MARKER_IN_SCAN.search(data, position)
            end = end_of_scan.start() if end_of_scan else len(data)
            yield Segment(SCAN_DATA, position, end)
            position = end


def has_c2pa(data: bytes) -> bool:
    """Return whether the file has a C2PA manifest."""
    return any(
        segment.marker == _APP11 and data.find(_C2PA_TYPE, segment.start, segment.end) >= 0 for segment in _header(data)
    )


def xmp(data: bytes) -> bytes | None:
    """Return the file's XMP packet; None if it has none."""
    segment = _xmp_segment(data)
    return None if segment is None else segment.content(data)[len(XMP) :]


def with_xmp(data: bytes, packet: bytes) -> bytes:
    """Return the file with this XMP packet, in place of the one that it has. Nothing else is changed.

    Raises:
        ValueError: the packet is too long for a segment.
    """
    content = XMP + packet
    if len(content) > _MAX_CONTENT:
        raise ValueError("its XMP is longer than a segment")
    new = struct.pack(">BBH", 0xFF, _APP1, len(content) + 2) + content
    old = _xmp_segment(data)
    start = end = len(START)
    if old is not None:
        start, end = old.start, old.end
    else:
        # JFIF's segment and Exif's must be the first ones.
        for segment in _header(data):
            if segment.marker != _APP0 and not (segment.marker == _APP1 and segment.starts(data, EXIF)):
                break
            start = end = segment.end
    return b"".join((memoryview(data)[:start], new, memoryview(data)[end:]))


def _header(data: bytes) -> Iterator[Segment]:
    """Yield the segments before the first scan."""
    for segment in segments(data):
        if segment.marker == SCAN_HEADER:
            return
        yield segment


def _xmp_segment(data: bytes) -> Segment | None:
    return next((item for item in _header(data) if item.marker == _APP1 and item.starts(data, XMP)), None)
