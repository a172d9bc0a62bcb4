"""Memory that malicious input images use: images with huge sizes, compressed text or endless bodies."""

import json
import subprocess
import sys
import textwrap
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.unit.images.crafted_png import crafted_png, png_chunk

MEASURE_MEMORY = textwrap.dedent("""
    import asyncio, json, pathlib, sys
    from image_gateway.errors import InvalidImage, TooLarge
    from image_gateway.net.public_fetch import PublicFetcher
    from image_gateway.images.inputs import ImageInputs
    from image_gateway.access.principals import Principal, Role
    from image_gateway.images.decoding.decoder import Decoder

    def peak():
        # Not getrusage: its value starts at that of the parent process.
        status = pathlib.Path("/proc/self/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024

    class NoStoredImages:
        def reference(self, url):
            return None

    async def main():
        origin = sys.argv[1]
        fetcher = PublicFetcher(allowed_hosts=frozenset({origin.removeprefix("http://")}))
        inputs = ImageInputs(fetcher.fetch, NoStoredImages(), Decoder())
        principal = Principal("1", "me", Role.USER)
        pixel = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
        await inputs.resolve(pixel, None, principal)
        idle = peak()
        error_fields = []
        for path in json.loads(sys.argv[2]):
            try:
                await inputs.resolve([pixel, origin + path], None, principal)
            except (InvalidImage, TooLarge) as error:
                error_fields.append(error.field)
        assert not any(name.partition(".")[0] == "PIL" for name in sys.modules), "Pillow is loaded beside the jobs"
        print(json.dumps({"error_fields": error_fields, "above_idle_mb": peak() - idle, "idle_mb": idle}))

    asyncio.run(main())
""")


class MaliciousServer:
    """Serves malicious bodies, all as `image/png`."""

    def __init__(self) -> None:
        zeros = zlib.compress(bytes(100_000_000), 9)
        row = png_chunk(b"IDAT", zlib.compress(bytes(9)))
        self.bodies = {
            "/pixels": crafted_png(50_000, 50_000, png_chunk(b"IDAT", zeros[:50_000])),
            "/itxt": crafted_png(8, 1, png_chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zeros), row),
            "/ztxt": crafted_png(8, 1, row, png_chunk(b"zTXt", b"Raw profile type exif\0\0" + zeros)),
            "/iccp": crafted_png(8, 1, png_chunk(b"iCCP", b"name\0\0" + zeros), row),
            "/byte": b"\x89",
            "/html": b"<!doctype html><title>no image</title>",
            "/svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
            "/nothing": b"",
        }
        self.paths = [*self.bodies, "/stream"]
        self.sound = {"/itxt", "/ztxt", "/iccp"}
        """The images whose metadata is ignored: their pixels are sound."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = Request(scope).url.path
        body = self.bodies.get(path)
        response = StreamingResponse(self._stream()) if body is None else Response(body, media_type="image/png")
        await response(scope, receive, send)

    async def _stream(self) -> AsyncIterator[bytes]:
        for _ in range(51):
            yield bytes(1_000_000)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux reports a process's peak memory")
def test_malicious_images_use_less_than_200_mb(serve: Callable[[ASGIApp], str]) -> None:
    """Each one is an error with its field, except those with large metadata, which is ignored."""
    server = MaliciousServer()
    command = [sys.executable, "-c", MEASURE_MEMORY, serve(server), json.dumps(server.paths)]
    process = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)  # noqa: S603
    assert process.returncode == 0, process.stderr
    result = json.loads(process.stdout)
    assert result["error_fields"] == ["image[1]"] * (len(server.paths) - len(server.sound))
    assert 0 < result["above_idle_mb"] < 200
