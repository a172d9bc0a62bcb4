"""The requests of the test: random ones for every channel, each with a marker, and what was promised for them."""

import base64
import io
import json
import random
from dataclasses import dataclass
from typing import Any

from PIL import Image

from sandbox.client import ENGINES
from tests.chaos.routes import ROUTES

GENERATION, EDIT = "generation", "edit"
_ROUTED = 0.4
"""The share of the requests that name a route."""


@dataclass
class Sent:
    """A request.

    Attributes:
        marker: in its prompt.
        channel: where it was sent.
        kind: `generation` or `edit`.
        n: how many images it requests.
        accepted: whether the gateway, or the service in front of it, took it: a job must exist then.
        delivered: whether the response had the images: the job must have succeeded then.
        job_id: the id of its job, where the response named it.
    """

    marker: str
    channel: str
    kind: str
    n: int = 1
    accepted: bool = False
    delivered: bool = False
    job_id: str = ""


class RequestSource:
    """Makes random requests.

    Args:
        chance: the source of random numbers.
        engines: the engines that requests may name.

    Attributes:
        sent: all requests so far.
    """

    def __init__(self, chance: random.Random, engines: tuple[str, ...]) -> None:
        self.chance = chance
        self.engines = engines
        self.sent: list[Sent] = []

    def new(self, channel: str) -> Sent:
        """Return a request for a channel: an edit in one of four cases, for two images in one of five."""
        kind = EDIT if self.chance.random() < 0.25 else GENERATION
        n = 2 if self.chance.random() < 0.2 else 1
        request = Sent(f"chaos-{len(self.sent) + 1}", channel, kind, n)
        self.sent.append(request)
        return request

    def form(self, request: Sent) -> dict[str, Any]:
        """Return the fields of a request in the gateway's own form."""
        form: dict[str, Any] = {"prompt": f"{request.marker} a fox", "size": "64x64", "n": request.n}
        if self.chance.random() < _ROUTED:
            form["model"] = self.chance.choice(ROUTES)
        if request.kind == EDIT:
            form["image"] = base64.b64encode(_photo(self.chance)).decode()
        return form

    def model(self) -> str:
        """Return a model of the OpenAI API that is a route, or selects an engine."""
        if self.chance.random() < _ROUTED:
            return self.chance.choice(ROUTES)
        engine = self.chance.choice(self.engines)
        return f"{engine}/{ENGINES[engine]}"

    def photo(self) -> bytes:
        """Return an image to edit."""
        return _photo(self.chance)

    def envelope(self, request: Sent) -> str:
        """Return the document of a request that is sent as an event."""
        return json.dumps({"kind": request.kind, "request": self.form(request)})


def _photo(chance: random.Random) -> bytes:
    color = (chance.randrange(256), chance.randrange(256), chance.randrange(256))
    out = io.BytesIO()
    Image.new("RGB", (64, 64), color).save(out, "PNG")
    return out.getvalue()
