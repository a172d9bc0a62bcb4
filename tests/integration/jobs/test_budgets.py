"""Budgets and other limits of requests by HTTP: what they refuse, and what is charged."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from sandbox.engines.state import SandboxState
    from tests.integration.deployment import ApiResponse, Deployment

TOKENS = "/api/v1/images/tokens"
GENERATIONS = "/api/v1/images/generations"
LIMITS = "/api/v1/images/limits"
PRICES = "/api/v1/images/prices"
FOX: dict[str, Any] = {"prompt": "a fox", "size": "64x64"}


@pytest.fixture
def priced(openai_deployment: "Deployment") -> "Deployment":
    """A deployment on which an image costs ten cents."""
    response = openai_deployment.call("PUT", PRICES, {"prices": [{"model": "*", "usd_per_image": "0.10"}]})
    assert response.status == 200, response.text
    return openai_deployment


def limited(deployment: "Deployment", **limits: Any) -> str:
    """Make a token with limits, and return its id. Calls with the role `limited` use it."""
    created = deployment.call("POST", TOKENS, {"name": "limited", "role": "user", **limits}).json
    deployment.tokens["limited"] = created["token"]
    return str(created["id"])


def generate(deployment: "Deployment", role: str = "limited", **fields: Any) -> "ApiResponse":
    return deployment.call("POST", GENERATIONS, FOX | fields, role=role)


def token(deployment: "Deployment", token_id: str) -> dict[str, Any]:
    tokens = deployment.call("GET", f"{TOKENS}?limit=100").json["tokens"]
    return next(each for each in tokens if each["id"] == token_id)


def test_a_refusal_says_what_is_left_and_is_not_to_be_repeated(priced: "Deployment") -> None:
    """In the shape of each API."""
    limited(priced, budget={"usd": "0.15", "period": "total"})

    refused = generate(priced, n=2)
    openai = priced.call("POST", "/v1/images/generations", FOX | {"n": 2}, role="limited")

    assert (refused.status, refused.json["code"]) == (429, "budget_exceeded")
    assert "0.150000 of 0.150000 US dollars left" in refused.json["detail"]
    assert refused.headers["x-should-retry"] == "false"
    assert "retry-after" not in refused.headers
    assert (openai.status, openai.json["error"]["code"]) == (429, "budget_exceeded")
    assert generate(priced).status == 200


def test_an_answer_says_what_the_images_cost(priced: "Deployment") -> None:
    """In a header, and in the job."""
    answer = generate(priced, role="user", n=2)

    assert answer.headers["x-image-gateway-cost"] == "0.200000"


def test_what_an_engine_refused_costs_nothing(priced: "Deployment") -> None:
    """What was held for the request is given back."""
    token_id = limited(priced, budget={"usd": "0.10", "period": "total"})

    assert generate(priced, prompt="a forbidden fox").status == 400

    assert token(priced, token_id)["remaining_usd"] == "0.100000"
    assert generate(priced).status == 200


def test_a_raised_limit_holds_at_once(priced: "Deployment") -> None:
    """And one that is removed."""
    token_id = limited(priced, budget={"usd": "0.10", "period": "total"})
    assert [generate(priced).status for _ in range(2)] == [200, 429]

    changed = priced.call("PATCH", f"{TOKENS}/{token_id}", {"budget": {"usd": "0.20", "period": "total"}})
    assert (changed.status, changed.json["remaining_usd"]) == (200, "0.100000")
    assert [generate(priced).status for _ in range(2)] == [200, 429]
    priced.call("PATCH", f"{TOKENS}/{token_id}", {"budget": None})

    assert generate(priced).status == 200


def test_requests_of_a_minute_are_limited(priced: "Deployment") -> None:
    """The answer says when the next one may be sent."""
    limited(priced, requests_per_minute=1)
    statuses = [generate(priced) for _ in range(3)]

    refused = next(response for response in statuses if response.status == 429)
    assert refused.json["code"] == "rate_limited"
    assert 1 <= int(refused.headers["retry-after"]) <= 60


def test_the_deployment_has_limits_of_its_own(priced: "Deployment") -> None:
    """They hold for all callers together; removing them ends that."""
    stored = priced.call("PUT", LIMITS, {"budget": {"usd": "0.10", "period": "total"}})

    assert stored.status == 200, stored.text
    assert [generate(priced, role="user").status, generate(priced, role="admin").status] == [200, 429]
    state = priced.call("GET", LIMITS).json
    assert (state["remaining_usd"], state["unknown_price"], state["open_jobs"]) == ("0.000000", "zero", 0)
    assert priced.call("PUT", LIMITS, {}).json["budget"] is None
    assert generate(priced, role="user").status == 200


def test_limits_of_the_deployment_are_changed_only_with_the_current_version(priced: "Deployment") -> None:
    """A refused change changes nothing, not even for a moment."""
    version = priced.call("PUT", LIMITS, {"budget": {"usd": "1", "period": "total"}}).headers["etag"]
    priced.configure(IMAGE_STEPS=3)
    raised = {"budget": {"usd": "9", "period": "total"}}

    refused = priced.call("PUT", LIMITS, raised, headers={"If-Match": version})

    assert refused.status == 412
    current = priced.call("GET", LIMITS)
    assert current.json["remaining_usd"] == "1.000000"
    changed = priced.call("PUT", LIMITS, raised, headers={"If-Match": current.headers["etag"]})
    assert (changed.status, changed.json["remaining_usd"]) == (200, "9.000000")


def test_a_limited_job_goes_where_its_price_was_held_for(
    priced: "Deployment", queue_deployment: "Deployment", openai: "SandboxState"
) -> None:
    """The configuration names a dearer model while the job waits, which counts for later requests."""
    prices = [{"model": "gpt-image-2", "usd_per_image": "0.10"}, {"model": "dall-e-3", "usd_per_image": "5.00"}]
    assert priced.call("PUT", PRICES, {"prices": prices}).status == 200
    token_id = limited(priced, budget={"usd": "0.10", "period": "total"})
    assert generate(priced).status == 303

    priced.configure(IMAGE_GENERATION_MODEL="dall-e-3")
    assert generate(priced).json["code"] == "budget_exceeded"
    priced.process_queue()

    [job] = priced.jobs()
    assert (job.model, job.cost and job.cost.usd) == ("gpt-image-2", Decimal("0.1"))
    assert token(priced, token_id)["remaining_usd"] == "0.000000"


def test_a_revoked_token_that_a_process_still_knows_spends_nothing(priced: "Deployment") -> None:
    """Its budget is removed with it, which must not mean that it has no limit for a minute."""
    token_id = limited(priced, budget={"usd": "0.10", "period": "total"})
    priced.redeploy(token_ttl_seconds=60)
    assert generate(priced).status == 200
    assert priced.call("DELETE", f"{TOKENS}/{token_id}").status == 204

    refused = generate(priced)

    assert (refused.status, refused.json["code"]) == (401, "unauthorized")
    assert refused.headers["www-authenticate"] == 'Bearer error="invalid_token"'


@pytest.mark.parametrize(("policy", "status"), [("zero", 200), ("refuse", 409)])
def test_the_operator_says_what_becomes_of_a_request_without_a_price(
    openai_deployment: "Deployment", policy: str, status: int
) -> None:
    """It counts as free, or is refused; requests without limits are not concerned."""
    limited(openai_deployment, budget={"usd": "1", "period": "total"})
    assert openai_deployment.call("PUT", LIMITS, {"unknown_price": policy}).status == 200

    response = generate(openai_deployment)

    assert response.status == status, response.text
    assert generate(openai_deployment, role="user").status == 200


def test_a_repeated_request_is_charged_once(priced: "Deployment") -> None:
    """It is the job of the first one."""
    token_id = limited(priced, budget={"usd": "1", "period": "total"})

    for _ in range(2):
        response = priced.call("POST", GENERATIONS, FOX, role="limited", headers={"Idempotency-Key": "order-1"})
        assert response.status == 200

    assert token(priced, token_id)["remaining_usd"] == "0.900000"


@pytest.mark.parametrize(
    ("limits", "field"),
    [
        ({"budget": {"usd": 25.5, "period": "month"}}, "budget.usd"),
        ({"budget": {"usd": "25", "period": "week"}}, "budget.period"),
        ({"budget": {"usd": "-1", "period": "day"}}, "budget.usd"),
        ({"requests_per_minute": 0}, "requests_per_minute"),
        ({"max_jobs": 10**9}, "max_jobs"),
    ],
)
def test_limits_that_make_no_sense_are_refused(deployment: "Deployment", limits: dict[str, Any], field: str) -> None:
    """For tokens and for the deployment."""
    for method, path, body in (("POST", TOKENS, {"name": "x", "role": "user"}), ("PUT", LIMITS, {})):
        refused = deployment.call(method, path, body | limits)
        assert refused.status == 422
        assert field in refused.text
