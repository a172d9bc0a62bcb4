"""Fake servers that the measured processes call, each in its own process: an engine and AWS.

Both respond over TLS, as fast as a small asyncio program can, so that the figures are those of the gateway and not of
moto. The fake AWS has only the operations that the handlers use. It is not for tests: conditions always hold,
signatures are not checked, and nothing is throttled.

`python -m tests.benchmarks.fake_servers aws|engine CERTIFICATE` prints its port and serves until it is terminated. The
certificate's file also contains the key.
"""

import asyncio
import base64
import hashlib
import json
import ssl
import sys
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

from tests.benchmarks.image import png

Respond = Callable[[str, str, dict[str, str], asyncio.StreamReader], Awaitable[list[bytes]]]
"""Takes the method, the path, the headers (names in lower case) and a reader of the body; returns the parts of the
response's body."""

_READ = 256 * 1024


async def _body(headers: dict[str, str], reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(int(headers.get("content-length", 0)))


async def _drop_body(headers: dict[str, str], reader: asyncio.StreamReader) -> int:
    """Read a body and discard it; returns its length without the framing of chunks."""
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await _drop(int(headers.get("content-length", 0)), reader)
    total = 0
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        total += await _drop(size, reader)
        await reader.readuntil(b"\r\n")
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass
    return total


async def _drop(size: int, reader: asyncio.StreamReader) -> int:
    remaining = size
    while remaining:
        remaining -= len(await reader.read(min(remaining, _READ)))
    return size


class Aws:
    """Parameter Store, DynamoDB, EventBridge, SQS and S3, as far as generating images and reading jobs needs them."""

    def __init__(self) -> None:
        self.parameters: dict[str, str] = {}
        self.items: dict[str, Any] = {}
        self.images = self.bytes = 0

    async def respond(
        self, method: str, path: str, headers: dict[str, str], reader: asyncio.StreamReader
    ) -> list[bytes]:
        """Run an operation of AWS."""
        if path == "/":
            operation = headers["x-amz-target"].rpartition(".")[2]
            return [json.dumps(getattr(self, operation)(json.loads(await _body(headers, reader)))).encode()]
        if method == "PUT":
            framed = await _drop_body(headers, reader)
            self.images += 1
            self.bytes += int(headers.get("x-amz-decoded-content-length", framed))
            return []
        await _body(headers, reader)
        return [json.dumps({"images": self.images, "bytes": self.bytes}).encode()]

    def GetParameter(self, parameters: Any) -> Any:  # noqa: N802 - AWS's names, here and below
        value = self.parameters[parameters["Name"]]
        return {"Parameter": {"Name": parameters["Name"], "Type": "SecureString", "Value": value, "Version": 1}}

    def PutParameter(self, parameters: Any) -> Any:  # noqa: N802
        self.parameters[parameters["Name"]] = parameters["Value"]
        return {"Version": 1}

    def GetItem(self, parameters: Any) -> Any:  # noqa: N802
        item = self.items.get(parameters["Key"]["pk"]["S"])
        return {"Item": item} if item else {}

    def PutItem(self, parameters: Any) -> Any:  # noqa: N802
        self.items[parameters["Item"]["pk"]["S"]] = parameters["Item"]
        return {}

    def TransactWriteItems(self, parameters: Any) -> Any:  # noqa: N802
        for write in parameters["TransactItems"]:
            if "Put" in write:
                self.PutItem(write["Put"])
        return {}

    def UpdateItem(self, _parameters: Any) -> Any:  # noqa: N802
        return {}

    def DeleteItem(self, parameters: Any) -> Any:  # noqa: N802
        self.items.pop(parameters["Key"]["pk"]["S"], None)
        return {}

    def PutEvents(self, parameters: Any) -> Any:  # noqa: N802
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "0"} for _ in parameters["Entries"]]}

    def SendMessage(self, parameters: Any) -> Any:  # noqa: N802
        digest = hashlib.md5(parameters["MessageBody"].encode(), usedforsecurity=False).hexdigest()
        return {"MessageId": "00000000-0000-4000-8000-000000000000", "MD5OfMessageBody": digest}


class Engine:
    """An OpenAI-compatible server. The model's name sets size and time: `4mb-30s` makes images of 4 MB in 30 s."""

    async def respond(
        self, method: str, _path: str, headers: dict[str, str], reader: asyncio.StreamReader
    ) -> list[bytes]:
        """Return images as base64."""
        parameters = json.loads(await _body(headers, reader) or b"{}") if method == "POST" else {}
        megabytes, _, seconds = parameters["model"].removesuffix("s").partition("mb-")
        await asyncio.sleep(float(seconds))
        items: list[bytes] = []
        for number in range(parameters.get("n") or 1):
            items += [b"," if number else b"", b'{"b64_json":"', _base64(int(megabytes)), b'"}']
        return [b'{"created":1763800000,"data":[', *items, b"]}"]


@cache
def _base64(megabytes: int) -> bytes:
    return base64.b64encode(png(megabytes * 2**20))


async def _serve_connection(respond: Respond, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Respond to the requests of one connection."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path, _version = head[0].split(" ")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            if headers.get("expect", "").lower() == "100-continue":
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            parts = await respond(method, path, headers, reader)
            length = sum(map(len, parts))
            content_type = headers.get("content-type", "application/json") if path == "/" else "application/json"
            fields = f'Content-Type: {content_type}\r\nETag: "0"\r\nContent-Length: {length}\r\n'
            writer.write(f"HTTP/1.1 200 OK\r\n{fields}\r\n".encode())
            for part in parts:
                writer.write(part)
                await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def _serve(name: str, certificate: str) -> None:
    respond: Respond = (Aws() if name == "aws" else Engine()).respond
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = await asyncio.start_server(
        lambda reader, writer: _serve_connection(respond, reader, writer), "127.0.0.1", 0, ssl=context, limit=4 * _READ
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], sys.argv[2]))
