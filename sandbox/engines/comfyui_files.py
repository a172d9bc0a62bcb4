"""The files that the ComfyUI sandbox's output nodes save."""

import io
import json
import secrets
from typing import TYPE_CHECKING, Any

from PIL.PngImagePlugin import PngInfo

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image

Prompt = dict[str, dict[str, Any]]
Files = dict[tuple[str, str, str], bytes]
"""(type, subfolder, filename) → bytes."""

_EXR_BEGINNING = b"\x76\x2f\x31\x01\x02\x00\x00\x00"
_WEBM_BEGINNING = b"\x1a\x45\xdf\xa3\x01\x00\x00\x00"


def save_outputs(node_class: str, prompt: Prompt, inputs: dict[str, Any], files: Files) -> dict[str, Any]:
    """Store what an output node saves, and return its entry of the history. Previews have a random name.

    Videos and EXR files are only the beginnings of such files.
    """
    prefix, kind = inputs.get("filename_prefix"), "output"
    if prefix is None:
        prefix, kind = f"ComfyUI_temp_{secrets.token_hex(3)}", "temp"
    subfolder, _, stem = prefix.rpartition("/")
    taken = sum(name.startswith(f"{stem}_") for of, folder, name in files if (of, folder) == (kind, subfolder))
    saved = []
    encoded, ending = _encoded(node_class, inputs, prompt)
    for number, data in enumerate(encoded, taken + 1):
        filename = f"{stem}_{number:05}_.{ending}"
        files[kind, subfolder, filename] = data
        saved.append({"filename": filename, "subfolder": subfolder, "type": kind})
    animated = {"animated": [True]} if node_class in ("SaveAnimatedWEBP", "SaveWEBM") else {}
    return {"images": saved, **animated}


def _encoded(node_class: str, inputs: dict[str, Any], prompt: Prompt) -> tuple[list[bytes], str]:
    """Return the files and the ending of their names."""
    images: Sequence[Image.Image] = inputs["images"]
    if node_class == "SaveWEBM":
        return [_WEBM_BEGINNING], "webm"
    if node_class == "SaveAnimatedWEBP":
        out = io.BytesIO()
        images[0].save(out, "WEBP", save_all=True, append_images=images[1:], duration=int(1000 / inputs["fps"]))
        return [out.getvalue()], "webp"
    if inputs.get("format") == "exr":
        return [_EXR_BEGINNING] * len(images), "exr"
    metadata = PngInfo()
    metadata.add_text("prompt", json.dumps(prompt))
    encoded = []
    for image in images:
        out = io.BytesIO()
        image.save(out, "PNG", pnginfo=metadata)
        encoded.append(out.getvalue())
    return encoded, "png"
