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


def listed(deployment: "Deployment") -> dict[str, Any]:
    """The tokens of the list, by name."""
    return {token["name"]: token for token in deployment.call("GET", f"{TOKENS}?limit=100").json["tokens"]}


def test_a_new_token_works_at_once(deployment: "Deployment") -> None:
    """The secret is in the answer, which nobody may keep; the route's rules hold for it."""
    response = create(deployment)
    deployment.tokens["new"] = response.json["token"]

    assert response.status == 201
    assert response.headers["cache-control"] == "no-store"
    assert deployment.call("GET", "/api/v1/images/jobs", role="new").status == 200
    assert deployment.call("GET", TOKENS, role="new").status == 403


def test_the_list_has_no_secret(deployment: "Deployment") -> None:
    """Each token is listed with what was asked for, and neither its secret nor a hash of it."""
    made = create(deployment, name="  the newsroom ", engines=["openai", "openai"], models=["b", "a"]).json

    response = deployment.call("GET", f"{TOKENS}?limit=100")

    found = listed(deployment)["the newsroom"]
    assert found == {name: value for name, value in made.items() if name != "token"}
    assert (found["engines"], found["models"], found["expires_at"]) == (["openai"], ["a", "b"], None)
    assert not [secret for secret in (made["token"], *deployment.tokens.values()) if secret in response.text]
    assert set(found) == {
        *("id", "name", "role", "created_at", "expires_at", "last_used_at", "engines", "models"),
    }


def test_the_list_has_pages(deployment: "Deployment") -> None:
    """The newest first, until there is no cursor."""
    create(deployment, name="newest")
    first = deployment.call("GET", f"{TOKENS}?limit=3").json
    rest = deployment.call("GET", f"{TOKENS}?limit=3&cursor={first['cursor']}").json

    names = [token["name"] for token in (*first["tokens"], *rest["tokens"])]
    assert names[0] == "newest"
    assert sorted(names) == ["another user", "newest", "the admin", "the user"]
    assert rest["cursor"] is None


def test_the_list_tells_of_the_last_use(deployment: "Deployment") -> None:
    """A token that was never used has no time of it."""
    listed(deployment)  # which has ended once its own use is recorded
    used = listed(deployment)

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
        ({"token": "igw_mine"}, "token"),
    ],
)
def test_what_does_not_validate_is_named(deployment: "Deployment", fields: dict[str, Any], field: str) -> None:
    """The answer says which field is wrong, and no token is made."""
    response = create(deployment, **fields)

    assert (response.status, response.json["code"], response.json["field"]) == (422, "invalid_request", field)
    assert len(listed(deployment)) == 3


def test_an_expiry_is_kept_in_utc(deployment: "Deployment") -> None:
    """A time of another zone is the same moment."""
    made = create(deployment, expires_at="2099-01-31T12:00:00.75+02:00").json

    assert made["expires_at"] == "2099-01-31T10:00:00Z"


def test_a_revoked_token_is_refused(deployment: "Deployment") -> None:
    """The answer is empty; a second time there is nothing to revoke."""
    made = create(deployment).json
    deployment.tokens["new"] = made["token"]

    response = deployment.call("DELETE", f"{TOKENS}/{made['id']}")

    assert (response.status, response.text) == (204, "")
    assert deployment.call("GET", "/api/v1/images/jobs", role="new").status == 401
    assert "ci" not in listed(deployment)
    assert deployment.call("DELETE", f"{TOKENS}/{made['id']}").status == 404


@pytest.mark.parametrize(
    "token_id", ["nothing", "00000000-0000-7000-8000-000000000000", "%0A", "x" * 2000, "%F0%9F%8E%A8"]
)
def test_no_such_token(deployment: "Deployment", token_id: str) -> None:
    """What is not there is 404, whatever it looks like."""
    response = deployment.call("DELETE", f"{TOKENS}/{token_id}")

    assert (response.status, response.json["code"]) == (404, "not_found")


def test_the_last_admin_cannot_lock_everybody_out(deployment: "Deployment") -> None:
    """A 409 that names the way out, after which it works."""
    own = listed(deployment)["the admin"]["id"]
    refused = deployment.call("DELETE", f"{TOKENS}/{own}")
    assert (refused.status, refused.json["code"]) == (409, "conflict")
    assert "POST /api/v1/images/tokens" in refused.json["detail"]

    deployment.tokens["next"] = create(deployment, name="next", role="admin").json["token"]

    assert deployment.call("DELETE", f"{TOKENS}/{own}").status == 204
    assert deployment.call("GET", TOKENS, role="next").status == 200


@pytest.mark.parametrize("cursor", ["x", "", "%00", "00000000-0000-7000-8000-00000000000g"])
def test_a_cursor_is_one_that_was_answered(deployment: "Deployment", cursor: str) -> None:
    """Anything else is the caller's mistake."""
    response = deployment.call("GET", f"{TOKENS}?cursor={cursor}")

    assert (response.status, response.json["field"]) == (422, "cursor")


def test_models_are_those_that_the_token_may_use(openai_deployment: "Deployment") -> None:
    """A token for some models is shown these; one for another engine nothing, whatever its role."""
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


def test_parallel_requests_leave_a_consistent_list(deployment: "Deployment") -> None:
    """Fifty requests that make tokens and fifty that revoke some, all under way at once."""
    old = [create(deployment, name=f"old {number}").json for number in range(50)]
    deployment.take_over()

    async def at_once() -> list[httpx.Response]:
        transport = httpx.ASGITransport(config_app)
        headers = {"Authorization": f"Bearer {deployment.tokens['admin']}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as client:
            forms = [{"name": f"new {number}", "role": ("user", "admin")[number % 2]} for number in range(50)]
            return await asyncio.gather(
                *(client.post(TOKENS, json=form) for form in forms),
                *(client.delete(f"{TOKENS}/{token['id']}") for token in old),
            )

    responses = run(at_once())

    assert [response.status_code for response in responses] == [201] * 50 + [204] * 50
    made = {response.json()["name"]: response.json()["id"] for response in responses[:50]}
    kept = {name: token["id"] for name, token in listed(deployment).items() if name[:3] in ("new", "old")}
    assert kept == made
