"""What a ComfyUI workflow ends in, by the classes of its last nodes."""

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


def output_problem(workflow: Workflow) -> str | None:
    """Return what is wrong with the workflow's last nodes, if it is known that none of them saves a file."""
    last = last_classes(workflow)
    if all(class_type in _NOT_OUTPUT_NODES for class_type in last):
        return f"has no output node, such as SaveImage: it ends in {', '.join(last) or 'a cycle'}"
    return None


def last_classes(workflow: Workflow) -> list[str]:
    """Return the classes of the nodes whose outputs no other node uses."""
    linked = {value[0] for node in workflow.values() for value in node["inputs"].values() if is_link(value)}
    return [node["class_type"] for node_id, node in workflow.items() if node_id not in linked]


def is_link(value: Any) -> bool:
    """Return whether an input's value is a link to another node's output: node id and slot."""
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)
