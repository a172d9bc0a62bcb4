"""The OpenAI SDK's two clients behind the same calls: they note how long they would wait to try again, and do not."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2
import openai


class _Noting:
    """Takes note of the SDK's waits, in seconds."""

    waits: list[float]

    def _calculate_retry_timeout(
        self, remaining_retries: int, options: Any, response_headers: httpx2.Headers | None = None
    ) -> float:
        wait: float = super()._calculate_retry_timeout(remaining_retries, options, response_headers)  # type: ignore[misc]  # a client has it
        self.waits.append(wait)
        return 0


class _Hasty(_Noting, openai.OpenAI):
    pass


class _HastyAsync(_Noting, openai.AsyncOpenAI):
    pass


class Hasty:
    """A client of the SDK. What it has is found under the same names; what would have to be awaited is waited for.

    Attributes:
        waits: before other attempts, in seconds.
    """

    def __init__(self, name: str, **options: Any) -> None:
        self._runner = asyncio.Runner()
        self._asynchronous = name == "AsyncOpenAI"
        client = (_HastyAsync if self._asynchronous else _Hasty)(**options)
        self.waits = client.waits = []
        self.images = _Waited(client.images, self._run)
        self.models = _Waited(client.models, self._run)
        self._client = client

    def close(self) -> None:
        """Let go of its connections."""
        self._run(self._client.close())
        self._runner.close()

    def _run(self, given: Any) -> Any:
        if not self._asynchronous:
            return given

        async def awaited() -> Any:
            return await given

        return self._runner.run(awaited())


class _Waited:
    """A resource of a client, whose methods give their answers."""

    def __init__(self, resource: Any, run: Callable[[Any], Any]) -> None:
        self._resource = resource
        self._run = run

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._resource, name)
        if not callable(found):
            return _Waited(found, self._run)
        return lambda *arguments, **options: self._run(found(*arguments, **options))
