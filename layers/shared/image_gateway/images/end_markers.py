"""Adding the end marker that an image lacks. Nothing is decoded, so this does not tell whether pixels are missing."""

from image_gateway.images.formats import jpeg, png


def with_end_marker(data: bytes) -> bytes:
    """Return a PNG, JPEG or GIF with its end marker.

    Args:
        data: an image for which `sniff` raises `UnfinishedImage`.
    """
    if data.startswith(png.SIGNATURE):
        end = max(chunk.end for chunk in png.chunks(data))
        return data[:end] + png.encoded_chunk(b"IEND", b"")
    if data.startswith(jpeg.START):
        return data[: list(jpeg.segments(data))[-1].end].removesuffix(b"\xff") + jpeg.END
    return data + b";"
