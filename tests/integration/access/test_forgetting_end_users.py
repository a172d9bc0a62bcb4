"""Forgetting an end user everywhere."""

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from tests.aws_clients import aws_client
from tests.integration.access.end_users import USAGE, end_users, generate, label_of, trust

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

ALICE = "alice@planted.example"


@pytest.fixture
def front(openai_deployment: "Deployment") -> "Deployment":
    """A deployment with two trusted tokens, `front` and `another front`, on which an image costs ten cents."""
    prices = {"prices": [{"model": "*", "usd_per_image": "0.10"}]}
    assert openai_deployment.call("PUT", "/api/v1/images/prices", prices).status == 200
    trust(openai_deployment)
    trust(openai_deployment, "another front")
    return openai_deployment


def forget(deployment: "Deployment", end_user: str) -> dict[str, Any]:
    response = deployment.call("DELETE", f"/api/v1/images/end-users/{quote(end_user, safe='')}")
    assert response.status == 200, response.text
    done: dict[str, Any] = response.json
    return done


def rows(deployment: "Deployment", query: str = "group_by=end_user") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = deployment.call("GET", f"{USAGE}?{query}").json["rows"]
    return found


def everything(deployment: "Deployment") -> str:
    """Return all items of both tables, as text."""
    settings, dynamodb = deployment.gateway.settings, aws_client("dynamodb")
    return str([dynamodb.scan(TableName=table)["Items"] for table in (settings.table, settings.usage_table)])


def test_an_end_user_is_forgotten_everywhere(front: "Deployment") -> None:
    """In the jobs and the usage of all tokens. Others are not touched, and what it cost stays the tokens'."""
    label = label_of(front, ALICE)
    generate(front, ALICE, role="another front")
    bob = label_of(front, "bob")
    cost = rows(front, "group_by=token")

    done = forget(front, ALICE)

    assert done == {"end_user": label, "jobs": 2, "open_jobs": 0, "usage": 2, "budgets": 0, "complete": True}
    assert label not in everything(front)
    assert end_users(front) == ["", "", bob]
    assert [row["end_user"] for row in rows(front)] == [bob]
    assert rows(front, "group_by=token") == cost
    assert front.call("GET", f"/api/v1/images/jobs?end_user={label}").json["jobs"] == []


def test_forgetting_twice_does_nothing_more(front: "Deployment") -> None:
    """Neither does forgetting somebody who was never there."""
    label = label_of(front, ALICE)

    first, second, never = forget(front, label), forget(front, label), forget(front, "never there")

    assert (first["end_user"], first["jobs"], first["usage"]) == (label, 1, 1)
    nothing = {"jobs": 0, "open_jobs": 0, "usage": 0, "budgets": 0, "complete": True}
    assert second == {"end_user": label, **nothing}
    assert {**never, "end_user": ""} == {"end_user": "", **nothing}


def test_jobs_that_are_under_way_lose_the_label_at_their_end(queue_deployment: "Deployment") -> None:
    """Whoever writes their end. The next job of the same end user has the label again: it came back."""
    front = queue_deployment
    trust(front)
    assert generate(front, ALICE).status == 303
    label = front.jobs()[0].end_user

    done = forget(front, label)
    assert generate(front, ALICE).status == 303
    front.process_queue()

    assert (done["jobs"], done["open_jobs"], done["complete"]) == (0, 1, True)
    assert end_users(front) == ["", label]
    assert [(row["end_user"], row["requests"]) for row in rows(front)] == [(label, 1)]
    assert [row["requests"] for row in rows(front, "")] == [2]


def test_plain_ids_are_forgotten_too(front: "Deployment") -> None:
    """Also those from before the configuration was changed, and those with a slash."""
    user = "ad/alice 100%#?"
    generate(front, user)
    front.configure(IMAGE_PLAIN_END_USERS=True)
    generate(front, user)
    assert user in everything(front)

    done = forget(front, user)

    assert (done["end_user"], done["jobs"], done["usage"]) == (user, 2, 2)
    assert user not in everything(front)
    assert end_users(front) == ["", ""]


def test_usage_of_an_end_user_can_be_read(front: "Deployment") -> None:
    """By its label or its id, by day and token. A user's token sees its own."""
    label = label_of(front, ALICE)
    generate(front, ALICE, role="another front")
    generate(front, "bob")

    by_token = rows(front, f"end_user={label}&group_by=token,day")
    own = front.call("GET", f"{USAGE}?end_user={ALICE}", role="front").json["rows"]

    assert sorted(row["token_name"] for row in by_token) == ["another front", "front"]
    assert {row["usd"] for row in by_token} == {"0.100000"}
    assert [(row["requests"], row["usd"]) for row in own] == [(1, "0.100000")]
    assert sorted(row["requests"] for row in rows(front, "group_by=end_user,token,day")) == [1, 1, 1]


@pytest.mark.parametrize("query", ["end_user=alice&group_by=model", "group_by=end_user,connection"])
def test_usage_of_end_users_is_not_known_by_model(front: "Deployment", query: str) -> None:
    """The error names the parameter."""
    refused = front.call("GET", f"{USAGE}?{query}")

    assert (refused.status, refused.json["field"]) == (422, "group_by")


@pytest.mark.parametrize("path", ["", "%20", "x" * 513])
def test_nobody_cannot_be_forgotten(front: "Deployment", path: str) -> None:
    """A path that names no end user is refused."""
    assert front.call("DELETE", f"/api/v1/images/end-users/{path}").status in (404, 422)
