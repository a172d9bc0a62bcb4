"""Where a token is accepted: in one well-formed `Authorization` header, and nowhere else."""

from typing import TYPE_CHECKING

import httpx
import pytest

from functions.config.app import app as config_app

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp

    from tests.integration.deployment import ApiResponse, Deployment


NOBODY, NO_TOKEN, LOW, IN = '401 Bearer error="invalid_token"', "401 Bearer", "403", "let in"


def outcome(response: "ApiResponse") -> str:
    """How an answer reads in the table; refusals have the shape of their channel."""
    if response.status not in (401, 403):
        return IN
    code = response.json["error"]["code"] if "error" in response.json else response.json["code"]
    assert code == {401: "unauthorized", 403: "forbidden"}[response.status]
    return f"{response.status} {response.headers.get('www-authenticate', '')}".strip()


CONFIG = "/api/v1/images/config"


@pytest.mark.parametrize(
    "header",
    ["Bearer {token}", "bearer {token}", "BEARER {token}", "bEaReR   {token}  "],
)
def test_a_well_formed_header_opens(deployment: "Deployment", header: str) -> None:
    """The scheme may have any case, and more than one space after it (RFC 9110, sections 11.1 and 11.4)."""
    value = header.replace("{token}", deployment.tokens["admin"])

    assert deployment.call("GET", CONFIG, role=None, headers={"Authorization": value}).status == 200


@pytest.mark.parametrize(
    ("header", "outcome"),
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
        ("Bearer \t{token}", NOBODY),
        ("Bearer {token}\t", NOBODY),
        ("Bearer {token} {token}", NOBODY),
        ("Bearer {token},Bearer {token}", NOBODY),
        ("Bearer {token}, Bearer {token}", NOBODY),
        ("Bearer Bearer {token}", NOBODY),
        ("Bearer " + "x" * 100_000, NOBODY),
        ("Bearer {token}" + " " * 100_000 + "x", NOBODY),
        ("Bearer {token}\0", NOBODY),
        ("Bearer {token}\n", NOBODY),
        ("Bearer {token}\r\nX-Other: 1", NOBODY),
        ("Bearer igw_\u00fc", NOBODY),
        ("Bearer {token}\u200b", NOBODY),
        ("Bearer \U0001f511", NOBODY),
    ],
)
def test_tricks_with_the_header_lead_nowhere(deployment: "Deployment", header: str, outcome: str) -> None:
    """They are a 401 that repeats nothing of what was sent, and the table is not even asked."""
    token = deployment.tokens["admin"]
    deployment.redeploy(table="no-such-table")
    value = header.replace("{token}", token)

    response = deployment.call("GET", CONFIG, role=None, headers={"Authorization": value})

    assert f"{response.status} {response.headers['www-authenticate']}" == outcome
    assert token not in response.text
    assert len(response.text) < 500


def test_what_could_be_a_token_is_looked_up(deployment: "Deployment") -> None:
    """Without the table nobody is let in, and the answer says that it is not the token's fault."""
    deployment.redeploy(table="no-such-table")

    response = deployment.call("GET", CONFIG)

    assert (response.status, response.json["code"]) == (503, "storage_unavailable")


@pytest.mark.parametrize("second", ["Bearer {token}", "Bearer other", "Basic abc", ""])
def test_two_headers_do_not_open(deployment: "Deployment", serve: "Callable[[ASGIApp], str]", second: str) -> None:
    """A server that passes both on leaves no doubt about which one counts: none. API Gateway joins them by a comma."""
    deployment.take_over()
    url = serve(config_app) + CONFIG
    token = deployment.tokens["admin"]
    pair = [("Authorization", f"Bearer {token}"), ("Authorization", second.replace("{token}", token))]

    assert httpx.get(url, headers=pair[:1], trust_env=False).status_code == 200
    for headers in (pair, pair[::-1]):
        response = httpx.get(url, headers=headers, trust_env=False)
        assert f"{response.status_code} {response.headers['www-authenticate']}" == NOBODY


def test_a_token_elsewhere_does_not_open(deployment: "Deployment") -> None:
    """URLs and cookies end up in logs and other requests: a token there is not looked at."""
    token = deployment.tokens["admin"]

    responses = [
        deployment.call("GET", f"{CONFIG}?token={token}&access_token={token}", role=None),
        deployment.call("GET", CONFIG, role=None, headers={"Cookie": f"access_token={token}"}),
        deployment.call("GET", CONFIG, role=None, headers={"X-Api-Key": token}),
        deployment.call("GET", f"{CONFIG}?access_token={token}", role="garbage"),
    ]

    assert [outcome(response) for response in responses] == [NO_TOKEN, NO_TOKEN, NO_TOKEN, NOBODY]
    assert not [response for response in responses if token in response.text]
