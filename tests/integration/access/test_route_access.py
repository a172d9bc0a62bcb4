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
from tests.integration.access.outcomes import ALLOWED, FORBIDDEN, INVALID_TOKEN, NO_TOKEN, outcome
from tests.integration.sample_images import RED, encoded, text

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

APPS = (config_app, generate_app, edit_app, jobs_app)


@dataclass(frozen=True)
class Row:
    """Who may use a route, the expected outcome for each kind of credentials, and the request body to send."""

    rule: Access
    none: str = NO_TOKEN
    garbage: str = INVALID_TOKEN
    expired: str = INVALID_TOKEN
    revoked: str = INVALID_TOKEN
    user: str = ALLOWED
    admin: str = ALLOWED
    limited: str = ALLOWED
    body: Any = None

    @property
    def outcomes(self) -> dict[str, str]:
        """The expected outcome for each kind of credentials."""
        return {name: getattr(self, name) for name in CREDENTIALS}


CREDENTIALS = ("none", "garbage", "expired", "revoked", "user", "admin", "limited")
"""`limited` is a user's token for an engine other than the configured one."""


PUBLIC = Row(Access.PUBLIC, none=ALLOWED, garbage=ALLOWED, expired=ALLOWED, revoked=ALLOWED)
ADMIN = Row(Access.ADMIN, user=FORBIDDEN, limited=FORBIDDEN)
USER = Row(Access.USER)
ENGINE = Row(Access.USER, limited=FORBIDDEN)
GENERATE = Row(Access.USER, limited=FORBIDDEN, body={"prompt": "a heron"})
EDIT = Row(Access.USER, limited=FORBIDDEN, body={"prompt": "a hat", "image": text(encoded(RED))})

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

TABLE = {
    ("GET", "/api/v1/images/config"): ADMIN,
    ("POST", "/api/v1/images/config/update"): ADMIN,
    ("POST", "/api/v1/images/verify"): ADMIN,
    ("GET", "/api/v1/images/workflows"): ADMIN,
    ("GET", "/api/v1/images/workflows/{name}"): ADMIN,
    ("PUT", "/api/v1/images/workflows/{name}"): ADMIN,
    ("DELETE", "/api/v1/images/workflows/{name}"): ADMIN,
    ("POST", "/api/v1/images/workflows/inspect"): ADMIN,
    ("POST", "/api/v1/images/workflows/{name}/try"): ADMIN,
    ("GET", "/api/v1/images/config/url/verify"): ADMIN,
    ("GET", "/api/v1/images/account"): USER,
    ("GET", "/api/v1/images/prices"): ADMIN,
    ("PUT", "/api/v1/images/prices"): ADMIN,
    ("GET", "/api/v1/images/limits"): ADMIN,
    ("PUT", "/api/v1/images/limits"): ADMIN,
    ("GET", "/api/v1/images/usage"): USER,
    ("DELETE", "/api/v1/images/end-users/{id:path}"): ADMIN,
    ("GET", "/api/v1/images/health"): ADMIN,
    ("GET", "/api/v1/images/tokens"): ADMIN,
    ("POST", "/api/v1/images/tokens"): ADMIN,
    ("DELETE", "/api/v1/images/tokens/{id}"): ADMIN,
    ("PATCH", "/api/v1/images/tokens/{id}"): ADMIN,
    ("GET", "/api/v1/images/connections"): ADMIN,
    ("GET", "/api/v1/images/connections/{name}"): ADMIN,
    ("PUT", "/api/v1/images/connections/{name}"): ADMIN,
    ("DELETE", "/api/v1/images/connections/{name}"): ADMIN,
    ("POST", "/api/v1/images/connections/{name}/verify"): ADMIN,
    ("GET", "/api/v1/images/connections/{name}/models"): ADMIN,
    ("GET", "/api/v1/images/routes"): ADMIN,
    ("GET", "/api/v1/images/routes/{name}"): ADMIN,
    ("PUT", "/api/v1/images/routes/{name}"): ADMIN,
    ("DELETE", "/api/v1/images/routes/{name}"): ADMIN,
    ("GET", "/api/v1/images/models"): ENGINE,
    ("POST", "/api/v1/images/generations"): GENERATE,
    ("POST", "/api/v1/images/edit"): EDIT,
    ("POST", "/api/v1/images/uploads"): USER,
    ("GET", "/api/v1/images/jobs"): USER,
    ("GET", "/api/v1/images/jobs/{id}"): USER,
    ("GET", "/api/v1/images/jobs/{id}/result"): USER,
    ("DELETE", "/api/v1/images/jobs/{id}"): USER,
    ("GET", "/api/v1/images/{id}"): USER,
    ("GET", "/api/v1/images/{id}/download"): USER,
    ("POST", "/v1/images/generations"): GENERATE,
    ("POST", "/v1/images/edits"): EDIT,
    ("GET", "/v1/images/jobs/{id}/result"): USER,
    ("GET", "/v1/models"): USER,
    ("GET", "/v1/models/{id:path}"): USER,
    ("GET", "/health"): PUBLIC,
    ("GET", "/openapi.json"): PUBLIC,
    ("GET", "/docs"): PUBLIC,
    ("GET", "/docs/{name}"): PUBLIC,
    # Not a route of the API: it says so in the format of the OpenAI API.
    **{(method, "/v1/{path:path}"): PUBLIC for method in METHODS},
}


def declared_rules() -> dict[tuple[str, str], Access]:
    """Return the routes of all functions, with the rules that they declare."""
    return {
        (method, route.path): route.rule
        for app in APPS
        for route in app.routes
        if isinstance(route, GuardedRoute)
        for method in route.methods or ()
    }


def test_the_table_lists_every_route() -> None:
    """A new route must be added to the table with its rule; every route declares a rule."""
    assert declared_rules() == {route: row.rule for route, row in TABLE.items()}
    assert all(isinstance(route, GuardedRoute) for app in APPS for route in app.routes)


@pytest.fixture
def credentials(openai_deployment: "Deployment") -> "Deployment":
    """A deployment that generates and edits, with a token of each kind."""
    openai_deployment.enable_edits()
    revoked = run(openai_deployment.gateway.config_parts.token_registry.create("revoked", Role.ADMIN))
    run(openai_deployment.gateway.config_parts.token_registry.delete(revoked.id))
    openai_deployment.tokens |= {
        "expired": openai_deployment.token("expired", Role.ADMIN, expires_at=datetime.now(UTC) - timedelta(seconds=1)),
        "revoked": revoked.token,
        "limited": openai_deployment.token("limited", engines={"comfyui"}),
    }
    return openai_deployment


@pytest.mark.parametrize("route", TABLE, ids=" ".join)
def test_a_route_allows_the_credentials_of_the_table(credentials: "Deployment", route: tuple[str, str]) -> None:
    """Every kind of credentials has the outcome of the table; no response is a 5xx or may be cached."""
    method, path = route
    row = TABLE[route]
    raw = b"{" if method == "POST" and row.body is None else None

    responses = {
        name: credentials.call(method, path, row.body, raw=raw, role=None if name == "none" else name)
        for name in CREDENTIALS
    }

    assert {name: outcome(response) for name, response in responses.items()} == row.outcomes
    assert not [name for name, response in responses.items() if response.status >= 500]
    if row.rule is not Access.PUBLIC:
        assert {response.headers["cache-control"] for response in responses.values()} == {"no-store"}


def test_engine_and_model_limits_do_not_restrict_administration(deployment: "Deployment") -> None:
    """An administrator's token that is limited to one engine may still read and change everything else."""
    deployment.tokens["limited"] = deployment.token("limited", Role.ADMIN, engines={"comfyui"}, models={"x"})

    assert deployment.call("GET", "/api/v1/images/config", role="limited").status == 200
    assert deployment.call("GET", "/api/v1/images/tokens", role="limited").status == 200


def test_jobs_of_a_revoked_token_remain_for_administrators(openai_deployment: "Deployment") -> None:
    """Administrators can list the jobs of a token that has been revoked."""
    created = run(openai_deployment.gateway.config_parts.token_registry.create("gone", Role.USER))
    openai_deployment.tokens["gone"] = created.token
    assert (
        openai_deployment.call("POST", "/api/v1/images/generations", {"prompt": "a heron"}, role="gone").status == 200
    )

    openai_deployment.call("DELETE", f"/api/v1/images/tokens/{created.id}")

    (job,) = openai_deployment.call("GET", f"/api/v1/images/jobs?owner=token:{created.id}").json["jobs"]
    assert job["owner"] == f"token:{created.id}"


def test_a_route_without_a_rule_is_an_import_error() -> None:
    """A missing rule is an error when the function is imported."""
    app = create_app()

    with pytest.raises(TypeError, match="who may use it"):

        @app.get("/open")
        async def without_rule() -> None:
            """Have no rule."""


def test_a_route_with_a_rule_is_accepted() -> None:
    """A route needs nothing but its rule."""
    app = create_app()

    @app.get("/closed")
    @access(Access.ADMIN)
    async def closed() -> None:
        """Have a rule."""

    assert [route.rule for route in app.routes if isinstance(route, GuardedRoute)] == [Access.ADMIN]


def test_a_router_that_checks_no_rules_is_an_import_error() -> None:
    """A route that does not check its rule is an error when the function is imported, however it was added."""
    router = APIRouter()

    @router.get("/open")
    @access(Access.ADMIN)
    async def unchecked() -> None:
        """Have a rule that nothing checks."""

    with pytest.raises(TypeError, match="GuardedRoute"):
        lambda_handler(create_app(router))
    app = create_app()
    app.include_router(router)
    with pytest.raises(TypeError, match="GuardedRoute"):
        lambda_handler(app)
