"""Input images on a ComfyUI server.

No route of ComfyUI deletes an uploaded file. So a file is named by its content, and the same image is one file however
often it is sent: the server keeps a file of the same name and content as it is (recorded of 0.3.64; 0.33.0 is reported
to do the same).
"""

import asyncio
import hashlib
from collections.abc import Sequence

from image_gateway.engines.comfyui.server import ComfyUIServer
from image_gateway.engines.protocol import InputImage
from image_gateway.errors import EngineUnavailable

FOLDER = "image-gateway"
"""The folder of the gateway's files among the server's inputs, so that an operator can remove old ones."""


async def upload_inputs(server: ComfyUIServer, images: Sequence[InputImage]) -> list[str]:
    """Upload images concurrently, equal ones once, and return the names to load them by, in the same order.

    The server may change a name.
    """
    names = [f"{hashlib.sha256(image.data).hexdigest()}.{image.extension}" for image in images]
    distinct = dict(zip(names, images, strict=True))
    stored = await asyncio.gather(*(_upload(server, name, image) for name, image in distinct.items()))
    loaded = dict(zip(distinct, stored, strict=True))
    return [loaded[name] for name in names]


async def _upload(server: ComfyUIServer, name: str, image: InputImage) -> str:
    form = {
        "data": {"type": "input", "subfolder": FOLDER},
        "files": [("image", (name, image.data, image.content_type))],
    }
    stored = await server.json("POST", "/upload/image", **form)
    if not isinstance(stored, dict) or not isinstance(stored.get("name"), str):
        raise EngineUnavailable("comfyui answered an upload without a file name")
    return f"{stored['subfolder']}/{stored['name']}" if stored.get("subfolder") else str(stored["name"])
