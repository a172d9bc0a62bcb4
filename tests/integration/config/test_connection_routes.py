"""Connections over HTTP: storing, reading, deleting, verifying, and their models."""

from typing import TYPE_CHECKING, Any

import pytest

from image_gateway.models.config import MASK

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

CONFIG = "/api/v1/images/config"
CONNECTIONS = "/api/v1/images/connections"
AZURE: dict[str, Any] = {
    "engine": "openai",
    "base_url": "https://eu.example/openai",
    "key": "planted-key-1",
    "api_version": "2025-04-01-preview",
    "auth": "api-key",
    "dialect": "azure",
    "params": {"quality": "low"},
    "timeout_seconds": 120,
    "max_concurrent": 4,
}
SHOWN = {**AZURE, "extra_fields": {}, "endpoint_method": "generateContent", "name": "azure-eu", "key": MASK}


def put(deployment: "Deployment", name: str = "azure-eu", tag: str | None = None, **fields: Any) -> Any:
    headers = {"If-Match": tag} if tag else None
    return deployment.call("PUT", f"{CONNECTIONS}/{name}", {**AZURE, **fields}, headers=headers)


def test_new_connection_is_201_and_a_replaced_one_200(deployment: "Deployment") -> None:
    """A PUT returns the connection as it is shown from then on, with the configuration's version."""
    created = put(deployment)
    replaced = put(deployment, max_concurrent=5)

    assert (created.status, created.json) == (201, {**SHOWN, "managed_by": "api"})
    assert (replaced.status, replaced.json) == (200, {**SHOWN, "managed_by": "api", "max_concurrent": 5})
    read = deployment.call("GET", f"{CONNECTIONS}/azure-eu")
    assert (read.json, read.headers["etag"]) == (replaced.json, replaced.headers["etag"])
    assert replaced.headers["etag"] == deployment.call("GET", CONFIG).headers["etag"] == '"2"'


def test_list_has_the_configurations_connections_first(openai_deployment: "Deployment") -> None:
    """The configuration's own connections are listed, if their server is configured, and say where they come from."""
    openai_deployment.configure(
        COMFYUI_BASE_URL="http://gpu:8188",
        IMAGES_EDIT_COMFYUI_BASE_URL="http://gpu-2:8188",
        IMAGES_EDIT_COMFYUI_API_KEY="planted-key-2",
    )
    put(openai_deployment)

    listed = openai_deployment.call("GET", CONNECTIONS)

    names = [(item["name"], item["managed_by"], item["key"]) for item in listed.json["connections"]]
    assert names == [
        ("openai", "config", MASK),
        ("comfyui", "config", ""),
        ("comfyui-edit", "config", MASK),
        ("azure-eu", "api", MASK),
    ]
    assert "planted" not in listed.text
    assert openai_deployment.call("GET", f"{CONNECTIONS}/comfyui-edit").json["base_url"] == "http://gpu-2:8188"
    assert openai_deployment.call("GET", f"{CONNECTIONS}/gemini").status == 404


def test_configuration_shows_nothing_of_connections(deployment: "Deployment") -> None:
    """Clients that know only the fields get the fields, and what they write back keeps the connections."""
    before = deployment.call("GET", CONFIG).json
    put(deployment)

    after = deployment.call("GET", CONFIG).json
    written = deployment.call("POST", f"{CONFIG}/update", {name: value for name, value in after.items() if value})

    assert after == before
    assert written.status == 200
    assert deployment.call("GET", f"{CONNECTIONS}/azure-eu").json["key"] == MASK


def test_writing_back_what_was_read_changes_nothing(deployment: "Deployment") -> None:
    """A connection that was read can be written again: its masked key is kept, and there is no new version."""
    put(deployment)
    read = deployment.call("GET", f"{CONNECTIONS}/azure-eu")
    form = {name: value for name, value in read.json.items() if name not in ("name", "managed_by")}

    written = deployment.call("PUT", f"{CONNECTIONS}/azure-eu", form)

    assert (written.status, written.json) == (200, read.json)
    assert written.headers["etag"] == read.headers["etag"]


@pytest.mark.parametrize(("tag", "status"), [('"1"', 200), ("*", 200), ('"0"', 412), ('W/"1"', 412), ("x", 412)])
def test_if_match_must_name_the_current_version(deployment: "Deployment", tag: str, status: int) -> None:
    """A change with `If-Match` is done only if it names the current version, and a deletion too."""
    put(deployment)

    assert put(deployment, tag=tag, max_concurrent=9).status == status
    kept = deployment.call("GET", f"{CONNECTIONS}/azure-eu").json["max_concurrent"]
    assert kept == (9 if status == 200 else 4)
    stale = deployment.call("DELETE", f"{CONNECTIONS}/azure-eu", headers={"If-Match": '"0"'})
    assert (stale.status, stale.json["code"]) == (412, "precondition_failed")


@pytest.mark.parametrize("key", [MASK, None])
def test_masked_key_does_not_move_to_another_server(deployment: "Deployment", key: str | None) -> None:
    """A key that is masked or left out is not sent to a server that it was not set for."""
    put(deployment)

    response = put(deployment, base_url="https://evil.example/openai", key=key)

    assert (response.status, response.json["field"]) == (422, "key")
    assert "planted" not in response.text


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"engine": "dall-e"}, "engine"),
        ({"base_url": "ftp://x"}, "base_url"),
        ({"base_url": "https://u:planted@x"}, "base_url"),
        ({"auth": "digest"}, "auth"),
        ({"auth": "none"}, "key"),
        ({"key": "planted\nkey"}, "key"),
        ({"auth": "basic"}, "key"),
        ({"params": {"api_key": "planted-param"}}, "params"),
        ({"engine": "comfyui", "params": None, "api_version": ""}, "dialect"),
        ({"timeout_seconds": 0}, "timeout_seconds"),
        ({"max_concurrent": 0}, "max_concurrent"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_invalid_field_is_named(deployment: "Deployment", fields: dict[str, Any], field: str) -> None:
    """The problem document says which field is invalid, and repeats no secret."""
    response = put(deployment, **fields)

    assert (response.status, response.json["code"]) == (422, "invalid_request")
    assert field in response.json["detail"]
    assert "planted" not in response.text
    assert deployment.call("GET", CONNECTIONS).headers["etag"] == '"0"'


@pytest.mark.parametrize("name", ["openai", "comfyui-edit"])
@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_reserved_name_is_a_conflict(deployment: "Deployment", method: str, name: str) -> None:
    """The configuration's own connections are changed by updates of the configuration."""
    response = deployment.call(method, f"{CONNECTIONS}/{name}", AZURE if method == "PUT" else None)

    assert (response.status, response.json["code"]) == (409, "conflict")
    assert "config/update" in response.json["detail"]


@pytest.mark.parametrize("name", ["Azure", "-a", "a_b", "a.b", "a" * 64, "%00", "a%2Fb"])
def test_invalid_name_is_refused(deployment: "Deployment", name: str) -> None:
    """A name that callers could not write is refused."""
    assert put(deployment, name=name).status in (404, 405, 422)


def test_short_key_has_a_warning(deployment: "Deployment") -> None:
    """As in an update of the configuration: such a key may be in any text, so it is not removed from error texts."""
    (warning,) = put(deployment, key="none").json["warnings"]

    assert "short and plain" in warning
    assert "warnings" not in put(deployment, key=MASK).json


def test_deleted_connection_is_gone_with_its_key(deployment: "Deployment") -> None:
    """A connection under the same name does not get the earlier one's key."""
    put(deployment)

    assert deployment.call("DELETE", f"{CONNECTIONS}/azure-eu").status == 204
    assert deployment.call("DELETE", f"{CONNECTIONS}/azure-eu").status == 404
    assert deployment.call("GET", f"{CONNECTIONS}/azure-eu").status == 404
    assert put(deployment, key=MASK).status == 422


def test_used_connection_cannot_be_deleted(deployment: "Deployment") -> None:
    """The error names the route that refers to it."""
    put(deployment)
    deployment.call("PUT", "/api/v1/images/routes/poster", {"targets": [{"connection": "azure-eu"}]})

    response = deployment.call("DELETE", f"{CONNECTIONS}/azure-eu")

    assert (response.status, response.json["code"]) == (409, "conflict")
    assert "poster" in response.json["detail"]


def test_verify_and_models_use_the_connection(openai_deployment: "Deployment", openai: Any) -> None:
    """A connection is verified with its own server and key, and lists the models there."""
    openai.knobs.key = "planted-key-1"
    url = openai_deployment.call("GET", CONFIG).json["IMAGES_OPENAI_API_BASE_URL"]
    plain = {"api_version": "", "auth": "bearer", "dialect": "plain", "base_url": url}
    put(openai_deployment, **plain)
    put(openai_deployment, "wrong", **plain, key="planted-wrong")

    good = openai_deployment.call("POST", f"{CONNECTIONS}/azure-eu/verify")
    models = openai_deployment.call("GET", f"{CONNECTIONS}/azure-eu/models")
    wrong = openai_deployment.call("POST", f"{CONNECTIONS}/wrong/verify")

    assert (good.status, good.json) == (200, True)
    assert "gpt-image-2" in [model["id"] for model in models.json]
    assert (wrong.status, wrong.json["code"]) == (400, "engine_rejected")
    assert "planted" not in wrong.text
    assert openai_deployment.call("POST", f"{CONNECTIONS}/unknown/verify").status == 404
    assert openai_deployment.call("POST", f"{CONNECTIONS}/gemini/verify").json["code"] == "not_configured"


def test_unreachable_connection_names_itself_and_not_its_address(deployment: "Deployment") -> None:
    """The error of a server that cannot be reached says which connection's URL to check."""
    put(deployment, base_url="http://127.0.0.1:9")

    response = deployment.call("POST", f"{CONNECTIONS}/azure-eu/verify")

    assert (response.status, response.json["code"]) == (502, "engine_unavailable")
    assert "azure-eu" in response.json["detail"]
    assert "127.0.0.1" not in response.text


def test_openai_edit_is_the_configurations_server_for_edits(openai_deployment: "Deployment", openai: Any) -> None:
    """The connection `openai-edit` has the URL and key of the fields for edits."""
    openai.knobs.key = "planted-edit-key"
    url = openai_deployment.call("GET", CONFIG).json["IMAGES_OPENAI_API_BASE_URL"]
    openai_deployment.configure(IMAGES_EDIT_OPENAI_API_BASE_URL=url, IMAGES_EDIT_OPENAI_API_KEY="planted-edit-key")

    assert openai_deployment.call("POST", f"{CONNECTIONS}/openai-edit/verify").json is True
    assert openai_deployment.call("POST", f"{CONNECTIONS}/openai/verify").status == 400
