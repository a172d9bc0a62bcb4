"""Where a token is accepted: in one well-formed `Authorization` header, and nowhere else."""

from typing import TYPE_CHECKING

import pytest

from functions.config.app import app as config_app
from tests import web
from tests.integration.access.outcomes import INVALID_TOKEN, NO_TOKEN, outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp

    from tests.integration.deployment import Deployment

CONFIG = "/api/v1/images/config"


@pytest.mark.parametrize(
    "header",
    ["Bearer {token}", "bearer {token}", "BEARER {token}", "bEaReR   {token}  "],
)
def test_a_well_formed_header_is_accepted(deployment: "Deployment", header: str) -> None:
    """The scheme may have any case and be followed by several spaces (RFC 9110, sections 11.1 and 11.4)."""
    value = header.replace("{token}", deployment.tokens["admin"])

    assert deployment.call("GET", CONFIG, role=None, headers={"Authorization": value}).status == 200


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", NO_TOKEN),
        ("Bearer", NO_TOKEN),
        ("Bearer ", NO_TOKEN),
        ("Basic {token}", NO_TOKEN),
        ("{token}", NO_TOKEN),
        ("Bearer\t{token}", NO_TOKEN),
        ("Bearer\n{token}", NO_TOKEN),
        ("Bearer\u00a0{token}", NO_TOKEN),
        (" Bearer {token}", NO_TOKEN),
        ("\uff22earer {token}", NO_TOKEN),
        ("Bearer:{token}", NO_TOKEN),
        ("Bearer \t{token}", INVALID_TOKEN),
        ("Bearer {token}\t", INVALID_TOKEN),
        ("Bearer {token} {token}", INVALID_TOKEN),
        ("Bearer {token},Bearer {token}", INVALID_TOKEN),
        ("Bearer {token}, Bearer {token}", INVALID_TOKEN),
        ("Bearer Bearer {token}", INVALID_TOKEN),
        ("Bearer " + "x" * 100_000, INVALID_TOKEN),
        ("Bearer {token}" + " " * 100_000 + "x", INVALID_TOKEN),
        ("Bearer {token}\0", INVALID_TOKEN),
        ("Bearer {token}\n", INVALID_TOKEN),
        ("Bearer {token}\r\nX-Other: 1", INVALID_TOKEN),
        ("Bearer igw_\u00fc", INVALID_TOKEN),
        ("Bearer {token}\u200b", INVALID_TOKEN),
        ("Bearer \U0001f511", INVALID_TOKEN),
    ],
)
def test_a_malformed_header_is_refused(deployment: "Deployment", header: str, expected: str) -> None:
    """The response is a 401 that repeats nothing of the header, and the table is not read."""
    token = deployment.tokens["admin"]
    deployment.redeploy(table="no-such-table")
    value = header.replace("{token}", token)

    response = deployment.call("GET", CONFIG, role=None, headers={"Authorization": value})

    assert f"{response.status} {response.headers['www-authenticate']}" == expected
    assert token not in response.text
    assert len(response.text) < 500


def test_an_unreadable_token_table_is_a_503(deployment: "Deployment") -> None:
    """Without the table nobody is authorized, and the error does not blame the token."""
    deployment.redeploy(table="no-such-table")

    response = deployment.call("GET", CONFIG)

    assert (response.status, response.json["code"]) == (503, "storage_unavailable")


@pytest.mark.parametrize("second", ["Bearer {token}", "Bearer other", "Basic abc", ""])
def test_two_authorization_headers_are_refused(
    deployment: "Deployment", serve: "Callable[[ASGIApp], str]", second: str
) -> None:
    """A server that passes on both leaves open which one counts: neither does. API Gateway joins them with a comma."""
    deployment.activate()
    url = serve(config_app) + CONFIG
    token = deployment.tokens["admin"]
    pair = [("Authorization", f"Bearer {token}"), ("Authorization", second.replace("{token}", token))]

    assert web.get(url, headers=pair[:1], trust_env=False).status_code == 200
    for headers in (pair, pair[::-1]):
        response = web.get(url, headers=headers, trust_env=False)
        assert f"{response.status_code} {response.headers['www-authenticate']}" == INVALID_TOKEN


def test_a_token_in_the_query_a_cookie_or_another_header_is_ignored(deployment: "Deployment") -> None:
    """URLs and cookies end up in logs and in other requests, so that a token there is not read."""
    token = deployment.tokens["admin"]

    responses = [
        deployment.call("GET", f"{CONFIG}?token={token}&access_token={token}", role=None),
        deployment.call("GET", CONFIG, role=None, headers={"Cookie": f"access_token={token}"}),
        deployment.call("GET", CONFIG, role=None, headers={"X-Api-Key": token}),
        deployment.call("GET", f"{CONFIG}?access_token={token}", role="garbage"),
    ]

    assert [outcome(response) for response in responses] == [NO_TOKEN, NO_TOKEN, NO_TOKEN, INVALID_TOKEN]
    assert not [response for response in responses if token in response.text]
