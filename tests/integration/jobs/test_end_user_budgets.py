"""Budgets that a token gives to each of its end users, over HTTP."""

from typing import TYPE_CHECKING, Any

import pytest

from tests.aws_clients import aws_client
from tests.integration.access.end_users import TOKENS, end_users, generate, trust

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

TEN_CENTS = {"usd": "0.10", "period": "month"}


@pytest.fixture
def priced(openai_deployment: "Deployment") -> "Deployment":
    """A deployment on which an image costs ten cents."""
    prices = {"prices": [{"model": "*", "usd_per_image": "0.10"}]}
    assert openai_deployment.call("PUT", "/api/v1/images/prices", prices).status == 200
    return openai_deployment


def statuses(deployment: "Deployment", *user_ids: str) -> list[int]:
    """Return the status of a request for each of these end users."""
    return [generate(deployment, user_id).status for user_id in user_ids]


def test_each_end_user_may_spend_its_own_budget(priced: "Deployment") -> None:
    """The refusal names it, in the shape of each API; requests for nobody count for the token only."""
    token_id = trust(priced, end_user_budget=TEN_CENTS)

    assert statuses(priced, "alice", "alice", "bob", "", "") == [200, 429, 200, 200, 200]
    refused = generate(priced, "bob")
    headers = {"X-OpenWebUI-User-Id": "bob"}
    openai = priced.call("POST", "/v1/images/generations", {"prompt": "a fox"}, role="front", headers=headers)

    assert (refused.json["code"], refused.headers["x-should-retry"]) == ("budget_exceeded", "false")
    assert refused.json["detail"].startswith("The budget of this end user has 0.000000 of 0.100000 US dollars left")
    assert (openai.status, openai.json["error"]["code"]) == (429, "budget_exceeded")
    (token,) = [each for each in priced.call("GET", TOKENS).json["tokens"] if each["id"] == token_id]
    assert token["end_user_budget"] == {"usd": "0.100000", "period": "month"}
    assert (token["budget"], token["remaining_usd"], token["open_jobs"]) == (None, None, 0)


def test_a_changed_budget_holds_at_once(priced: "Deployment") -> None:
    """And one that is removed. Other changes leave it as it is."""
    token_id = trust(priced, end_user_budget=TEN_CENTS)
    assert statuses(priced, "alice", "alice") == [200, 429]

    def change(**fields: Any) -> Any:
        changed = priced.call("PATCH", f"{TOKENS}/{token_id}", fields)
        assert changed.status == 200, changed.text
        return changed.json["end_user_budget"]

    assert change(end_user_budget={"usd": "0.20", "period": "month"}) == {"usd": "0.200000", "period": "month"}
    assert change(requests_per_minute=1000) is not None
    assert statuses(priced, "alice", "alice", "bob") == [200, 429, 200]
    assert change(end_user_budget=None) is None
    assert statuses(priced, "alice", "bob") == [200, 200]


def test_the_price_of_a_failed_request_is_given_back(priced: "Deployment") -> None:
    """What the engine refused cost nothing."""
    trust(priced, end_user_budget=TEN_CENTS)

    assert generate(priced, "alice", prompt="a forbidden fox").status == 400

    assert statuses(priced, "alice", "alice") == [200, 429]


@pytest.mark.parametrize("plain", [True, False])
def test_budgets_are_forgotten_with_their_end_user(priced: "Deployment", plain: bool) -> None:
    """Of all tokens, also of one that was revoked; the label is in no item of the table."""
    priced.configure(IMAGE_PLAIN_END_USERS=plain)
    trust(priced, end_user_budget=TEN_CENTS)
    revoked = trust(priced, "revoked", end_user_budget={"usd": "1", "period": "total"})
    assert generate(priced, "planted-alice", role="revoked").status == 200
    assert statuses(priced, "planted-alice", "planted-alice") == [200, 429]
    priced.call("DELETE", f"{TOKENS}/{revoked}")
    label = end_users(priced)[0]

    done = priced.call("DELETE", "/api/v1/images/end-users/planted-alice").json

    assert (done["jobs"], done["budgets"], done["complete"]) == (2, 2, True)
    table = priced.gateway.settings.table
    assert label not in str(aws_client("dynamodb").scan(TableName=table)["Items"])
    assert statuses(priced, "planted-alice") == [200]


def test_jobs_under_way_are_settled_without_a_forgotten_budget(queue_deployment: "Deployment") -> None:
    """And give nothing to the new one of the same end user."""
    prices = {"prices": [{"model": "*", "usd_per_image": "0.10"}]}
    assert queue_deployment.call("PUT", "/api/v1/images/prices", prices).status == 200
    trust(queue_deployment, end_user_budget=TEN_CENTS)
    assert generate(queue_deployment, "alice").status == 303

    done = queue_deployment.call("DELETE", "/api/v1/images/end-users/alice").json
    assert generate(queue_deployment, "alice").status == 303
    queue_deployment.process_queue()

    assert (done["open_jobs"], done["budgets"]) == (1, 1)
    assert [job.status for job in queue_deployment.jobs()] == ["succeeded", "succeeded"]
    assert [bool(label) for label in end_users(queue_deployment)] == [False, True]
    assert generate(queue_deployment, "alice").status == 429


def test_the_deployment_gives_end_users_no_budget(priced: "Deployment") -> None:
    """It belongs to tokens."""
    refused = priced.call("PUT", "/api/v1/images/limits", {"end_user_budget": TEN_CENTS})

    assert (refused.status, refused.json["field"]) == (422, "end_user_budget")
    assert "end_user_budget" not in priced.call("GET", "/api/v1/images/limits").json
