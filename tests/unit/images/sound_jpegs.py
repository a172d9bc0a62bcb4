"""Sound JPEG files: every kind that cameras and editors write, without an end, and with something behind it."""

import struct
from collections.abc import Callable
from typing import Any

from PIL import Image

from tests.unit.images.sample_images import TRANSPOSE_BY_ORIENTATION, exif_tags
from tests.unit.images.sound_images import SIZE, SoundImage, encode, gray, photo
from tests.unit.images.sound_pngs import exchanged, profile

END = b"\xff\xd9"
VENDOR_TRAILER = b"\0\0\1\n\x0e\0\0\0Image_UTC_Data1700000000000SEFHk\0\0\0\1\0\0\0\0\0\1\n$\0\0\0$\0\0\0\x18\0\0\0SEFT"
"""What Samsung's cameras write behind an image."""


def jpeg(image: Image.Image | None = None, **options: Any) -> bytes:
    return encode(image or photo(), "JPEG", **{"quality": 97, "subsampling": 0, **options})


def preview() -> bytes:
    """Return a small JPEG, such as cameras put into and behind the actual image."""
    return encode(Image.new("RGB", (8, 8), "black"), "JPEG")


def with_segments(data: bytes, *segments: bytes) -> bytes:
    """Insert segments behind the start of a JPEG."""
    return data[:2] + b"".join(segments) + data[2:]


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def edited(*segments: bytes) -> Callable[[], bytes]:
    return lambda: with_segments(jpeg(), *segments)


def exif_with_preview() -> bytes:
    """Return EXIF data with a preview, which has an end marker of its own."""
    exif = Image.Exif()
    exif[0x0112] = 1
    return b"Exif\0\0" + exif.tobytes().removeprefix(b"Exif\0\0") + preview()


def multi_picture(*, damaged: bool = False) -> bytes:
    data = encode(photo(), "MPO", quality=97, subsampling=0, save_all=True, append_images=[Image.new("RGB", SIZE)])
    return data.replace(b"MPF\0MM", b"MPF\0XX").replace(b"MPF\0II", b"MPF\0XX") if damaged else data


def split_profile(missing: int | None = None) -> bytes:
    """Return a JPEG with a profile in several segments; one of them may be missing."""
    data = jpeg(exchanged(photo()) if missing is None else photo(), icc_profile=profile(150_000))
    if missing is not None:
        start = data.index(b"ICC_PROFILE\0" + bytes([missing])) - 4
        (length,) = struct.unpack_from(">H", data, start + 2)
        data = data[:start] + data[start + 2 + length :]
    return data


VARIANTS: dict[str, Callable[[], bytes]] = {
    "baseline": jpeg,
    "progressive": lambda: jpeg(progressive=True),
    "optimized": lambda: jpeg(optimize=True),
    "4:2:0": lambda: jpeg(subsampling=2),
    "stored as RGB": lambda: jpeg(keep_rgb=True),
    "restart markers": lambda: jpeg(restart_marker_blocks=2),
    "no end marker": lambda: jpeg()[:-2],
    "half an end marker": lambda: jpeg()[:-1],
    "progressive, no end marker": lambda: jpeg(progressive=True)[:-2],
    "4:2:0, no end marker": lambda: jpeg(subsampling=2)[:-2],
    "restart markers, no end marker": lambda: jpeg(restart_marker_blocks=2)[:-2],
    "no end marker, and zeros": lambda: jpeg()[:-2] + bytes(500),
    "no end marker, and a vendor's trailer": lambda: jpeg()[:-2] + VENDOR_TRAILER,
    "no end marker, and a preview": lambda: jpeg()[:-2] + preview(),
    "a vendor's trailer": lambda: jpeg() + VENDOR_TRAILER,
    "a preview behind it": lambda: jpeg() + preview(),
    "a trailer with markers": lambda: jpeg() + b"\xff\xd8\xff\xe1\xff\xff\xff\xda\0\4" * 20,
    "a preview in EXIF": edited(segment(0xE1, exif_with_preview())),
    "damaged EXIF": edited(segment(0xE1, b"Exif\0\0MM\0*\xff\xff\xff\xff")),
    "EXIF twice": edited(segment(0xE1, exif_tags()), segment(0xE1, exif_tags())),
    "short JFIF": edited(segment(0xE0, b"JFIF\0")),
    "short Adobe": edited(segment(0xEE, b"Adobe")),
    "short profile": edited(segment(0xE2, b"ICC_PROFILE\0")),
    "damaged Photoshop data": edited(segment(0xED, b"Photoshop 3.0\0" + b"8BIM\3\xed\0\0\0\0\0\4ab")),
    "profile with a missing segment": lambda: split_profile(missing=2),
    "fill bytes": edited(b"\xff\xff\xff"),
    "junk between segments": lambda: jpeg()[:20] + bytes(3) + jpeg()[20:],
    "comment": lambda: jpeg(comment="by somebody"),
    "C2PA manifest": edited(segment(0xEB, b"JP\0\1\0\0\0\1\0\0\0\x20jumb\0\0\0\x18jumdc2pa")),
    "several images": multi_picture,
    "several images, damaged list": lambda: multi_picture(damaged=True),
}

SOUND_JPEGS: dict[str, SoundImage] = {
    **{f"jpeg, {name}": SoundImage(make, photo, 12 if "4:2:0" in name else 6) for name, make in VARIANTS.items()},
    **{
        f"jpeg, orientation {orientation}": SoundImage(
            lambda turn=turn, orientation=orientation: jpeg(  # type: ignore[misc]  # bound now
                photo() if turn is None else photo().transpose(turn), exif=exif_tags(orientation)
            ),
            photo,
            6,
        )
        for orientation, turn in TRANSPOSE_BY_ORIENTATION.items()
    },
    "jpeg, gray": SoundImage(lambda: jpeg(gray()), gray, 4),
    "jpeg, cmyk": SoundImage(lambda: jpeg(photo().convert("CMYK")), photo, 6),
    "jpeg, profile in several segments": SoundImage(split_profile, photo, 8),
}
