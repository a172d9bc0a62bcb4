"""Every route with every kind of credentials."""

from typing import TYPE_CHECKING

import pytest

from functions.config.app import app as config_app
from functions.edit.app import app as edit_app
from functions.generate.app import app as generate_app
from functions.jobs.app import app as jobs_app
from image_gateway.http import Access, access, create_app
from image_gateway.http.routing import GuardedRoute

if TYPE_CHECKING:
    from tests.integration.conftest import Deployment

APPS = (config_app, generate_app, edit_app, jobs_app)
PUBLIC, USER, ADMIN = Access.PUBLIC, Access.USER, Access.ADMIN

RULES = {
    ("GET", "/api/v1/images/config"): ADMIN,
    ("POST", "/api/v1/images/config/update"): ADMIN,
    ("POST", "/api/v1/images/verify"): ADMIN,
    ("GET", "/api/v1/images/config/url/verify"): ADMIN,
    ("GET", "/api/v1/images/models"): USER,
    ("POST", "/api/v1/images/generations"): USER,
    ("POST", "/api/v1/images/edit"): USER,
    ("POST", "/api/v1/images/uploads"): USER,
    ("GET", "/api/v1/images/jobs"): USER,
    ("GET", "/api/v1/images/jobs/{id}"): USER,
    ("GET", "/api/v1/images/jobs/{id}/result"): USER,
    ("DELETE", "/api/v1/images/jobs/{id}"): USER,
    ("GET", "/api/v1/images/{id}"): USER,
    ("POST", "/v1/images/generations"): USER,
    ("POST", "/v1/images/edits"): USER,
    ("GET", "/v1/images/jobs/{id}/result"): USER,
    ("GET", "/v1/models"): USER,
    ("GET", "/v1/models/{id:path}"): USER,
    ("GET", "/api/v1/images/tokens"): ADMIN,
    ("POST", "/api/v1/images/tokens"): ADMIN,
    ("DELETE", "/api/v1/images/tokens/{id}"): ADMIN,
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
    assert declared() == RULES
    assert all(isinstance(route, GuardedRoute) for app in APPS for route in app.routes)


@pytest.mark.parametrize("route", RULES, ids=" ".join)
@pytest.mark.parametrize("role", [None, "garbage", "user", "admin"])
def test_a_route_lets_in_whom_it_should(deployment: "Deployment", route: tuple[str, str], role: str | None) -> None:
    """No token or a wrong one is 401 with the challenge, too small a role 403, and nobody else is turned away."""
    method, path = route
    answer = deployment.call(method, path, raw=b"{" if method == "POST" else None, role=role)
    rule = RULES[route]

    if rule is not PUBLIC and role in (None, "garbage"):
        assert (answer.status, answer.json["code"]) == (401, "unauthorized")
        assert answer.headers["www-authenticate"] == ("Bearer" if role is None else 'Bearer error="invalid_token"')
    elif rule is ADMIN and role == "user":
        assert (answer.status, answer.json["code"]) == (403, "forbidden")
        assert "admin" in answer.json["detail"]
    else:
        assert answer.status not in (401, 403)


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


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Bearer {token}", 200),
        ("bearer {token}", 200),
        ("BEARER   {token}  ", 200),
        ("Bearer", 401),
        ("Bearer ", 401),
        ("Basic {token}", 401),
        ("{token}", 401),
        ("Bearer {token} {token}", 401),
        ("Bearer {token},Bearer {token}", 401),
        ("Bearer " + "x" * 100_000, 401),
        ("Bearer {token}\0", 401),
        ("Bearer igw_\u00fc", 401),
    ],
)
def test_only_one_well_formed_bearer_token_opens(deployment: "Deployment", header: str, status: int) -> None:
    """Tricks with the header lead nowhere, and never to a 500."""
    value = header.replace("{token}", deployment.tokens["admin"])

    answer = deployment.call("GET", "/api/v1/images/config", role=None, headers={"Authorization": value})

    assert answer.status == status


def test_a_token_in_the_query_string_does_not_open(deployment: "Deployment") -> None:
    """URLs end up in logs."""
    token = deployment.tokens["admin"]

    answer = deployment.call("GET", f"/api/v1/images/config?token={token}&access_token={token}", role=None)

    assert answer.status == 401
