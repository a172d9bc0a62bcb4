"""Marks that say that AI made an image: the gateway's own, those of engines, and what programs read of them."""

import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from image_gateway.engines.protocol import EngineImage
from image_gateway.images.provenance import lost_mark_warnings, marked, own_mark
from image_gateway.images.sniff import sniff
from tests.integration.sample_images import opened
from tests.unit.images import avif_boxes
from tests.unit.images.crafted_png import png_chunk
from tests.unit.images.sample_images import exif_tags
from tests.unit.images.sound_images import encode, photo, with_alpha
from tests.unit.images.sound_jpegs import segment, with_segments
from tests.unit.images.sound_other_formats import gif, webp, webp_with_chunk
from tests.unit.images.sound_pngs import with_chunks

IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
EDITED = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"

# From C2PA 2.1, 11.1.4.2: the type of the box with a manifest store.
C2PA_BOX = b"\0\0\0\x1ejumdc2pa\0\x11\0\x10\x80\0\0\xaa\x008\x9bq\x03c2pa\0"
OTHER_PACKET = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:format="image/png"/>'
    b"</rdf:RDF></x:xmpmeta>"
)

PLAIN: dict[str, Callable[[], bytes]] = {
    "png": lambda: encode(photo(), "PNG"),
    "png with alpha and text": lambda: with_chunks(
        encode(with_alpha(), "PNG"), png_chunk(b"tEXt", b"parameters\0a prompt of the engine")
    ),
    "jpeg": lambda: encode(photo(), "JPEG"),
    "jpeg with EXIF": lambda: encode(photo(), "JPEG", exif=exif_tags()),
    "jpeg with a profile": lambda: encode(photo(), "JPEG", icc_profile=bytes(100_000)),
    "progressive jpeg": lambda: encode(photo(), "JPEG", progressive=True),
    "lossy webp": lambda: encode(photo(), "WEBP"),
    "lossless webp": webp,
    "lossless webp with alpha": lambda: webp(with_alpha()),
    "webp with EXIF": lambda: webp(exif=exif_tags()),
    "animated webp": lambda: webp(save_all=True, append_images=[Image.new("RGB", (48, 32))]),
    "webp with something behind it": lambda: webp() + b"trailer",
}
WITH_C2PA: dict[str, Callable[[], bytes]] = {
    "png": lambda: with_chunks(encode(photo(), "PNG"), png_chunk(b"caBX", C2PA_BOX)),
    "jpeg": lambda: with_segments(encode(photo(), "JPEG"), segment(0xEB, b"JP\0\1\0\0\0\1\0\0\0\x28jumb" + C2PA_BOX)),
    "webp": lambda: webp_with_chunk(b"C2PA", b"\0\0\0\x28jumb" + C2PA_BOX),
    "gif": lambda: gif()[:-1] + b"!\xff\x0bC2PA_GIF\1\0\0\4jumb\0;",
    "avif": lambda: (
        encode(photo(), "AVIF")
        + avif_boxes.box(b"uuid", b"\xd8\xfe\xc3\xd6\x1b\x0eH<\x92\x97X(\x87~\xc4\x81", b"\0\0\0\0manifest\0")
    ),
}
WITH_OTHER_XMP: dict[str, Callable[[], bytes]] = {
    "png": lambda: with_chunks(
        encode(photo(), "PNG"), png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + OTHER_PACKET)
    ),
    "png, compressed": lambda: with_chunks(
        encode(photo(), "PNG"), png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(OTHER_PACKET))
    ),
    "jpeg": lambda: encode(photo(), "JPEG", xmp=OTHER_PACKET),
    "webp": lambda: webp(xmp=OTHER_PACKET),
}
UNREADABLE_XMP: dict[str, Callable[[], bytes]] = {
    "no XML": lambda: encode(photo(), "JPEG", xmp=b"nothing"),
    "damaged": lambda: with_chunks(encode(photo(), "PNG"), png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0abc")),
    "malformed": lambda: with_chunks(encode(photo(), "PNG"), png_chunk(b"iTXt", b"XML:com.adobe.xmp\0")),
    "too long for a segment": lambda: encode(photo(), "JPEG", xmp=b" " * 65_000 + OTHER_PACKET),
}


def mark(data: bytes, *, engine: str = "openai", model: str = "gpt-image-2", edited: bool = False) -> bytes:
    return marked(data, engine=engine, model=model, edited=edited)


def properties(data: bytes) -> dict[str, str | None]:
    """Return the properties of IPTC's extension in an image's XMP, as an XML parser reads them."""
    packet = opened(data).info["xmp"]
    root = ET.fromstring(packet)  # noqa: S314 - ours
    found = [item for description in root.iter(f"{{{RDF}}}Description") for item in description]
    return {item.tag.removeprefix(f"{{{IPTC}}}"): item.text for item in found if item.tag.startswith(f"{{{IPTC}}}")}


@pytest.mark.parametrize("name", PLAIN)
def test_an_image_is_marked_without_changing_its_pixels(name: str) -> None:
    """Its type and size are the same too, and every frame is."""
    data = PLAIN[name]()

    result = mark(data)

    assert properties(result) == {"DigitalSourceType": GENERATED, "AISystemUsed": "openai/gpt-image-2"}
    assert sniff(result) == sniff(data)
    before, after = opened(data), opened(result)
    assert (before.mode, before.n_frames) == (after.mode, after.n_frames) if "webp" in name else True  # type: ignore[attr-defined]
    for frame in range(getattr(before, "n_frames", 1)):
        before.seek(frame)
        after.seek(frame)
        assert before.tobytes() == after.tobytes()


@pytest.mark.parametrize("name", PLAIN)
def test_everything_else_in_the_file_is_kept(name: str) -> None:
    """Metadata of the engine is its own, and a color profile or orientation changes what is seen."""
    data = PLAIN[name]()

    before, after = opened(data).info, opened(mark(data)).info

    new = {"xmp", "XML:com.adobe.xmp"}
    assert {key: value for key, value in after.items() if key not in new} == before
    assert mark(data).endswith(b"trailer") is data.endswith(b"trailer")


@pytest.mark.parametrize("name", PLAIN)
def test_a_marked_image_is_not_marked_again(name: str) -> None:
    """It has a mark of its own."""
    once = mark(PLAIN[name]())

    assert own_mark(once) == "IPTC"
    assert mark(once, model="another") is once


def test_an_edit_has_a_mark_of_its_own() -> None:
    """IPTC tells images that were made by AI from those that consist of others too."""
    assert properties(mark(PLAIN["png"](), edited=True))["DigitalSourceType"] == EDITED


def test_the_name_of_a_model_is_escaped_and_shortened() -> None:
    """It comes from a caller, and can contain anything."""
    names = properties(mark(PLAIN["png"](), engine="comfyui", model='a<b>&"c"\n\0\ud800' + "x" * 5000))

    assert names["AISystemUsed"] == 'comfyui/a<b>&"c"' + "x" * (200 - len('comfyui/a<b>&"c"'))
    assert properties(mark(PLAIN["png"](), engine="automatic1111", model=""))["AISystemUsed"] == "automatic1111"


@pytest.mark.parametrize("name", WITH_C2PA)
def test_an_image_with_c2pa_is_stored_as_it_is(name: str) -> None:
    """A change of the file would invalidate its signature."""
    data = WITH_C2PA[name]()

    assert own_mark(data) == "C2PA"
    assert mark(data) is data
    assert sniff(data).width == 48


@pytest.mark.parametrize("name", ["gif", "avif"])
def test_formats_that_are_not_marked_are_stored_as_they_are(name: str) -> None:
    """GIF and AVIF."""
    data = gif() if name == "gif" else encode(photo(), "AVIF")

    assert own_mark(data) is None
    assert mark(data) is data


def test_jumbf_of_other_kinds_is_not_c2pa() -> None:
    """HDR and 360-degree images use the same segments."""
    data = with_segments(encode(photo(), "JPEG"), segment(0xEB, b"JP\0\1\0\0\0\1\0\0\0\x28jumb" + bytes(40)))

    assert own_mark(data) is None


@pytest.mark.parametrize("name", WITH_OTHER_XMP)
def test_xmp_of_the_engine_gets_the_mark_in_addition(name: str) -> None:
    """A file has only one XMP packet."""
    data = WITH_OTHER_XMP[name]()

    result = mark(data)

    assert properties(result)["DigitalSourceType"] == GENERATED
    assert b'dc:format="image/png"' in opened(result).info["xmp"]
    assert opened(result).tobytes() == opened(data).tobytes()
    assert own_mark(result) == "IPTC"


@pytest.mark.parametrize("name", UNREADABLE_XMP)
def test_xmp_that_cannot_be_read_is_kept_and_the_image_not_marked(name: str) -> None:
    """The error says so."""
    data = UNREADABLE_XMP[name]()

    assert own_mark(data) is None
    with pytest.raises(ValueError, match=r"XMP|text"):
        mark(data)


def test_xmp_of_the_engine_with_a_source_type_is_a_mark() -> None:
    """Its value is the engine's to decide."""
    packet = OTHER_PACKET.replace(b"dc:format", b"Iptc4xmpExt:DigitalSourceType")
    data = encode(photo(), "JPEG", xmp=packet)

    assert own_mark(data) == "IPTC"
    assert mark(data) is data


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff",
        b"RIFF\0\0\0\0WEBPVP8 ",
        b"RIFF\4\0\0\0WEBP",
        b"RIFF\x0c\0\0\0WEBPVP8X\0\0\0\0",
    ],
)
def test_a_file_without_a_header_cannot_be_marked(data: bytes) -> None:
    """The error is one that the caller of this function handles."""
    try:
        mark(data)
    except ValueError:
        return
    assert data.startswith(b"\xff\xd8")  # a segment can be inserted behind its start in any case


@given(st.sampled_from(sorted({**PLAIN, **WITH_C2PA, **WITH_OTHER_XMP})), st.data())
def test_a_damaged_file_is_marked_or_cannot_be(name: str, data: st.DataObject) -> None:
    """There is no other error."""
    image = bytearray({**PLAIN, **WITH_C2PA, **WITH_OTHER_XMP}[name]())
    image[data.draw(st.integers(0, 150))] = data.draw(st.integers(0, 255))
    own_mark(bytes(image))
    try:
        mark(bytes(image[: data.draw(st.integers(0, 400))]))
        mark(bytes(image))
    except ValueError:
        return


def test_a_warning_names_the_marks_that_conversions_removed() -> None:
    """Once for each kind; images that were not converted, or had no mark, cause none."""
    with_c2pa = EngineImage(WITH_C2PA["png"]())
    with_iptc = EngineImage(mark(PLAIN["png"]()))
    plain = EngineImage(PLAIN["png"]())
    converted = EngineImage(PLAIN["jpeg"]())

    (c2pa,) = lost_mark_warnings([with_c2pa, with_c2pa], [converted, converted])
    (iptc,) = lost_mark_warnings([with_iptc], [converted])

    assert ("C2PA" in c2pa, "IPTC" in iptc) == (True, True)
    assert lost_mark_warnings([with_c2pa, with_iptc, plain], [with_c2pa, with_iptc, converted]) == []


@pytest.mark.skipif(
    not shutil.which("exiftool"), reason="exiftool is not installed: apt install libimage-exiftool-perl"
)
@pytest.mark.parametrize("name", [*PLAIN, *(f"other XMP, {name}" for name in WITH_OTHER_XMP)])
def test_exiftool_reads_the_mark(name: str, tmp_path: Path) -> None:
    """It finds both properties, and no fault in the file that was not there before."""
    data = {**PLAIN, **{f"other XMP, {key}": make for key, make in WITH_OTHER_XMP.items()}}[name]()
    files = {"before": data, "after": mark(data)}
    read = {}
    for file, content in files.items():
        path = tmp_path / file
        path.write_bytes(content)
        command = ["exiftool", "-s", "-n", "-G1", "-validate", "-warning", "-a", "-XMP:all", str(path)]
        read[file] = subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603

    lines = dict(line.replace(" ", "", 1).split(": ", 1) for line in read["after"].splitlines() if ": " in line)
    values = {key.split("]")[-1].strip(): value for key, value in lines.items()}
    assert values["DigitalSourceType"] == GENERATED
    assert values["AISystemUsed"] == "openai/gpt-image-2"
    assert read["after"].count("Warning") <= read["before"].count("Warning")


def test_the_mark_contains_nothing_but_source_and_system() -> None:
    """No prompt, no time, no person."""
    data = PLAIN["png"]()
    result = mark(data)

    (length,) = struct.unpack_from(">I", result, 33)
    assert result[:33] + result[33 + 12 + length :] == data
    assert length < 700
