"""What becomes of input images."""

import base64
import io
import struct
import zlib
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin

from image_gateway.engines.protocol import InputImage
from image_gateway.errors import InvalidImage
from image_gateway.images.normalise import MAX_MASK_BYTES, normalise, normalise_mask

RED, GREEN, BLUE, WHITE = (220, 30, 30), (30, 200, 30), (30, 30, 220), (250, 250, 250)

# 64x32 pixels as stored, red beside blue, turned by 90 degrees, with camera and GPS tags; made by libheif and x265.
HEIC = base64.b64decode(
    "AAAAHGZ0eXBoZWljAAAAAG1pZjFoZWljbWlhZgAAAchtZXRhAAAAAAAAACFoZGxyAAAAAAAAAABwaWN0AAAAAAAAAAAAAAA"
    "AAAAAADRpbG9jAAAAAERAAAIAAQAAAAAB7AABAAAAAAAAAEgAAgAAAAACNAABAAAAAAAAAFgAAAA4aWluZgAAAAAAAgAAAB"
    "VpbmZlAgAAAAABAABodmMxAAAAABVpbmZlAgAAAQACAABFeGlmAAAAAA5waXRtAAAAAAABAAABB2lwcnAAAADmaXBjbwAAA"
    "HZodmNDAQNwAAAAkAAAAAAAHvAA/P34+AAADwNgAAEAGEABDAH//wNwAAADAJAAAAMAAAMAHroCQGEAAQAqQgEBA3AAAAMA"
    "kAAAAwAAAwAeoCCBBZbq5Ka5uAhoMCAAAAMDIAAAAwAhYgABAAZEAcFzwIkAAAATY29scm5jbHgAAQANAAaAAAAAFGlzcGU"
    "AAAAAAAAAQAAAAEAAAAAoY2xhcAAAAEAAAAABAAAAIAAAAAEAAAAAAAAAAv///+AAAAACAAAAEHBpeGkAAAAAAwgICAAAAA"
    "lpcm90AwAAABlpcG1hAAAAAAAAAAEAAQaBAgMFhIYAAAAaaXJlZgAAAAAAAAAOY2RzYwACAAEAAQAAAKhtZGF0AAAARCgBr"
    "xOA9SeBP//YlR/+3Pnh93Z8xP/7k66P5wfH/4fI3bgMOuHoSA2InH37tZw8y4OzWfFXc/6Zp6oO+gBR9dgi51y6AAAABkV4"
    "aWYAAE1NACoAAAAIAAMBDwACAAAACQAAADIBEgADAAAAAQAGAACIJQAEAAAAAQAAADwAAAAAU29tZWJvZHkAAAABAAEAAgA"
    "AAAJOAAAAAAAAAA=="
)


def corners(width: int = 64, height: int = 32) -> Image.Image:
    """An image whose four quarters tell which way up it is."""
    photo = Image.new("RGB", (width, height), RED)
    photo.paste(GREEN, (width // 2, 0, width, height // 2))
    photo.paste(BLUE, (0, height // 2, width // 2, height))
    photo.paste(WHITE, (width // 2, height // 2, width, height))
    return photo


def tagged(orientation: int = 1) -> bytes:
    """EXIF with a camera, a place on earth and an orientation."""
    exif = Image.Exif()
    exif[0x010F] = "Camera of Somebody"
    exif[0x0112] = orientation
    exif.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)})
    return exif.tobytes()


def encode(photo: Image.Image, format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    photo.save(out, format, **options)
    return out.getvalue()


def decode(image: InputImage) -> Image.Image:
    photo = Image.open(io.BytesIO(image.data))
    photo.load()
    assert photo.size == (image.width, image.height)
    assert Image.MIME[photo.format or ""] == image.content_type
    return photo


def assert_upright(photo: Image.Image) -> None:
    """The quarters are where `corners` put them, within what lossy formats change."""
    width, height = photo.size
    seen = [
        photo.convert("RGB").getpixel((x, y))
        for y in (height // 4, height * 3 // 4)
        for x in (width // 4, width * 3 // 4)
    ]
    for pixel, wanted in zip(seen, (RED, GREEN, BLUE, WHITE), strict=True):
        assert isinstance(pixel, tuple)
        assert all(abs(a - b) < 24 for a, b in zip(pixel, wanted, strict=True)), seen


def assert_bare(image: InputImage) -> None:
    """Nothing is left but pixels."""
    photo = decode(image)
    assert not photo.getexif()
    assert set(photo.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert b"Somebody" not in image.data


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    """A PNG with that header, and grey pixels for as much as one row."""
    header = png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(chunks) + png_chunk(b"IEND", b"")


ENCODERS: dict[str, tuple[Callable[[], bytes], str]] = {
    "png": (lambda: encode(corners(), "PNG", exif=tagged()), "image/png"),
    "png, palette": (lambda: encode(corners().quantize(4), "PNG"), "image/png"),
    "jpeg": (lambda: encode(corners(), "JPEG", quality=95, exif=tagged(), comment="by Somebody"), "image/jpeg"),
    "jpeg, progressive": (lambda: encode(corners(), "JPEG", quality=95, progressive=True), "image/jpeg"),
    "jpeg, cmyk": (lambda: encode(corners().convert("CMYK"), "JPEG", quality=95), "image/jpeg"),
    "webp": (lambda: encode(corners(), "WEBP", quality=95, exif=tagged(), xmp=b"<x>Somebody</x>"), "image/jpeg"),
    "webp, lossless": (lambda: encode(corners(), "WEBP", lossless=True), "image/jpeg"),
    "webp, animated": (
        lambda: encode(corners(), "WEBP", lossless=True, save_all=True, append_images=[Image.new("RGB", (64, 32))]),
        "image/jpeg",
    ),
    "gif": (lambda: encode(corners(), "GIF", comment=b"by Somebody"), "image/png"),
    "gif, animated": (
        lambda: encode(corners(), "GIF", save_all=True, append_images=[Image.new("RGB", (64, 32))]),
        "image/png",
    ),
    "avif": (lambda: encode(corners(), "AVIF", quality=95, exif=tagged()), "image/jpeg"),
    "bmp": (lambda: encode(corners(), "BMP"), "image/png"),
    "tiff": (lambda: encode(corners(), "TIFF", compression="tiff_lzw", description="by Somebody"), "image/png"),
    "tiff, jpeg inside": (lambda: encode(corners(), "TIFF", compression="jpeg", quality=95), "image/png"),
    "mpo": (
        lambda: encode(corners(), "MPO", quality=95, save_all=True, append_images=[Image.new("RGB", (64, 32))]),
        "image/jpeg",
    ),
}


@pytest.mark.parametrize("kind", ENCODERS)
def test_each_type_becomes_png_or_jpeg(kind: str) -> None:
    """Every type that is accepted comes out upright, of the same size, in a type every engine takes, bare."""
    make, content_type = ENCODERS[kind]
    image = normalise(make(), field="image")
    assert (image.width, image.height, image.content_type) == (64, 32, content_type)
    assert_upright(decode(image))
    assert_bare(image)


def test_heic_becomes_jpeg() -> None:
    """A phone's HEIC photo comes out turned as it says, without its place."""
    image = normalise(HEIC, field="image")
    assert (image.width, image.height, image.content_type) == (32, 64, "image/jpeg")
    above, below = (decode(image).getpixel((16, y)) for y in (12, 52))
    assert isinstance(above, tuple)
    assert isinstance(below, tuple)
    assert above[0] > 150 > above[2]
    assert below[2] > 150 > below[0]
    assert_bare(image)


TURNS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
@pytest.mark.parametrize("orientation", TURNS)
def test_every_orientation_is_applied(orientation: int, format: str) -> None:
    """However the camera was held, the image comes out upright, and says neither how it was held nor where."""
    turn = TURNS[orientation]
    stored = corners() if turn is None else corners().transpose(turn)
    exif = tagged(orientation)
    image = normalise(encode(stored, format, quality=95, exif=exif), field="image")
    assert (image.width, image.height) == (64, 32)
    assert_upright(decode(image))
    assert_bare(image)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_exif_is_dropped() -> None:
    """Metadata that cannot be read is no reason to refuse an image."""
    broken = b"Exif\0\0MM\0*\xff\xff\xff\xff"
    for kind in ("JPEG", "PNG", "WEBP"):
        assert_upright(decode(normalise(encode(corners(), kind, quality=95, exif=broken), field="image")))
    assert_upright(decode(normalise(encode(corners(), "PNG", exif=b"not EXIF at all"), field="image")))


@pytest.mark.parametrize("format", ["PNG", "WEBP", "AVIF", "TIFF"])
def test_alpha_is_kept(format: str) -> None:
    """An image with alpha comes out as PNG with the same alpha."""
    photo = corners()
    photo.putalpha(Image.linear_gradient("L").resize(photo.size))
    image = normalise(encode(photo, format, lossless=True, quality=100), field="image")
    assert image.content_type == "image/png"
    before, after = photo.getchannel("A"), decode(image).getchannel("A")
    assert all(abs(a - b) < 3 for a, b in zip(before.tobytes(), after.tobytes(), strict=True))


@pytest.mark.parametrize("mode", ["LA", "P", "1", "L", "I", "I;16", "F", "CMYK", "YCbCr", "I;16B"])
def test_every_mode_becomes_rgb_or_rgba(mode: str) -> None:
    """Palettes, greys of any depth and print colours come out as RGB, with alpha where they had it."""
    grey = Image.linear_gradient("L")
    if mode.startswith("I;16"):
        photo = grey.convert("I").point(lambda value: value * 257 + 0).convert(mode)
    else:
        photo = grey.convert(mode)
    out = decode(normalise(encode(photo, "PNG" if mode in ("P", "LA") else "TIFF"), field="image"))
    assert out.mode == ("RGBA" if mode == "LA" else "RGB")
    dark, bright = (out.convert("L").getpixel((128, y)) for y in (0, 255))
    assert isinstance(dark, int)
    assert isinstance(bright, int)
    assert dark < 8
    assert bright > 247


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_premultiplied_alpha_is_undone(mode: str) -> None:
    """TIFFs whose colours are multiplied with their alpha come out in full colour."""
    data = encode(Image.new("RGBA", (4, 4), (100, 100, 100, 128)).convert(mode), "TIFF")
    associated, straight = (struct.pack("<HHIHH", 338, 3, 1, kind, 0) for kind in (1, 2))
    assert data.count(straight) == 1
    pixel = decode(normalise(data.replace(straight, associated), field="image")).getpixel((0, 0))
    assert pixel == (199, 199, 199, 128)


def test_deep_greys_keep_their_middle() -> None:
    """A grey of 16 bits keeps its brightness: half stays half."""
    photo = Image.new("I;16", (8, 8), 32_768)
    assert decode(normalise(encode(photo, "PNG"), field="image")).getpixel((0, 0)) == (127, 127, 127)


def test_a_flat_float_image_is_read() -> None:
    """An image in floating point that has one value only is no division by zero."""
    out = normalise(encode(Image.new("F", (4, 4), 0.5), "TIFF"), field="image")
    assert decode(out).getpixel((0, 0)) == (0, 0, 0)


def test_a_transparent_colour_becomes_alpha() -> None:
    """Images that name one of their colours as transparent come out with alpha."""
    for photo in (corners(), Image.new("L", (8, 8), 7)):
        key = RED if photo.mode == "RGB" else 7
        image = normalise(encode(photo, "PNG", transparency=key), field="image")
        pixel = decode(image).getpixel((0, 0))
        assert isinstance(pixel, tuple)
        assert pixel[3] == 0


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "P"])
def test_colours_are_converted_to_srgb(mode: str) -> None:
    """A colour profile is applied, then dropped; one that does not fit the image is dropped only."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    photo = Image.new("RGB", (4, 4), RED).convert(mode)
    image = normalise(encode(photo, "PNG", icc_profile=profile), field="image")
    assert_bare(image)
    pixel = decode(image).convert("RGB").getpixel((0, 0))
    assert pixel == photo.convert("RGB").getpixel((0, 0))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert_bare(normalise(encode(photo, "PNG", icc_profile=srgb), field="image"))


def swapped_profile() -> bytes:
    """An sRGB profile whose red and blue have changed places."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace(b"rXYZ", b"tmpX", 1).replace(b"bXYZ", b"rXYZ", 1).replace(b"tmpX", b"bXYZ", 1)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P"])
def test_a_colour_profile_is_applied(mode: str) -> None:
    """What the profile calls red is red in the result."""
    photo = Image.new("RGB", (4, 4), (0, 0, 255)).convert(mode)
    image = normalise(encode(photo, "PNG", icc_profile=swapped_profile()), field="image")
    pixel = decode(image).convert("RGB").getpixel((0, 0))
    assert isinstance(pixel, tuple)
    assert pixel[0] > 240
    assert pixel[2] < 16


def zipped_text(kind: bytes) -> bytes:
    """60 MB of zeros, as the text of a PNG chunk."""
    packed = zlib.compress(bytes(60_000_000), 9)
    head = b"Comment\0\0" if kind == b"zTXt" else b"Comment\0\x01\0\0\0"
    return png_chunk(kind, head + packed)


ROW = zlib.compress(bytes(9))
BOMBS: dict[str, Callable[[], bytes]] = {
    "50,000 x 50,000 pixels in 50 KB": lambda: png(
        50_000, 50_000, png_chunk(b"IDAT", zlib.compress(bytes(50_000_000), 9)[:50_000])
    ),
    "10,000 x 10,000 pixels": lambda: png(10_000, 10_000, png_chunk(b"IDAT", ROW)),
    "20,000 x 10 pixels": lambda: png(20_000, 10, png_chunk(b"IDAT", ROW)),
    "zTXt bomb": lambda: png(8, 1, zipped_text(b"zTXt"), png_chunk(b"IDAT", ROW)),
    "iTXt bomb": lambda: png(8, 1, zipped_text(b"iTXt"), png_chunk(b"IDAT", ROW)),
    "iTXt bomb after the pixels": lambda: png(8, 1, png_chunk(b"IDAT", ROW), zipped_text(b"iTXt")),
    "GIF of 65,535 x 65,535 pixels": lambda: b"GIF89a\xff\xff\xff\xff" + encode(corners(), "GIF")[10:],
    "one byte": lambda: b"\x89",
    "nothing": lambda: b"",
    "HTML": lambda: b"<!doctype html><title>no image</title>",
    "SVG": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "PDF": lambda: b"%PDF-1.7\n",
    "EPS": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n",
    "PPM": lambda: encode(corners(), "PPM"),
    "unknown brand": lambda: b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_bombs_and_other_files_are_refused(bomb: str) -> None:
    """What is too large, or no image, is refused with the field's name."""
    with pytest.raises(InvalidImage) as refusal:
        normalise(BOMBS[bomb](), field="image[3]")
    assert refusal.value.field == "image[3]"


@pytest.mark.parametrize("kind", [kind for kind in ENCODERS if "," not in kind] + ["heic"])
def test_truncated_files_are_refused(kind: str) -> None:
    """A file cut anywhere, also shortly before its end, is refused and not filled up with grey."""
    data = HEIC if kind == "heic" else ENCODERS[kind][0]()
    if kind == "mpo":
        data = data[: data.index(b"\xff\xd9") + 2]
    for length in (20, len(data) // 2, len(data) - 16):
        with pytest.raises(InvalidImage):
            normalise(data[:length], field="image")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(kind=st.sampled_from(sorted(ENCODERS)), at=st.floats(0, 1), junk=st.binary(min_size=1, max_size=8))
def test_damaged_files_give_an_image_or_a_refusal(kind: str, at: float, junk: bytes) -> None:
    """Whatever bytes are changed, the outcome is an image or `InvalidImage`."""
    data = bytearray(ENCODERS[kind][0]())
    place = int(at * (len(data) - 1))
    data[place : place + len(junk)] = junk
    with suppress(InvalidImage):
        decode(normalise(bytes(data), field="image"))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=64))
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    """Bytes that are no image give `InvalidImage` and nothing else."""
    with pytest.raises(InvalidImage):
        normalise(data, field="image")


def mask_of(size: tuple[int, int] = (64, 32), box: tuple[int, int, int, int] = (0, 0, 32, 32)) -> Image.Image:
    """A white image with a transparent box."""
    mask = Image.new("RGBA", size, (255, 255, 255, 255))
    mask.paste((0, 0, 0, 0), box)
    return mask


@pytest.fixture
def first() -> InputImage:
    """The image that masks are for."""
    return normalise(encode(corners(), "PNG"), field="image")


@pytest.mark.parametrize("format", ["PNG", "WEBP", "GIF", "TIFF"])
def test_a_mask_becomes_alpha_over_black(format: str, first: InputImage) -> None:
    """A mask keeps its alpha, and nothing of its colours."""
    mask = normalise_mask(encode(mask_of(), format), size_of=first, field="mask")
    photo = decode(mask)
    assert (photo.format, photo.mode) == ("PNG", "RGBA")
    assert photo.getpixel((10, 10)) == (0, 0, 0, 0)
    assert photo.getpixel((50, 10)) == (0, 0, 0, 255)


def test_a_soft_mask_stays_soft(first: InputImage) -> None:
    """Half transparent pixels keep their alpha."""
    soft = Image.new("RGBA", (64, 32), (0, 0, 0, 100))
    mask = normalise_mask(encode(soft, "PNG"), size_of=first, field="mask")
    assert decode(mask).getpixel((0, 0)) == (0, 0, 0, 100)


def test_a_mask_is_turned_like_an_image(first: InputImage) -> None:
    """A mask with an orientation fits the image it was made from."""
    stored = mask_of().transpose(TURNS[6] or Image.Transpose.ROTATE_90)
    mask = normalise_mask(encode(stored, "PNG", exif=tagged(6)), size_of=first, field="mask")
    assert decode(mask).getpixel((10, 10)) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("mask", "reason"),
    [
        (corners(), "alpha channel"),
        (Image.new("L", (64, 32)), "alpha channel"),
        (Image.new("RGBA", (64, 32), (0, 0, 0, 255)), "opaque everywhere"),
        (mask_of(size=(32, 64)), "32x64 and the first image 64x32"),
    ],
)
def test_an_unusable_mask_is_told_how_to_make_one(mask: Image.Image, reason: str, first: InputImage) -> None:
    """A mask without alpha, with nothing to edit, or of another size is refused with what to do."""
    with pytest.raises(InvalidImage, match=reason) as refusal:
        normalise_mask(encode(mask, "PNG"), size_of=first, field="mask")
    assert refusal.value.field == "mask"


def test_a_mask_that_stays_too_long_is_refused() -> None:
    """A mask of noise is over the 4 MB that the engines take."""
    size = (2600, 2600)
    noise = Image.new("RGBA", size)
    noise.putalpha(Image.effect_noise(size, 200))
    first = InputImage(b"", "image/png", *size)
    with pytest.raises(InvalidImage, match="4 MB"):
        normalise_mask(encode(noise, "PNG", compress_level=1), size_of=first, field="mask")
    assert MAX_MASK_BYTES == 4_000_000


def test_text_of_a_png_is_dropped() -> None:
    """Text chunks, compressed or not, do not pass."""
    text = PngImagePlugin.PngInfo()
    text.add_text("Author", "Somebody")
    text.add_itxt("Location", "Somebody's home", zip=True)
    assert_bare(normalise(encode(corners(), "PNG", pnginfo=text), field="image"))
