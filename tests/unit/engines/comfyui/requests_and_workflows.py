"""Requests and workflows that the tests of the comfyui engine share."""

import io
import uuid
from collections.abc import Callable
from typing import Any

from PIL import Image
from starlette.types import ASGIApp

from image_gateway.engines.comfyui.engine import ComfyUIEngine
from image_gateway.engines.connection import Connection
from image_gateway.engines.protocol import ImageRequest
from image_gateway.models.fields import Size
from sandbox.engines.comfyui_workflows import Sample
from sandbox.engines.state import SandboxState

Serve = Callable[[ASGIApp], str]
Connect = Callable[..., Connection]
MakeEngine = Callable[..., ComfyUIEngine]
SIZE = Size(64, 48)


def image_request(**fields: Any) -> ImageRequest:
    """Return a request for a small image in which the caller set every given field."""
    known = {"job_id": str(uuid.uuid4()), "prompt": "a red fox", "size": SIZE}
    return ImageRequest(**{**known, **fields}, requested=frozenset(fields))


def workflow_without_sampling(**more: Any) -> Sample:
    """Return a workflow without sampling. Node 4 saves an inverted image; `more` are further nodes."""
    workflow = {
        "1": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 48, "batch_size": 1, "color": 255}},
        "3": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
        "4": {"class_type": "SaveImage", "inputs": {"images": ["3", 0], "filename_prefix": "good"}},
        **more,
    }
    return Sample(workflow, [])


def save_node(source: str, prefix: str = "more") -> dict[str, Any]:
    return {"class_type": "SaveImage", "inputs": {"images": [source, 0], "filename_prefix": prefix}}


def submitted(state: SandboxState) -> list[Any]:
    """Return the bodies of the submitted workflows."""
    return [request.json for request in state.record if (request.method, request.path) == ("POST", "/prompt")]


def image_size(data: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(data)).size
