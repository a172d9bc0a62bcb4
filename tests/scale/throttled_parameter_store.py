"""Parameter Store with AWS's limit of reads, as a proxy in front of one without a limit.

By default an account has 40 reads a second. That the limit is a token bucket with a burst of one second is an
assumption: AWS documents neither.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import httpx

READS_PER_SECOND = 40.0
_FORWARDED = ("authorization", "content-type", "x-amz-date", "x-amz-target")


class TokenBucket:
    """A limit of events per second.

    Args:
        rate: how many tokens are added in a second.
        burst: how many tokens it holds. It is full at first.
        clock: returns seconds.
    """

    def __init__(self, rate: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = rate
        self._burst = burst
        self._clock = clock
        self._tokens = burst
        self._filled_at = clock()

    def take(self) -> bool:
        """Take a token. Return False if there is none."""
        now = self._clock()
        self._tokens = min(self._burst, self._tokens + (now - self._filled_at) * self._rate)
        self._filled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class ThrottledParameterStore:
    """An HTTP server that passes requests on, and refuses reads beyond the limit as AWS does.

    The response to a read is remembered, because the server behind it answers more slowly than AWS.

    Args:
        url: the endpoint of a Parameter Store without a limit.
        bucket: the limit.

    Attributes:
        served: how many reads were answered.
        throttled: how many reads were refused.
    """

    def __init__(self, url: str, bucket: TokenBucket) -> None:
        self._url = url
        self._bucket = bucket
        self._client = httpx.AsyncClient(timeout=None, trust_env=False)  # noqa: S113 - moto answers when it can
        self._remembered: dict[bytes, asyncio.Task[bytes]] = {}
        self.served = 0
        self.throttled = 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Serve for the life of the block; the value is the URL."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", backlog=1_000)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            await self._client.aclose()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[1:-2]
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                body = await reader.readexactly(int(headers["content-length"]))
                writer.write(await self._respond(headers, body))
        writer.close()

    async def _respond(self, headers: dict[str, str], body: bytes) -> bytes:
        if not headers["x-amz-target"].endswith(".GetParameter"):
            return await self._pass_on(headers, body)
        if not self._bucket.take():
            self.throttled += 1
            return _response(400, b'{"__type": "ThrottlingException", "message": "Rate exceeded"}')
        self.served += 1
        if body not in self._remembered:
            self._remembered[body] = asyncio.create_task(self._pass_on(headers, body))
        return await self._remembered[body]

    async def _pass_on(self, headers: dict[str, str], body: bytes) -> bytes:
        forwarded = {name: headers[name] for name in _FORWARDED if name in headers}
        response = await self._client.post(self._url, headers=forwarded, content=body)
        return _response(response.status_code, response.content)


def _response(status: int, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} -\r\ncontent-type: application/x-amz-json-1.1\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body
