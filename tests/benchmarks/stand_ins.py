"""What the measured processes talk to, each in a process of its own: an engine, and the few calls of AWS they make.

Both answer as fast as a small asyncio program can, over TLS, so that what is measured is the gateway and not moto. They
are no place to try anything out: conditions always hold, signatures are not looked at, nothing is ever throttled.

`python -m tests.benchmarks.stand_ins aws|engine CERTIFICATE` prints its port and serves until it is ended. The
certificate's file holds the key too.
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
"""Gets method, path, headers (lower case) and what brings the body; gives the parts of a whole HTTP answer's body."""

_READ = 256 * 1024


async def _body(headers: dict[str, str], reader: asyncio.StreamReader) -> bytes:
    return await reader.readexactly(int(headers.get("content-length", 0)))


async def _drop_body(headers: dict[str, str], reader: asyncio.StreamReader) -> int:
    """Read a body and forget it; gives its length without the framing of chunks."""
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
    left = size
    while left:
        left -= len(await reader.read(min(left, _READ)))
    return size


class Aws:
    """Parameter Store, DynamoDB, EventBridge, SQS and S3, as far as generating and looking at jobs goes."""

    def __init__(self) -> None:
        self.parameters: dict[str, str] = {}
        self.items: dict[str, Any] = {}
        self.images = self.bytes = 0

    async def respond(
        self, method: str, path: str, headers: dict[str, str], reader: asyncio.StreamReader
    ) -> list[bytes]:
        """Do a call of AWS."""
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

    def GetParameter(self, call: Any) -> Any:  # noqa: N802 - names of AWS, here and below
        value = self.parameters[call["Name"]]
        return {"Parameter": {"Name": call["Name"], "Type": "SecureString", "Value": value, "Version": 1}}

    def PutParameter(self, call: Any) -> Any:  # noqa: N802
        self.parameters[call["Name"]] = call["Value"]
        return {"Version": 1}

    def GetItem(self, call: Any) -> Any:  # noqa: N802
        item = self.items.get(call["Key"]["pk"]["S"])
        return {"Item": item} if item else {}

    def PutItem(self, call: Any) -> Any:  # noqa: N802
        self.items[call["Item"]["pk"]["S"]] = call["Item"]
        return {}

    def TransactWriteItems(self, call: Any) -> Any:  # noqa: N802
        for write in call["TransactItems"]:
            if "Put" in write:
                self.PutItem(write["Put"])
        return {}

    def UpdateItem(self, _call: Any) -> Any:  # noqa: N802
        return {}

    def DeleteItem(self, call: Any) -> Any:  # noqa: N802
        self.items.pop(call["Key"]["pk"]["S"], None)
        return {}

    def PutEvents(self, call: Any) -> Any:  # noqa: N802
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "0"} for _ in call["Entries"]]}

    def SendMessage(self, call: Any) -> Any:  # noqa: N802
        digest = hashlib.md5(call["MessageBody"].encode(), usedforsecurity=False).hexdigest()
        return {"MessageId": "00000000-0000-4000-8000-000000000000", "MD5OfMessageBody": digest}


class Engine:
    """An OpenAI-compatible server. A model's name says what it makes: `4mb-30s` is 4 MB images after 30 s."""

    async def respond(
        self, method: str, _path: str, headers: dict[str, str], reader: asyncio.StreamReader
    ) -> list[bytes]:
        """Answer images as base64."""
        call = json.loads(await _body(headers, reader) or b"{}") if method == "POST" else {}
        megabytes, _, seconds = call["model"].removesuffix("s").partition("mb-")
        await asyncio.sleep(float(seconds))
        items: list[bytes] = []
        for number in range(call.get("n") or 1):
            items += [b"," if number else b"", b'{"b64_json":"', _base64(int(megabytes)), b'"}']
        return [b'{"created":1763800000,"data":[', *items, b"]}"]


@cache
def _base64(megabytes: int) -> bytes:
    return base64.b64encode(png(megabytes * 2**20))


async def _converse(respond: Respond, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the requests of one connection."""
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path, _version = head[0].split(" ")
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            if headers.get("expect", "").lower() == "100-continue":
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            parts = await respond(method, path, headers, reader)
            length = sum(map(len, parts))
            kind = headers.get("content-type", "application/json") if path == "/" else "application/json"
            writer.write(
                f'HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nETag: "0"\r\nContent-Length: {length}\r\n\r\n'.encode()
            )
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
        lambda reader, writer: _converse(respond, reader, writer), "127.0.0.1", 0, ssl=context, limit=4 * _READ
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], sys.argv[2]))
