"""What images cost in a run, and its limits: large ones that count everything, and small ones that change."""

import random
from typing import Any

from image_gateway.metering.limit_item import LimitItem, limits_key
from image_gateway.models.money import format_usd, from_micros
from sandbox.client import GatewayClient
from tests.aws_clients import aws_client

PRICES = {"openai": 100_000, "gemini": 70_000, "comfyui": 30_000, "automatic1111": 20_000}
"""What an image of each engine costs, in millionths of a dollar."""

END_USERS = 3
"""How many end users the token with the small budget has."""

_LARGE = {"usd": "1000", "period": "total"}
_STEPS = (-300_000, 0, 200_000, 500_000, 1_000_000)
"""By how much a small budget is more than what is spent, after a change."""
_SERVERS = {"gpu": "comfyui"}
"""The stored connections with an engine that costs something."""


class Money:
    """The prices and limits of a run.

    Args:
        client: of the gateway.
        chance: the source of random numbers.
        table: the gateway's table.

    Attributes:
        token: a token with a small budget, which gives each of its end users one too.
        highest: the highest budget that each scope with a small one has had, in millionths of a dollar.
        overspent: what was more than that at some time.
    """

    def __init__(self, client: GatewayClient, chance: random.Random, table: str) -> None:
        self._client = client
        self._chance = chance
        self._table = table
        self._token_id = ""
        self.token = ""
        self.highest: dict[str, int] = {}
        self.overspent: list[str] = []

    async def start(self) -> None:
        """Store prices and limits."""
        connections = {**{name: engine for engine in PRICES for name in (engine, f"{engine}-edit")}, **_SERVERS}
        rows = [
            {"connection": name, "model": "*", "usd_per_image": _usd(PRICES[engine])}
            for name, engine in connections.items()
        ]
        await self._send("PUT", "prices", {"prices": rows})
        tokens = (await self._send("GET", "tokens?limit=100"))["tokens"]
        user = next(token["id"] for token in tokens if token["role"] == "user")
        await self._send("PATCH", f"tokens/{user}", {"budget": _LARGE, "max_jobs": 900, "requests_per_minute": 90_000})
        small = {"forwards_users": True, "budget": {"usd": "1", "period": "total"}, "end_user_budget": _LARGE}
        created = await self._send("POST", "tokens", {"name": "a small budget", "role": "user", **small})
        self.token, self._token_id = created["token"], created["id"]
        self.highest = {f"token:{self._token_id}": 1_000_000, "event:sqs": 1_000_000}
        await self._send("PUT", "limits", self._deployment(1_000_000))

    async def change(self) -> None:
        """Raise or lower the small budgets, if the gateway accepts that now."""
        limits = {scope: self._spent(scope) + self._chance.choice(_STEPS) for scope in self.highest}
        for scope, micros in limits.items():
            # Before it is sent: it may hold although there is no response.
            self.highest[scope] = max(self.highest[scope], micros)
        token, events = (max(0, micros) for micros in limits.values())
        budget = {"budget": {"usd": _usd(token), "period": "total"}}
        await self._client.request("PATCH", f"/api/v1/images/tokens/{self._token_id}", json=budget)
        await self._client.request("PUT", "/api/v1/images/limits", json=self._deployment(events))

    def _spent(self, scope: str) -> int:
        """Return what a scope has spent, and note if that is more than it ever might."""
        stored = aws_client("dynamodb").get_item(TableName=self._table, Key=limits_key(scope), ConsistentRead=True)
        spent = LimitItem.parse(stored["Item"]).spent_total
        if spent > self.highest[scope]:
            self.overspent.append(f"{scope} had spent {_usd(spent)} of at most {_usd(self.highest[scope])}")
        return spent

    def _deployment(self, events: int) -> dict[str, Any]:
        """Return the limits of the deployment: a large budget for everything, and a small one of messages by SQS."""
        return {"budget": _LARGE, "max_jobs": 900, "events": {"sqs": {"usd": _usd(events), "period": "total"}}}

    async def _send(self, method: str, path: str, body: Any = None) -> Any:
        response = await self._client.request(method, f"/api/v1/images/{path}", json=body)
        response.raise_for_status()
        return response.json()


def _usd(micros: int) -> str:
    return format_usd(from_micros(micros))
