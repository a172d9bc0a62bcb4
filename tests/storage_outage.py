"""A client for AWS some of whose requests fail, while time passes at once."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any

from image_gateway.aws import Aws, AwsError
from tests.conftest import AnyLoopTransport
from tests.loop_time import LoopTime


@dataclass
class Outage:
    """Requests that fail: to a service, with the method or operation `name`, and with a URL that contains `path`.

    The first `skip` of them succeed, and so do all after the `left` next ones.
    """

    service: str
    name: str
    path: str
    skip: int
    left: float

    def fails(self, service: str, name: str, url: str) -> bool:
        """Count a request, and return whether it fails."""
        if (self.service, self.name) != (service, name) or self.path not in url:
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.left -= 1
        return self.left >= 0


class OutageAws(Aws):
    """Fails requests as a client does that has tried them four times. After each failure, 12 seconds pass.

    They pass when no other request is under way: those have time limits too, and would fail on a busy computer.

    Attributes:
        failed: how many requests failed.
    """

    def __init__(self, tls: ssl.SSLContext, loop_time: LoopTime | None = None) -> None:
        super().__init__(lambda: AnyLoopTransport(tls))
        self._loop_time = loop_time
        self._outages: list[Outage] = []
        self._under_way = 0
        self._seconds_due = 0.0
        self.failed = 0

    def fail(self, service: str, name: str, *, path: str = "", skip: int = 0, times: float = inf) -> None:
        """Let `times` requests fail after `skip` more: see `Outage`."""
        self._outages.append(Outage(service, name, path, skip, times))

    def end(self) -> None:
        """Let no more requests fail."""
        self._outages.clear()

    async def send(
        self,
        service: str,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | memoryview = b"",
        max_bytes: int | None = None,
        retry_throttling: bool = True,
    ) -> bytes:
        """Send a request, unless it is to fail."""
        name = headers.get("x-amz-target", method).rpartition(".")[2]
        if any(outage.fails(service, name, url) for outage in self._outages):
            self.failed += 1
            self._seconds_due += 12
            self._let_time_pass_soon()
            raise AwsError("InternalError", status=500)
        options: dict[str, Any] = {"max_bytes": max_bytes, "retry_throttling": retry_throttling}
        self._under_way += 1
        try:
            return await super().send(service, method, url, headers=headers, body=body, **options)
        finally:
            self._under_way -= 1
            self._let_time_pass_soon()

    def _let_time_pass_soon(self) -> None:
        """Let the time pass in the next turn of the loop: the gateway waits by then."""
        asyncio.get_running_loop().call_soon(self._let_time_pass)

    def _let_time_pass(self) -> None:
        if self._loop_time and self._seconds_due and not self._under_way:
            self._loop_time.advance(self._seconds_due)
            self._seconds_due = 0.0
