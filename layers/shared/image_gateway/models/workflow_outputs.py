"""What a ComfyUI workflow ends in, by the classes of its last nodes."""

from collections.abc import Collection
from typing import Any

from image_gateway.models.workflow import Workflow

_NOT_OUTPUT_NODES = frozenset(
    {
        "CLIPTextEncode",
        "CheckpointLoaderSimple",
        "EmptyImage",
        "EmptyLatentImage",
        "EmptySD3LatentImage",
        "ImageInvert",
        "ImageScale",
        "ImageScaleBy",
        "KSampler",
        "KSamplerAdvanced",
        "LatentUpscale",
        "LoadImage",
        "LoadImageMask",
        "SamplerCustomAdvanced",
        "UNETLoader",
        "VAEDecode",
        "VAEDecodeTiled",
        "VAEEncode",
    }
)
"""Core nodes that save no file but may be a workflow's last node by mistake. Only the server knows other classes."""


_MADE = {
    "SaveVideo": "a video",
    "SaveWEBM": "a video",
    "VHS_VideoCombine": "a video",
    "SaveAudio": "sound",
    "SaveAudioMP3": "sound",
    "SaveAudioOpus": "sound",
    "SaveGLB": "a 3D model",
    "SaveEXR": "an EXR file",
    "SaveEXRFrames": "an EXR file",
}
"""What nodes of core and of widely used extensions save that is no image."""


def output_problem(workflow: Workflow) -> str | None:
    """Return what is wrong with the workflow's last nodes, if it is known that none of them saves an image."""
    last = last_nodes(workflow)
    if all(workflow[node_id]["class_type"] in _NOT_OUTPUT_NODES for node_id in last):
        classes = ", ".join(workflow[node_id]["class_type"] for node_id in last)
        return f"has no output node, such as SaveImage: it ends in {classes or 'a cycle'}"
    if len(others := other_outputs(workflow)) < len(last) or _may_save_before_its_end(workflow, last):
        return None
    return f"saves no image: {', '.join(others)}"


def choice_problem(workflow: Workflow, chosen: Collection[str]) -> str | None:
    """Return what is wrong with the nodes that a node map chooses, if it is known that none of them saves an image."""
    nodes = [(node_id, workflow[node_id]) for node_id in chosen if node_id in workflow]
    made = [_made(node) or ("no file" if node["class_type"] in _NOT_OUTPUT_NODES else None) for _, node in nodes]
    if not nodes or None in made:
        return None
    texts = (
        f"node {node_id} ({node['class_type']}) makes {what}" for (node_id, node), what in zip(nodes, made, strict=True)
    )
    return f"chooses no node that saves an image: {', '.join(texts)}"


def other_outputs(workflow: Workflow) -> list[str]:
    """Return one text for each last node that saves something that is no image: `node 9 (SaveWEBM) makes a video`."""
    return [
        f"node {node_id} ({workflow[node_id]['class_type']}) makes {made}"
        for node_id in last_nodes(workflow)
        if (made := _made(workflow[node_id]))
    ]


def last_nodes(workflow: Workflow) -> list[str]:
    """Return the ids of the nodes whose outputs no other node uses."""
    linked = {value[0] for node in workflow.values() for value in node["inputs"].values() if is_link(value)}
    return [node_id for node_id in workflow if node_id not in linked]


def _made(node: dict[str, Any]) -> str | None:
    """Return what a node saves, if it is known and no image. Some nodes save an image in one of their formats."""
    form = str(node["inputs"].get("format", "")).lower()
    if form == "exr":
        return "an EXR file"
    return None if form.startswith("image/") else _MADE.get(node["class_type"])


def _may_save_before_its_end(workflow: Workflow, last: Collection[str]) -> bool:
    """Return whether a node that passes its images on may also save them, as those of some extensions do."""
    classes = [node["class_type"].lower() for node_id, node in workflow.items() if node_id not in last]
    return any(word in class_type for class_type in classes for word in ("save", "preview"))


def is_link(value: Any) -> bool:
    """Return whether an input's value is a link to another node's output: node id and slot."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)
