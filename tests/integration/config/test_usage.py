"""Reports of usage over HTTP."""

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.polling import wait_until

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

USAGE = "/api/v1/images/usage"
PRICES = "/api/v1/images/prices"
GENERATIONS = "/api/v1/images/generations"


_LONGEST_TEST = timedelta(seconds=30)


@pytest.fixture
def today() -> date:
    """The day in UTC on which the whole test happens: if midnight is near, the test waits until it is over."""
    now = datetime.now(UTC)
    if (now + _LONGEST_TEST).date() != now.date():
        wait_until(lambda: datetime.now(UTC).date() != now.date())
    return datetime.now(UTC).date()


@pytest.fixture
def used(today: date, openai_deployment: "Deployment") -> "Deployment":
    """A deployment with an image of a user's and two of an administrator's, at 0.05 dollars each."""
    openai_deployment.call("PUT", PRICES, {"prices": [{"model": "*", "usd_per_image": "0.05"}]})
    assert openai_deployment.call("POST", GENERATIONS, {"prompt": "a fox"}, role="user").status == 200
    assert openai_deployment.call("POST", GENERATIONS, {"prompt": "a fox", "n": 2}, role="admin").status == 200
    return openai_deployment


def test_an_administrator_sees_all_usage_and_a_user_its_own(used: "Deployment", today: date) -> None:
    """As soon as the request is answered."""
    everything = used.call("GET", USAGE).json
    own = used.call("GET", USAGE, role="user").json

    assert everything["from"] == f"{today:%Y-%m-01}"
    assert everything["to"] == str(today)
    assert everything["rows"] == [
        {"requests": 2, "images": 3, "failures": 0, "usd": "0.150000", "uncertain_usd": "0.000000"}
    ]
    assert [(row["requests"], row["usd"]) for row in own["rows"]] == [(1, "0.050000")]


def test_usage_is_grouped_by_day_token_connection_and_model(used: "Deployment", today: date) -> None:
    """Tokens have their names."""
    rows = used.call("GET", f"{USAGE}?group_by=model,day,token").json["rows"]

    assert {row["day"] for row in rows} == {str(today)}
    assert sorted(row["images"] for row in rows) == [1, 2]
    assert all(row["token"] and row["token_name"] and row["model"] for row in rows)
    (connection,) = used.call("GET", f"{USAGE}?group_by=connection").json["rows"]
    assert connection["connection"] == "openai"


def test_csv_is_returned_where_it_is_accepted(used: "Deployment", today: date) -> None:
    """As a file with a name."""
    response = used.call("GET", f"{USAGE}?group_by=day", headers={"Accept": "text/csv"})

    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    assert f'-{today}.csv"' in response.headers["content-disposition"]
    assert response.text == (
        f"\ufeffday,requests,images,failures,usd,uncertain_usd\r\n{today},2,3,0,0.150000,0.000000\r\n"
    )


def test_other_days_have_no_usage(used: "Deployment", today: date) -> None:
    """The range includes both of its days."""
    yesterday = today - timedelta(days=1)

    assert used.call("GET", f"{USAGE}?from={yesterday}&to={yesterday}&group_by=day").json["rows"] == []
    assert len(used.call("GET", f"{USAGE}?from={yesterday}&to={today}&group_by=day").json["rows"]) == 1


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=yesterday", "from"),
        ("from=2026-13-01", "from"),
        ("from=2026-02-02&to=2026-02-01", "from"),
        ("from=1999-01-01", "from"),
        ("from=0001-01-01&to=9999-12-31", "from"),
        ("to=9999-12-31", "from"),
        ("group_by=color", "group_by"),
        ("group_by=end_user,model", "group_by"),
        ("since=2026-01-01", "since"),
    ],
)
def test_a_query_that_cannot_be_answered_is_refused(deployment: "Deployment", query: str, field: str) -> None:
    """The error names the parameter."""
    refused = deployment.call("GET", f"{USAGE}?{query}")

    assert refused.status == 422, refused.text
    assert field in refused.text
