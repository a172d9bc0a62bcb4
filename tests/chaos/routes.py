"""The routes of the test: one of their servers is away, others refuse some requests, and they change meanwhile."""

import random
from typing import Any

from sandbox.client import ENGINES, GatewayClient
from sandbox.engines.state import Fault, SandboxState

ROUTES = ("away-first", "spread", "gpus")
"""Names that requests use as their model."""

_PAID_PATHS = {
    "openai": ("/images/generations", "/images/edits"),
    "gemini": (":generateContent",),
    "comfyui": ("/prompt",),
    "automatic1111": ("/txt2img", "/img2img"),
}
"""The ends of the paths that cost something, by engine."""


async def store_routes(client: GatewayClient, chance: random.Random, engines: tuple[str, ...], comfyui: str) -> None:
    """Store the connections and the routes of a run.

    Args:
        client: of the gateway.
        chance: the source of random numbers.
        engines: the engines that targets may use.
        comfyui: the URL of the sandbox's ComfyUI.
    """
    connections: dict[str, dict[str, Any]] = {
        "away": {"engine": "openai", "base_url": "http://127.0.0.1:9/v1", "key": "a key"},
        "gpu": {"engine": "comfyui", "base_url": comfyui, "max_concurrent": 2},
    }
    for name, connection in connections.items():
        await _put(client, f"connections/{name}", connection)
    for name in ROUTES:
        await _put(client, f"routes/{name}", random_route(name, chance, engines))


async def change_route(client: GatewayClient, chance: random.Random, engines: tuple[str, ...]) -> None:
    """Change one of the routes, if the gateway accepts that now."""
    name = chance.choice(ROUTES)
    body = random_route(name, chance, engines)
    await client.request("PUT", f"/api/v1/images/routes/{name}", json=body)


def random_route(name: str, chance: random.Random, engines: tuple[str, ...]) -> dict[str, Any]:
    """Return a route with targets in random order."""
    targets = [_target(engine) for engine in chance.sample(engines, len(engines))]
    match name:
        case "away-first":
            return {"targets": [{"connection": "away", "model": "gpt-image-2"}, *targets]}
        case "spread":
            return {"strategy": "weighted", "targets": targets}
    return {"strategy": "least_busy", "targets": [{"connection": "gpu"}, _target("openai")]}


def refuse_some(state: SandboxState, engine: str, chance: random.Random) -> None:
    """Let an engine refuse the next requests that would cost something: it makes nothing for them."""
    faults = [
        Fault(chance.choice((429, 503)), {"error": {"message": "busy"}}, times=chance.randint(1, 4), path=path)
        for path in _PAID_PATHS[engine]
    ]
    state.knobs.faults = faults


def _target(engine: str) -> dict[str, Any]:
    return {"connection": engine, "model": ENGINES[engine]} if ENGINES[engine] else {"connection": engine}


async def _put(client: GatewayClient, path: str, body: dict[str, Any]) -> None:
    response = await client.request("PUT", f"/api/v1/images/{path}", json=body)
    response.raise_for_status()
