"""Routes over HTTP: storing, reading and deleting."""

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

ROUTES = "/api/v1/images/routes"
POSTER: dict[str, Any] = {
    "description": "Large, slow, dear",
    "targets": [{"connection": "openai", "model": "gpt-image-2", "params": {"quality": "high"}}],
}
TARGET = {**POSTER["targets"][0], "workflow": None, "weight": 1, "size": None, "steps": None}
SHOWN = {
    **POSTER,
    "name": "poster",
    "operations": ["generation", "edit"],
    "strategy": "ordered",
    "targets": [TARGET],
    "fallback_on": ["unreachable", "rate_limited", "unavailable", "refused_key", "not_configured", "no_slot"],
}


def put(deployment: "Deployment", name: str = "poster", tag: str | None = None, **fields: Any) -> Any:
    headers = {"If-Match": tag} if tag else None
    return deployment.call("PUT", f"{ROUTES}/{name}", {**POSTER, **fields}, headers=headers)


def test_new_route_is_201_and_a_replaced_one_200(deployment: "Deployment") -> None:
    """A PUT returns the route as it is shown from then on, with all defaults."""
    created = put(deployment)
    replaced = put(deployment, strategy="weighted")

    assert (created.status, created.json) == (201, SHOWN)
    assert (replaced.status, replaced.json) == (200, {**SHOWN, "strategy": "weighted"})
    assert deployment.call("GET", f"{ROUTES}/poster").json == replaced.json
    listed = deployment.call("GET", ROUTES)
    assert (listed.json, listed.headers["etag"]) == ({"routes": [replaced.json]}, replaced.headers["etag"])


def test_writing_back_what_was_read_changes_nothing(deployment: "Deployment") -> None:
    """A route that was read can be written again without a new version."""
    read = put(deployment)
    form = {name: value for name, value in read.json.items() if name != "name"}

    assert deployment.call("PUT", f"{ROUTES}/poster", form).headers["etag"] == read.headers["etag"]


@pytest.mark.parametrize("name", ["dall-e-3", "gpt-image-1.5", "A", "0_1", "openai"])
def test_route_may_have_the_name_of_a_model(deployment: "Deployment", name: str) -> None:
    """Clients that insist on a name can be given a route with it."""
    assert put(deployment, name).status == 201


@pytest.mark.parametrize("name", [".hidden", "a" * 64, "a%20b", "a%2Fb", "%C3%A4"])
def test_invalid_name_is_refused(deployment: "Deployment", name: str) -> None:
    """A name with a slash, a space, or without a letter or digit at its beginning is refused."""
    assert put(deployment, name).status in (404, 405, 422)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"targets": []}, "targets"),
        ({"targets": [{"connection": "unknown"}]}, "targets.0.connection"),
        ({"targets": [{"connection": "comfyui", "workflow": "unknown"}]}, "targets.0.workflow"),
        ({"targets": [{"connection": "openai", "params": {"token": "planted"}}]}, "targets.0.params"),
        ({"targets": [{"connection": "openai", "size": "0x0"}]}, "targets.0.size"),
        ({"strategy": "fastest"}, "strategy"),
        ({"fallback_on": ["always"]}, "fallback_on"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_invalid_field_is_named(deployment: "Deployment", fields: dict[str, Any], field: str) -> None:
    """The problem document says which field of which target is invalid."""
    response = put(deployment, **fields)

    assert response.status in (400, 422)
    assert field in f"{response.json['detail']} {response.json.get('field')}"
    assert "planted" not in response.text
    assert deployment.call("GET", ROUTES).json == {"routes": []}


def test_if_match_must_name_the_current_version(deployment: "Deployment") -> None:
    """A change of any part of the configuration makes an earlier ETag stale for routes too."""
    tag = put(deployment).headers["etag"]
    deployment.configure(IMAGE_STEPS=3)

    assert put(deployment, tag=tag, strategy="weighted").status == 412
    assert deployment.call("DELETE", f"{ROUTES}/poster", headers={"If-Match": tag}).status == 412
    assert deployment.call("GET", f"{ROUTES}/poster").json == SHOWN


def test_deleted_route_is_gone(deployment: "Deployment") -> None:
    """After a deletion there is no such route."""
    put(deployment)

    assert deployment.call("DELETE", f"{ROUTES}/poster").status == 204
    assert deployment.call("DELETE", f"{ROUTES}/poster").status == 404
    assert deployment.call("GET", f"{ROUTES}/poster").status == 404


def test_default_route_cannot_be_deleted(deployment: "Deployment") -> None:
    """The error names the field of the configuration that refers to the route."""
    put(deployment)
    deployment.configure(IMAGE_EDIT_MODEL="poster")

    response = deployment.call("DELETE", f"{ROUTES}/poster")

    assert (response.status, response.json["code"]) == (409, "conflict")
    assert "IMAGE_EDIT_MODEL" in response.json["detail"]
