"""The template's functions, called in this process: for the sandbox's front, without a process for each function."""

import asyncio
import json
import threading
from collections.abc import Callable
from importlib import import_module
from typing import Any

from starlette.types import ASGIApp

from sandbox.front import create_front
from sandbox.template import Template

_HTTP_FUNCTIONS = [function for function in Template().functions() if function.routes]


class InProcessFunctions:
    """Calls the functions' handlers in this process, one at a time, because they share one event loop.

    Attributes:
        calls: the routes that were called.
        before: is called with `calls` before each call.
    """

    def __init__(self, before: Callable[[list[str]], object] = lambda _calls: None) -> None:
        self.before = before
        self._modules = {function.name: function.handler.rpartition(".")[0] for function in _HTTP_FUNCTIONS}
        self._lock = threading.Lock()
        self.calls: list[str] = []

    async def invoke(self, name: str, event: dict[str, Any]) -> Any:
        """Handle one event, which is serialized to JSON in both directions, as on AWS."""
        self.calls.append(event["routeKey"])
        self.before(self.calls)
        return json.loads(await asyncio.to_thread(self._call, name, json.dumps(event)))

    def front(self) -> ASGIApp:
        """Return the sandbox's front with the template's routes."""
        return create_front([route for function in _HTTP_FUNCTIONS for route in function.routes], self)

    def _call(self, name: str, event: str) -> str:
        with self._lock:
            return json.dumps(import_module(self._modules[name]).handler(json.loads(event), None))
