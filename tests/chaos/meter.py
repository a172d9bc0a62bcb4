"""Counts the images that engines make, whoever receives them: that is what is paid for.

Every request of the test has a marker in its prompt, and no two images are the same. So the ledger can tell for which
request an image was made, and whether it is stored.
"""

import base64
import hashlib
import json
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_MARKER = re.compile(r"chaos-\d+")


@dataclass(frozen=True)
class PaidImage:
    """An image that an engine made.

    Attributes:
        engine: the engine's name.
        marker: the marker of the request that it was made for; empty if there was none.
        digest: see `digest`.
    """

    engine: str
    marker: str
    digest: str


class Meter:
    """Wraps the sandbox's engines and records their images."""

    def __init__(self) -> None:
        self._images: list[PaidImage] = []
        self._run_queues: list[Any] = []

    def wrap(self, engine: str, app: Any) -> ASGIApp:
        """Return an application that does the same as an engine's, and records the images in its responses."""
        if engine == "comfyui":
            # Its runs do not belong to one request and response. They are in its history.
            self._run_queues.append(app.state.run_queue)
            return app  # type: ignore[no-any-return]  # it is one

        async def metered(scope: Scope, receive: Receive, send: Send) -> None:
            sent, received = bytearray(), bytearray()

            async def receive_and_keep() -> Message:
                message = await receive()
                received.extend(message.get("body", b""))
                return message

            async def keep_and_send(message: Message) -> None:
                sent.extend(message.get("body", b""))
                # Before it is sent: the receiver may be dead.
                if message["type"] == "http.response.body" and not message.get("more_body"):
                    self._record(engine, bytes(received), bytes(sent))
                await send(message)

            is_metered = scope["type"] == "http" and scope["method"] == "POST"
            await (app(scope, receive_and_keep, keep_and_send) if is_metered else app(scope, receive, send))

        return metered

    def images(self) -> list[PaidImage]:
        """Return all images so far."""
        return [*self._images, *(image for queue in self._run_queues for image in _images_of_runs(queue))]

    def _record(self, engine: str, request: bytes, response: bytes) -> None:
        texts = list(_encoded_images(engine, response))
        marker = marker_in(request.decode(errors="replace")) if texts else ""
        self._images += [PaidImage(engine, marker, digest(base64.b64decode(text))) for text in texts]


def marker_in(text: str) -> str:
    """Return the first marker in a text; an empty string if there is none."""
    match = _MARKER.search(text)
    return match[0] if match else ""


def digest(png: bytes) -> str:
    """Return a hash of the pixels of a PNG as they are encoded: the gateway adds metadata."""
    pixels = hashlib.sha256()
    position = 8
    while position < len(png):
        length, kind = struct.unpack_from(">I4s", png, position)
        if kind == b"IDAT":
            pixels.update(png[position + 8 : position + 8 + length])
        position += length + 12
    return pixels.hexdigest()


def _parsed(response: bytes) -> dict[str, Any]:
    try:
        body = json.loads(response)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _encoded_images(engine: str, response: bytes) -> Iterator[str]:
    """Yield the images of a response as base64."""
    body = _parsed(response)
    if engine == "openai":
        yield from (item["b64_json"] for item in body.get("data", ()))
    elif engine == "gemini":
        parts = [part for item in body.get("candidates", ()) for part in item.get("content", {}).get("parts", ())]
        yield from (part["inlineData"]["data"] for part in parts if "inlineData" in part)
    elif "info" in body:
        yield from body["images"][json.loads(body["info"])["index_of_first_image"] :]


def _images_of_runs(queue: Any) -> Iterator[PaidImage]:
    """Yield all images of a ComfyUI server. The marker is empty for those of a run that was repeated under its id."""
    made = {digest(data) for (kind, _, _), data in queue.files.items() if kind == "output"}
    for entry in queue.history.values():
        marker = marker_in(json.dumps(entry["prompt"]))
        for output in entry["outputs"].values():
            for file in output.get("images", ()):
                if file["type"] == "output":
                    image = digest(queue.files[file["type"], file["subfolder"], file["filename"]])
                    made.discard(image)
                    yield PaidImage("comfyui", marker, image)
    yield from (PaidImage("comfyui", "", image) for image in made)
