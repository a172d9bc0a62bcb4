"""Two hundred requests at once against a budget for fifty images, in several processes' places."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from functions.generate.app import app
from image_gateway.container import Gateway
from image_gateway.event_loop import run
from sandbox.transaction_conflicts import injected_conflicts
from tests.integration.worker.queued_jobs import count_requests

if TYPE_CHECKING:
    from sandbox.engines.state import SandboxState
    from tests.integration.deployment import Deployment

TOKENS = "/api/v1/images/tokens"
REQUESTS, PAID, GATEWAYS = 200, 50, 4
LONG_SECONDS = 240
"""Longer than a busy computer takes for all requests at once."""
FOX: dict[str, Any] = {"prompt": "a fox", "size": "64x64"}

serving: ContextVar[Gateway] = ContextVar("serving")
"""The gateway that serves the request of a task: each has its own knowledge of the limits, as processes have."""


@pytest.fixture
def priced(openai_deployment: "Deployment") -> "Deployment":
    """A deployment on which an image costs ten cents, and a token that has money for fifty."""
    prices = {"prices": [{"model": "*", "usd_per_image": "0.10"}]}
    assert openai_deployment.call("PUT", "/api/v1/images/prices", prices).status == 200
    openai_deployment.configure(IMAGE_ENGINE_TIMEOUT=LONG_SECONDS)
    limits = {"budget": {"usd": "5.00", "period": "month"}, "max_jobs": REQUESTS}
    created = openai_deployment.call("POST", TOKENS, {"name": "limited", "role": "user", **limits}).json
    openai_deployment.tokens["limited"] = created["token"]
    return openai_deployment


@contextmanager
def several_gateways(deployment: "Deployment", **settings: Any) -> Iterator[list[Gateway]]:
    """Let some gateways of the same deployment serve generations."""
    changed = deployment.gateway.settings.model_copy(
        update={"config_ttl_seconds": 60, "token_ttl_seconds": 60, **settings}
    )
    gateways = [Gateway(changed, deployment.gateway.aws) for _ in range(GATEWAYS)]
    app.state.gateway = serving.get
    yield gateways
    for gateway in gateways:
        run(gateway.aclose())


async def send_all(token: str, gateways: list[Gateway], headers: dict[str, str]) -> Counter[str]:
    """Send all requests at once; return how many got which status and code."""
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.example") as client:

        async def send(gateway: Gateway) -> str:
            serving.set(gateway)
            authorized = {"Authorization": f"Bearer {token}", **headers}
            response = await client.post("/api/v1/images/generations", json=FOX, headers=authorized)
            return f"{response.status_code} {response.json()['code'] if response.is_error else ''}".strip()

        tasks = [asyncio.create_task(send(gateways[number % GATEWAYS])) for number in range(REQUESTS)]
        return Counter(await asyncio.gather(*tasks))


def accounts(deployment: "Deployment") -> dict[str, Any]:
    """Return what the token's list and the usage say."""
    tokens = deployment.call("GET", f"{TOKENS}?limit=100").json["tokens"]
    token = next(each for each in tokens if each["name"] == "limited")
    [usage] = deployment.call("GET", "/api/v1/images/usage", role="limited").json["rows"]
    return {
        "remaining": token["remaining_usd"],
        "open": token["open_jobs"],
        **{name: usage[name] for name in ("requests", "images", "failures", "usd")},
    }


SPENT = {"remaining": "0.000000", "open": 0, "requests": PAID, "images": PAID, "failures": 0, "usd": "5.000000"}


def test_exactly_as_many_images_are_made_at_once_as_a_budget_has_money_for(
    priced: "Deployment", openai: "SandboxState"
) -> None:
    """Inline, while one of twenty writes is refused because of a conflict: the engine's own record says so."""
    with (
        several_gateways(priced, inline_seconds=LONG_SECONDS) as gateways,
        injected_conflicts(0.05, seed=1) as conflicts,
    ):
        answers = run(send_all(priced.tokens["limited"], gateways, {}))

    assert answers == {"200": PAID, "429 budget_exceeded": REQUESTS - PAID}
    assert count_requests(openai) == PAID
    assert "transact_write_items" in conflicts
    assert accounts(priced) == SPENT


def test_exactly_as_many_jobs_are_queued_at_once_as_a_budget_has_money_for(
    queue_deployment: "Deployment", priced: "Deployment", openai: "SandboxState"
) -> None:
    """They hold the whole budget until they end, and the refused requests left no jobs."""
    with several_gateways(priced) as gateways, injected_conflicts(0.05, seed=2):
        answers = run(send_all(priced.tokens["limited"], gateways, {"Prefer": "respond-async"}))

    assert answers == {"202": PAID, "429 budget_exceeded": REQUESTS - PAID}
    assert count_requests(openai) == 0
    priced.process_queue()
    assert count_requests(openai) == PAID
    assert accounts(priced) == SPENT
