"""The files that a run has saved, as the server's history lists them.

Facts: recorded traffic of ComfyUI 0.3.64 for images; for other files reports on 0.3.64 and 0.33.0, without recordings.
`SaveVideo` and `SaveWEBM` list videos under `images`, `VideoHelperSuite` any file under `gifs`. An animation is one
file, and its node says `animated: [true]`.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from image_gateway.models.workflow import Workflow

_IMAGE_LISTS = ("images", "gifs")
_NO_IMAGES = frozenset(
    {
        *("mp4", "webm", "mkv", "mov", "avi", "m4v"),
        *("mp3", "flac", "opus", "ogg", "wav", "m4a"),
        *("exr", "hdr", "glb", "gltf", "obj", "ply", "stl", "latent", "safetensors", "npy", "txt", "json", "srt"),
    }
)
"""Endings of files that the image store cannot take. A file with an unknown ending may be an image."""


@dataclass(frozen=True, slots=True)
class OutputFile:
    """An image on the server, by the parameters of `/view`. `type` is `output`, or `temp` for previews."""

    filename: str
    subfolder: str
    type: str


@dataclass(frozen=True, slots=True)
class SavedFiles:
    """What a run has saved.

    Attributes:
        images: the images, in the order of the workflow's nodes.
        others: the names of other files.
        animated: whether one of the images is an animation.
    """

    images: list[OutputFile]
    others: list[str]
    animated: bool


def saved_files(outputs: Any, workflow: Workflow, chosen: Collection[str] = ()) -> SavedFiles:
    """Read the outputs of a run, by node id. Odd values are left out.

    If there are `chosen` nodes, only their outputs are read.
    """
    named = outputs.items() if isinstance(outputs, dict) else ()
    outputs = {id_: out for id_, out in named if isinstance(out, dict) and (not chosen or id_ in chosen)}
    known = [node_id for node_id in workflow if node_id in outputs]
    images: list[OutputFile] = []
    others: list[str] = []
    animated = False
    for node_id in [*known, *(other for other in outputs if other not in workflow)]:
        for name, files in outputs[node_id].items():
            for file in _files(files):
                if name in _IMAGE_LISTS and file.filename.rpartition(".")[2].lower() not in _NO_IMAGES:
                    images.append(file)
                    animated = animated or _is_animation(outputs[node_id])
                elif file.type == "output":
                    others.append(file.filename)
    return SavedFiles(images, others, animated)


def _files(listed: Any) -> Iterator[OutputFile]:
    for file in listed if isinstance(listed, list) else ():
        if isinstance(file, dict) and isinstance(file.get("filename"), str):
            yield OutputFile(file["filename"], str(file.get("subfolder") or ""), str(file.get("type") or "output"))


def _is_animation(out: dict[str, Any]) -> bool:
    flags = out.get("animated")
    return isinstance(flags, list) and any(flag is True for flag in flags)
