"""Uses of tokens, and clients for AWS that record calls or fail."""

import asyncio
import time
from typing import Any

from image_gateway.access.token_registry import TokenRegistry
from image_gateway.access.tokens import TokenAuthenticator
from image_gateway.aws import Aws, AwsError


class FakeClock:
    """A clock that tests advance."""

    def __init__(self) -> None:
        self.seconds = float(int(time.time()))

    def __call__(self) -> float:
        return self.seconds


class FailingAws(Aws):
    """AWS, where one operation fails with an error, or never returns if the error is None."""

    def __init__(self, aws: Aws, operation: str, error: AwsError | None) -> None:
        super().__init__()
        self._aws = aws
        self._operation = operation
        self._error = error
        self.calls = 0

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        if operation != self._operation:
            return await self._aws.call(service, operation, **parameters)
        self.calls += 1
        if self._error is None:
            await asyncio.Event().wait()
            raise AssertionError("unreachable")
        raise self._error


class RecordingAws(Aws):
    """AWS, with a record of its calls."""

    def __init__(self, aws: Aws) -> None:
        super().__init__()
        self._aws = aws
        self.requests: list[dict[str, Any]] = []

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        self.requests.append({"operation": operation, **parameters})
        return await self._aws.call(service, operation, **parameters)


async def use(authenticator: TokenAuthenticator, token: str) -> None:
    """Authenticate a token and record its use."""
    principal = await authenticator.authenticate(token)
    assert principal is not None
    async with authenticator.recording_use(principal):
        pass


async def last_use(registry: TokenRegistry) -> float | None:
    """Return the last use of the only token, in seconds since 1970."""
    (info,) = (await registry.page()).tokens
    return info.last_used_at.timestamp() if info.last_used_at else None
