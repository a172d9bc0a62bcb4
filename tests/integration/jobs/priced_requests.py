"""Prices, tokens with a budget, and what is read about costs."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

PRICES = "/api/v1/images/prices"
GENERATIONS = "/api/v1/images/generations"
JOBS = "/api/v1/images/jobs"
OPENAI = "/v1/images/generations"
COST = "x-image-gateway-cost"
FOX: dict[str, Any] = {"prompt": "a fox", "size": "64x64"}


def put_prices(deployment: "Deployment", *rows: dict[str, Any]) -> None:
    response = deployment.call("PUT", PRICES, {"prices": rows})
    assert response.status == 200, response.text


def last_job(deployment: "Deployment") -> Any:
    return deployment.call("GET", JOBS, role="user").json["jobs"][0]


def limited(deployment: "Deployment", usd: str) -> Callable[[], str]:
    """Make a token with a budget for the role `limited`; return how to read what is left."""
    body = {"name": "limited", "role": "user", "budget": {"usd": usd, "period": "total"}}
    created = deployment.call("POST", "/api/v1/images/tokens", body).json
    deployment.tokens["limited"] = created["token"]

    def remaining() -> str:
        tokens = deployment.call("GET", "/api/v1/images/tokens?limit=100").json["tokens"]
        return next(str(each["remaining_usd"]) for each in tokens if each["id"] == created["id"])

    return remaining
