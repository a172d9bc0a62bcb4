"""How much memory a job takes when its images are stored: each engine's images are held once."""

import asyncio
import json
import random
import ssl
import struct
import tracemalloc
import zlib
from base64 import b64encode
from collections.abc import Callable
from importlib import import_module
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from image_gateway.aws import Aws
from image_gateway.engines import Connection, create_engine, create_prompt_writer
from image_gateway.errors import PrivateAddress
from image_gateway.images.decoding.decoder import Decoder
from image_gateway.images.output_formats import OutputFormats
from image_gateway.images.store import ImageStore
from image_gateway.jobs.execution import JobExecutor
from image_gateway.models.config import ImagesConfig
from image_gateway.models.forms import CreateImageForm
from image_gateway.models.jobs import Job
from image_gateway.routing.destination import configured_destination
from image_gateway.settings import Settings
from sandbox.engines.comfyui_workflows import CHECKPOINT
from sandbox.engines.state import SandboxState
from tests.unit.jobs.job_records import new_job

COUNT = 4
CHUNK_BYTES = 65_536


def _noise() -> bytes:
    """Return a PNG of noise, of about a megabyte."""
    side = 590
    rows = b"".join(b"\0" + random.Random(row).randbytes(3 * side) for row in range(side))
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows, 0)),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


IMAGE = _noise()
BASE64 = b64encode(IMAGE).decode()
RESPONSES = {
    "/images/generations": json.dumps({"data": [{"b64_json": BASE64}] * COUNT}).encode(),
    ":generateContent": json.dumps(
        {"candidates": [{"content": {"parts": [{"inlineData": {"mimeType": "image/png", "data": BASE64}}]}}]}
    ).encode(),
    "/sdapi/v1/txt2img": json.dumps({"images": [BASE64] * COUNT, "info": "{}"}).encode(),
    "/view": IMAGE,
}
"""Large responses by the ends of their paths, one for each engine. They exist once, so serving them takes no memory."""


def _with_large_images(app: ASGIApp) -> ASGIApp:
    """Return a sandbox engine that sends `RESPONSES` instead of small images."""

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        body = next((body for end, body in RESPONSES.items() if scope["path"].endswith(end)), None)
        if body is None:
            await app(scope, receive, send)
            return
        while (await receive()).get("more_body"):
            pass
        content_type = b"image/png" if body is IMAGE else b"application/json"
        headers = [(b"content-type", content_type), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for start in range(0, len(body), CHUNK_BYTES):
            chunk = body[start : start + CHUNK_BYTES]
            await send({"type": "http.response.body", "body": chunk, "more_body": start + CHUNK_BYTES < len(body)})

    return respond


async def _refuse(url: str) -> bytes:
    raise PrivateAddress(f"{url} is not a public address")


class _EmptyStore(ImageStore):
    """Stores nothing."""

    async def put(self, job_id: str, number: int, *_image: Any, **_remaining: Any) -> str:
        return f"images/{job_id}/{number}.png"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("engine", "url_field", "path", "fields"),
    [
        ("openai", "IMAGES_OPENAI_API_BASE_URL", "/v1", {}),
        (
            "gemini",
            "IMAGES_GEMINI_API_BASE_URL",
            "/v1beta",
            {"IMAGES_GEMINI_API_KEY": "key", "IMAGE_GENERATION_MODEL": "gemini-sandbox-image"},
        ),
        ("automatic1111", "AUTOMATIC1111_BASE_URL", "", {}),
        ("comfyui", "COMFYUI_BASE_URL", "", CHECKPOINT.fields()),
    ],
)
async def test_images_are_held_once_when_they_are_stored(
    engine: str,
    url_field: str,
    path: str,
    fields: dict[str, Any],
    serve: Callable[[ASGIApp], str],
    tls: ssl.SSLContext,
) -> None:
    """Neither an engine's response nor the images without their marks are in memory when images are stored."""
    url = serve(_with_large_images(import_module(f"sandbox.engines.{engine}").create_app(SandboxState()))) + path
    config = ImagesConfig.model_validate(
        {
            "ENABLE_IMAGE_GENERATION": True,
            "IMAGE_GENERATION_ENGINE": engine,
            url_field: url,
            **fields,
        }
    )
    settings = Settings(config_parameter="/c", bucket="b", table="t")
    async with httpx.AsyncClient(trust_env=False, verify=tls) as client:
        decoder = Decoder()
        connection = Connection(client, _refuse, 30.0, convert_image=decoder.convert_image)
        executor = JobExecutor(
            _EmptyStore(Aws(), settings),
            lambda destination: create_engine(destination.engine, destination.config, connection),
            lambda name, config: create_prompt_writer(name, config, connection),
            OutputFormats(lambda: decoder),
        )
        form = CreateImageForm(prompt="a fox", n=COUNT)
        destination = configured_destination(config, edit=False)

        async def execute() -> Job:
            job = new_job()
            # As the gateway runs it, in a task of its own.
            await asyncio.create_task(executor.execute(job, destination, form, remaining=lambda: 60.0))
            return job

        await execute()  # what the first job imports does not count
        tracemalloc.start()
        try:
            job = await execute()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert len(job.images) == COUNT
    # One image more while it is marked. The rest is buffers.
    assert COUNT * len(IMAGE) < peak < (COUNT + 2.5) * len(IMAGE)
