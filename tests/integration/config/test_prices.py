"""The operator's prices over HTTP, and what jobs cost by them."""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

PRICES = "/api/v1/images/prices"
GENERATIONS = "/api/v1/images/generations"
ROW: dict[str, Any] = {"model": "gpt-image-2", "usd_per_image": "0.05"}


def test_prices_are_replaced_and_returned_as_they_were_sent(deployment: "Deployment") -> None:
    """They are part of the versioned configuration."""
    assert deployment.call("GET", PRICES).json == {"prices": []}

    stored = deployment.call("PUT", PRICES, {"prices": [ROW]}, headers={"If-Match": '"0"'})

    assert (stored.status, stored.json) == (200, {"prices": [ROW]})
    assert deployment.call("GET", PRICES).json == {"prices": [ROW]}
    assert deployment.call("GET", "/api/v1/images/config").headers["etag"] == stored.headers["etag"] == '"1"'
    stale = deployment.call("PUT", PRICES, {"prices": []}, headers={"If-Match": '"0"'})
    assert (stale.status, stale.json["code"]) == (412, "precondition_failed")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"prices": [{"model": "m", "usd_per_image": 0.05}]}, "prices.0.usd_per_image"),
        ({"prices": [{"model": "m"}]}, "prices.0"),
        ({"prices": [ROW, ROW]}, "prices"),
        ({}, "prices"),
    ],
)
def test_prices_that_cannot_be_used_are_refused(deployment: "Deployment", body: dict[str, Any], field: str) -> None:
    """The error names the row and the field."""
    refused = deployment.call("PUT", PRICES, body)

    assert refused.status == 422
    assert field in refused.text
    assert deployment.call("GET", PRICES).json == {"prices": []}


def test_an_image_costs_what_the_operators_row_says(openai_deployment: "Deployment") -> None:
    """The job's record and its event have it; without a row, a server of somebody else has no price."""
    openai_deployment.call("POST", GENERATIONS, {"prompt": "a fox"}, role="user")
    openai_deployment.call("PUT", PRICES, {"prices": [{"model": "*", "usd_per_image": "0.05"}]})
    openai_deployment.call("POST", GENERATIONS, {"prompt": "a fox", "n": 2}, role="user")

    jobs = openai_deployment.call("GET", "/api/v1/images/jobs", role="user").json["jobs"]

    assert [job["cost"] for job in jobs] == [
        {"usd": "0.100000", "basis": "price"},
        {"usd": "0.000000", "basis": "unknown"},
    ]
