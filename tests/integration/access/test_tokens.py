"""Tokens through the routes: created, listed, used and revoked."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from functions.config.app import app as config_app
from image_gateway.access.principals import Role
from image_gateway.event_loop import run

if TYPE_CHECKING:
    from tests.integration.deployment import ApiResponse, Deployment

TOKENS = "/api/v1/images/tokens"
MODELS = "/api/v1/images/models"


def create(deployment: "Deployment", **fields: Any) -> "ApiResponse":
    return deployment.call("POST", TOKENS, {"name": "ci", "role": "user", **fields})


def listed_tokens(deployment: "Deployment") -> dict[str, Any]:
    """Return the listed tokens by name."""
    return {token["name"]: token for token in deployment.call("GET", f"{TOKENS}?limit=100").json["tokens"]}


def test_a_new_token_works_immediately(deployment: "Deployment") -> None:
    """The response holds the secret and must not be cached; the token is subject to each route's rule."""
    response = create(deployment)
    deployment.tokens["new"] = response.json["token"]

    assert response.status == 201
    assert response.headers["cache-control"] == "no-store"
    assert deployment.call("GET", "/api/v1/images/jobs", role="new").status == 200
    assert deployment.call("GET", TOKENS, role="new").status == 403


def test_the_list_contains_no_secret(deployment: "Deployment") -> None:
    """Each token is listed with the fields of its request, without its secret and without a hash of it."""
    created = create(deployment, name="  the newsroom ", engines=["openai", "openai"], models=["b", "a"]).json

    response = deployment.call("GET", f"{TOKENS}?limit=100")

    found = listed_tokens(deployment)["the newsroom"]
    assert found == {name: value for name, value in created.items() if name != "token"}
    assert (found["engines"], found["models"], found["expires_at"]) == (["openai"], ["a", "b"], None)
    assert not [secret for secret in (created["token"], *deployment.tokens.values()) if secret in response.text]
    assert set(found) == {
        *("id", "name", "role", "created_at", "expires_at", "last_used_at"),
        *("engines", "models", "connections", "routes", "forwards_users"),
        *("budget", "requests_per_minute", "max_jobs", "end_user_budget", "remaining_usd", "open_jobs"),
    }


def test_the_list_is_paginated(deployment: "Deployment") -> None:
    """Tokens are listed newest first; the last page has no cursor."""
    create(deployment, name="newest")
    first = deployment.call("GET", f"{TOKENS}?limit=3").json
    rest = deployment.call("GET", f"{TOKENS}?limit=3&cursor={first['cursor']}").json

    names = [token["name"] for token in (*first["tokens"], *rest["tokens"])]
    assert names[0] == "newest"
    assert sorted(names) == ["another user", "newest", "the admin", "the user"]
    assert rest["cursor"] is None


def test_the_list_shows_the_last_use(deployment: "Deployment") -> None:
    """`last_used_at` is null for a token that was never used."""
    listed_tokens(deployment)  # returns once its own use has been recorded
    used = listed_tokens(deployment)

    assert used["another user"]["last_used_at"] is None
    assert datetime.now(UTC) - datetime.fromisoformat(used["the admin"]["last_used_at"]) < timedelta(minutes=5)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": " \t"}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "two\nlines"}, "name"),
        ({"name": "\0"}, "name"),
        ({"name": None}, "name"),
        ({"role": "root"}, "role"),
        ({"role": None}, "role"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "2099-01-01T00:00:00"}, "expires_at"),
        ({"expires_at": "2099-01-01"}, "expires_at"),
        ({"expires_at": 4_000_000_000}, "expires_at"),
        ({"expires_at": "4000000000"}, "expires_at"),
        ({"expires_at": "9999-12-31T23:59:59-12:00"}, "expires_at"),
        ({"expires_at": "2099-02-30T00:00:00Z"}, "expires_at"),
        ({"engines": []}, "engines"),
        ({"engines": ["dalle"]}, "engines.0"),
        ({"engines": "openai"}, "engines"),
        ({"models": []}, "models"),
        ({"models": [""]}, "models.0"),
        ({"models": ["x" * 257]}, "models.0"),
        ({"models": [str(number) for number in range(101)]}, "models"),
        ({"connections": []}, "connections"),
        ({"connections": ["Not a name"]}, "connections.0"),
        ({"routes": []}, "routes"),
        ({"routes": ["a/b"]}, "routes.0"),
        ({"token": "igw_mine"}, "token"),
    ],
)
def test_an_invalid_field_is_named(deployment: "Deployment", fields: dict[str, Any], field: str) -> None:
    """The error names the field, and no token is created."""
    response = create(deployment, **fields)

    assert (response.status, response.json["code"], response.json["field"]) == (422, "invalid_request", field)
    assert len(listed_tokens(deployment)) == 3


def test_an_expiry_is_stored_in_utc(deployment: "Deployment") -> None:
    """A time with another offset is converted, without fractions of a second."""
    created = create(deployment, expires_at="2099-01-31T12:00:00.75+02:00").json

    assert created["expires_at"] == "2099-01-31T10:00:00Z"


def test_a_revoked_token_is_refused(deployment: "Deployment") -> None:
    """Revoking returns 204 without a body; revoking again is a 404."""
    created = create(deployment).json
    deployment.tokens["new"] = created["token"]

    response = deployment.call("DELETE", f"{TOKENS}/{created['id']}")

    assert (response.status, response.text) == (204, "")
    assert deployment.call("GET", "/api/v1/images/jobs", role="new").status == 401
    assert "ci" not in listed_tokens(deployment)
    assert deployment.call("DELETE", f"{TOKENS}/{created['id']}").status == 404


@pytest.mark.parametrize(
    "token_id", ["nothing", "00000000-0000-7000-8000-000000000000", "%0A", "x" * 2000, "%F0%9F%8E%A8"]
)
def test_revoking_an_unknown_token_is_a_404(deployment: "Deployment", token_id: str) -> None:
    """An id that no token has is not found, whatever its form."""
    response = deployment.call("DELETE", f"{TOKENS}/{token_id}")

    assert (response.status, response.json["code"]) == (404, "not_found")


def test_the_last_admin_token_cannot_be_revoked(deployment: "Deployment") -> None:
    """The 409 says how to proceed: once there is another admin token, revoking succeeds."""
    own = listed_tokens(deployment)["the admin"]["id"]
    refused = deployment.call("DELETE", f"{TOKENS}/{own}")
    assert (refused.status, refused.json["code"]) == (409, "conflict")
    assert "POST /api/v1/images/tokens" in refused.json["detail"]

    deployment.tokens["next"] = create(deployment, name="next", role="admin").json["token"]

    assert deployment.call("DELETE", f"{TOKENS}/{own}").status == 204
    assert deployment.call("GET", TOKENS, role="next").status == 200


@pytest.mark.parametrize("cursor", ["x", "", "%00", "00000000-0000-7000-8000-00000000000g"])
def test_an_invalid_cursor_is_refused(deployment: "Deployment", cursor: str) -> None:
    """Only a cursor of an earlier page is accepted."""
    response = deployment.call("GET", f"{TOKENS}?cursor={cursor}")

    assert (response.status, response.json["field"]) == (422, "cursor")


def test_the_model_list_is_limited_to_the_token(openai_deployment: "Deployment") -> None:
    """A token limited to models sees only these; one limited to another engine gets 403, whatever its role."""
    everything = [model["id"] for model in openai_deployment.call("GET", MODELS).json]
    assert len(everything) > 1
    openai_deployment.tokens["one"] = openai_deployment.token("one", models={everything[1], "elsewhere"})
    openai_deployment.tokens["other"] = openai_deployment.token("other", Role.ADMIN, engines={"comfyui", "gemini"})
    openai_deployment.tokens["same"] = openai_deployment.token("same", engines={"openai"})

    refused = openai_deployment.call("GET", MODELS, role="other")

    assert [model["id"] for model in openai_deployment.call("GET", MODELS, role="one").json] == [everything[1]]
    assert [model["id"] for model in openai_deployment.call("GET", MODELS, role="same").json] == everything
    assert (refused.status, refused.json["code"]) == (403, "forbidden")
    assert "openai" in refused.json["detail"]


def test_connections_and_routes_of_a_token_are_listed(deployment: "Deployment") -> None:
    """A token for one route has no limit of engines in the list."""
    create(deployment, name="the newsroom", routes=["poster"], connections=["gpu-1", "azure-eu"])

    found = listed_tokens(deployment)["the newsroom"]

    assert (found["routes"], found["connections"], found["engines"]) == (["poster"], ["azure-eu", "gpu-1"], None)


def test_parallel_creation_and_revocation_leave_a_consistent_list(deployment: "Deployment") -> None:
    """Fifty requests create tokens while fifty others revoke some."""
    old = [create(deployment, name=f"old {number}").json for number in range(50)]
    deployment.activate()

    async def send_all() -> list[httpx.Response]:
        transport = httpx.ASGITransport(config_app)
        headers = {"Authorization": f"Bearer {deployment.tokens['admin']}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as client:
            forms = [{"name": f"new {number}", "role": ("user", "admin")[number % 2]} for number in range(50)]
            return await asyncio.gather(
                *(client.post(TOKENS, json=form) for form in forms),
                *(client.delete(f"{TOKENS}/{token['id']}") for token in old),
            )

    responses = run(send_all())

    assert [response.status_code for response in responses] == [201] * 50 + [204] * 50
    created = {response.json()["name"]: response.json()["id"] for response in responses[:50]}
    kept = {name: token["id"] for name, token in listed_tokens(deployment).items() if name[:3] in ("new", "old")}
    assert kept == created


def test_json_is_read_without_a_content_type(deployment: "Deployment") -> None:
    """On every route with a body, not only on those for images."""
    body = b'{"name": "a guest", "role": "user"}'

    assert deployment.call("POST", TOKENS, raw=body, headers={}).status == 201
