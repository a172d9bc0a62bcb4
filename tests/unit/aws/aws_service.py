"""A service of AWS whose responses are given in advance."""

import json
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response


class Service:
    """A service that sends the given responses in order, repeats the last one, and records its requests."""

    def __init__(self, *responses: Response) -> None:
        self.responses = list(responses)
        self.requests: list[tuple[Request, bytes]] = []
        self.app = Starlette()
        self.app.add_route("/{path:path}", self._respond, methods=["GET", "POST", "PUT"])

    async def _respond(self, request: Request) -> Response:
        self.requests.append((request, await request.body()))
        return self.responses.pop(0) if len(self.responses) > 1 else self.responses[0]


class RecordedSleep:
    """Replaces `sleep`: records the seconds, and does not wait."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def failure(status: int, code: str = "", **more: Any) -> Response:
    return Response(json.dumps({"__type": code, **more}) if code else "", status)


OK = Response('{"done": true}')
