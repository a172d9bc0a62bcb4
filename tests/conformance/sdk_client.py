"""The OpenAI SDK's synchronous and asynchronous clients behind one interface, without waits before retries."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx2
import openai


class _WaitRecorder:
    """Records the SDK's waits before retries, in seconds, and replaces them by zero."""

    waits: list[float]

    def _calculate_retry_timeout(
        self, remaining_retries: int, options: Any, response_headers: httpx2.Headers | None = None
    ) -> float:
        wait: float = super()._calculate_retry_timeout(remaining_retries, options, response_headers)  # type: ignore[misc]  # a client has it
        self.waits.append(wait)
        return 0


class _OpenAI(_WaitRecorder, openai.OpenAI):
    pass


class _AsyncOpenAI(_WaitRecorder, openai.AsyncOpenAI):
    pass


class SDKClient:
    """A client of the SDK with the SDK's own names; methods of the asynchronous client are awaited.

    Args:
        name: the SDK's class, `OpenAI` or `AsyncOpenAI`.
        **options: the client's options.

    Attributes:
        waits: the waits before retries in seconds, which were skipped.
    """

    def __init__(self, name: str, **options: Any) -> None:
        self._runner = asyncio.Runner()
        self._asynchronous = name == "AsyncOpenAI"
        client = (_AsyncOpenAI if self._asynchronous else _OpenAI)(**options)
        self.waits = client.waits = []
        self.images = _SynchronousResource(client.images, self._run)
        self.models = _SynchronousResource(client.models, self._run)
        self._client = client

    def close(self) -> None:
        """Close the client's connections."""
        self._run(self._client.close())
        self._runner.close()

    def _run(self, result: Any) -> Any:
        if not self._asynchronous:
            return result

        async def awaited() -> Any:
            return await result

        return self._runner.run(awaited())


class _SynchronousResource:
    """A resource of a client whose methods return their results."""

    def __init__(self, resource: Any, run: Callable[[Any], Any]) -> None:
        self._resource = resource
        self._run = run

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._resource, name)
        if not callable(attribute):
            return _SynchronousResource(attribute, self._run)
        return lambda *arguments, **options: self._run(attribute(*arguments, **options))
