"""Every route with every kind of credentials."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import APIRouter

from functions.config.app import app as config_app
from functions.edit.app import app as edit_app
from functions.generate.app import app as generate_app
from functions.jobs.app import app as jobs_app
from image_gateway.access.principals import Role
from image_gateway.api import Access, access, create_app, lambda_handler
from image_gateway.api.routing import GuardedRoute
from image_gateway.event_loop import run
from tests.integration.sample_images import RED, encoded, text

if TYPE_CHECKING:
    from tests.integration.deployment import ApiResponse, Deployment


APPS = (config_app, generate_app, edit_app, jobs_app)


NOBODY, NO_TOKEN, LOW, IN = '401 Bearer error="invalid_token"', "401 Bearer", "403", "let in"


@dataclass(frozen=True)
class Row:
    """Who may use a route, what each kind of credentials is answered there, and the body to send."""

    rule: Access
    none: str = NO_TOKEN
    garbage: str = NOBODY
    expired: str = NOBODY
    revoked: str = NOBODY
    user: str = IN
    admin: str = IN
    limited: str = IN
    body: Any = None

    @property
    def responses(self) -> dict[str, str]:
        """What each kind of credentials is answered."""
        return {name: getattr(self, name) for name in CREDENTIALS}


CREDENTIALS = ("none", "garbage", "expired", "revoked", "user", "admin", "limited")
"""The last one is a user's token for another engine than the configured one."""


PUBLIC = Row(Access.PUBLIC, none=IN, garbage=IN, expired=IN, revoked=IN)


ADMIN = Row(Access.ADMIN, user=LOW, limited=LOW)


USER = Row(Access.USER)


ENGINE = Row(Access.USER, limited=LOW)


MAKE = Row(Access.USER, limited=LOW, body={"prompt": "a heron"})


EDIT = Row(Access.USER, limited=LOW, body={"prompt": "a hat", "image": text(encoded(RED))})


TABLE = {
    ("GET", "/api/v1/images/config"): ADMIN,
    ("POST", "/api/v1/images/config/update"): ADMIN,
    ("POST", "/api/v1/images/verify"): ADMIN,
    ("GET", "/api/v1/images/config/url/verify"): ADMIN,
    ("GET", "/api/v1/images/tokens"): ADMIN,
    ("POST", "/api/v1/images/tokens"): ADMIN,
    ("DELETE", "/api/v1/images/tokens/{id}"): ADMIN,
    ("GET", "/api/v1/images/models"): ENGINE,
    ("POST", "/api/v1/images/generations"): MAKE,
    ("POST", "/api/v1/images/edit"): EDIT,
    ("POST", "/api/v1/images/uploads"): USER,
    ("GET", "/api/v1/images/jobs"): USER,
    ("GET", "/api/v1/images/jobs/{id}"): USER,
    ("GET", "/api/v1/images/jobs/{id}/result"): USER,
    ("DELETE", "/api/v1/images/jobs/{id}"): USER,
    ("GET", "/api/v1/images/{id}"): USER,
    ("POST", "/v1/images/generations"): MAKE,
    ("POST", "/v1/images/edits"): EDIT,
    ("GET", "/v1/images/jobs/{id}/result"): USER,
    ("GET", "/v1/models"): USER,
    ("GET", "/v1/models/{id:path}"): USER,
    ("GET", "/health"): PUBLIC,
    ("GET", "/openapi.json"): PUBLIC,
    ("GET", "/docs"): PUBLIC,
    ("GET", "/docs/{name}"): PUBLIC,
}


def declared() -> dict[tuple[str, str], Access]:
    """The routes of all functions, with the rules they declare."""
    return {
        (method, route.path): route.rule
        for app in APPS
        for route in app.routes
        if isinstance(route, GuardedRoute)
        for method in route.methods or ()
    }


def test_the_table_lists_every_route_there_is() -> None:
    """A new route must be entered here with its rule, and no route is without one."""
    assert declared() == {route: row.rule for route, row in TABLE.items()}
    assert all(isinstance(route, GuardedRoute) for app in APPS for route in app.routes)


@pytest.fixture
def credentials(openai_deployment: "Deployment") -> "Deployment":
    """A deployment that generates and edits, with a token of each kind."""
    config = openai_deployment.call("GET", "/api/v1/images/config").json
    openai_deployment.configure(
        ENABLE_IMAGE_EDIT=True,
        IMAGE_EDIT_ENGINE="openai",
        IMAGE_EDIT_MODEL="gpt-image-2",
        IMAGES_EDIT_OPENAI_API_BASE_URL=config["IMAGES_OPENAI_API_BASE_URL"],
        IMAGES_EDIT_OPENAI_API_KEY="planted-engine-key",
    )
    revoked = run(openai_deployment.gateway.token_registry.create("revoked", Role.ADMIN))
    run(openai_deployment.gateway.token_registry.delete(revoked.id))
    openai_deployment.tokens |= {
        "expired": openai_deployment.token("expired", Role.ADMIN, expires_at=datetime.now(UTC) - timedelta(seconds=1)),
        "revoked": revoked.token,
        "limited": openai_deployment.token("limited", engines={"comfyui"}),
    }
    return openai_deployment


def outcome(response: "ApiResponse") -> str:
    """How an answer reads in the table; refusals have the shape of their channel."""
    if response.status not in (401, 403):
        return IN
    code = response.json["error"]["code"] if "error" in response.json else response.json["code"]
    assert code == {401: "unauthorized", 403: "forbidden"}[response.status]
    return f"{response.status} {response.headers.get('www-authenticate', '')}".strip()


@pytest.mark.parametrize("route", TABLE, ids=" ".join)
def test_a_route_lets_in_whom_it_should(credentials: "Deployment", route: tuple[str, str]) -> None:
    """Every kind of credentials is answered as the table says; no defect, and nothing for a cache to keep."""
    method, path = route
    row = TABLE[route]
    raw = b"{" if method == "POST" and row.body is None else None

    responses = {
        name: credentials.call(method, path, row.body, raw=raw, role=None if name == "none" else name)
        for name in CREDENTIALS
    }

    assert {name: outcome(response) for name, response in responses.items()} == row.responses
    assert not [name for name, response in responses.items() if response.status >= 500]
    if row.rule is not Access.PUBLIC:
        assert {response.headers["cache-control"] for response in responses.values()} == {"no-store"}


def test_limits_leave_administration_alone(deployment: "Deployment") -> None:
    """An administrator's token for one engine may still read and change everything else."""
    deployment.tokens["limited"] = deployment.token("limited", Role.ADMIN, engines={"comfyui"}, models={"x"})

    assert deployment.call("GET", "/api/v1/images/config", role="limited").status == 200
    assert deployment.call("GET", "/api/v1/images/tokens", role="limited").status == 200


def test_what_a_revoked_token_made_stays(openai_deployment: "Deployment") -> None:
    """Jobs of a token that is gone are there for administrators."""
    made = run(openai_deployment.gateway.token_registry.create("gone", Role.USER))
    openai_deployment.tokens["gone"] = made.token
    assert (
        openai_deployment.call("POST", "/api/v1/images/generations", {"prompt": "a heron"}, role="gone").status == 200
    )

    openai_deployment.call("DELETE", f"/api/v1/images/tokens/{made.id}")

    (job,) = openai_deployment.call("GET", f"/api/v1/images/jobs?owner=token:{made.id}").json["jobs"]
    assert job["owner"] == f"token:{made.id}"


def test_a_route_without_a_rule_cannot_be_made() -> None:
    """Forgetting the rule is an error when the function is imported."""
    app = create_app()

    with pytest.raises(TypeError, match="who may use it"):

        @app.get("/open")
        async def forgotten() -> None:
            """Has no rule."""


def test_a_route_with_a_rule_can_be_made() -> None:
    """The rule is all that is needed."""
    app = create_app()

    @app.get("/closed")
    @access(Access.ADMIN)
    async def closed() -> None:
        """Has a rule."""

    assert [route.rule for route in app.routes if isinstance(route, GuardedRoute)] == [Access.ADMIN]


def test_a_router_of_another_kind_is_refused() -> None:
    """A route that checks nothing is an error when the function is imported, whichever way it came in."""
    router = APIRouter()

    @router.get("/open")
    @access(Access.ADMIN)
    async def unchecked() -> None:
        """Has a rule that nothing looks at."""

    with pytest.raises(TypeError, match="GuardedRoute"):
        lambda_handler(create_app(router))
    app = create_app()
    app.include_router(router)
    with pytest.raises(TypeError, match="GuardedRoute"):
        lambda_handler(app)
