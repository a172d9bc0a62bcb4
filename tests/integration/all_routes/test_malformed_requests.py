"""Malformed requests: each is refused with a documented error, or accepted; none is an internal error."""

import json
from typing import Any

import pytest

from tests.integration.deployment import Deployment

DEEP = 100_000
LONE_SURROGATE = b'"\\ud800"'
"""Half of a surrogate pair: valid in JSON, not in UTF-8."""


BODIES = {
    "nothing": b"",
    "null": b"null",
    "a list": b"[]",
    "no UTF-8": b'{"prompt": "\xff"}',
    "UTF-16": '{"prompt": 1}'.encode("utf-16"),
    "a lone surrogate": b'{"prompt": %s, "name": %s, "engine": %s}' % (LONE_SURROGATE, LONE_SURROGATE, LONE_SURROGATE),
    "a lone surrogate in a name": b'{"prompt": "a fox", %s: 1}' % LONE_SURROGATE,
    "NUL": b'{"prompt": "\\u0000", "name": "\\u0000", "\\u0000": 1}',
    "a deep list": b"[" * DEEP + b"]" * DEEP,
    "a deep field": b'{"prompt": "a fox", "x": %s%s}' % (b"[" * DEEP, b"]" * DEEP),
    "a field as deep as can be read": b'{"prompt": "a fox", "x": %s%s}' % (b"[" * 900, b"]" * 900),
    "not numbers": b'{"prompt": "a fox", "n": NaN, "seed": Infinity, "steps": -Infinity}',
    "too many digits": b'{"prompt": "a fox", "n": 1%s}' % (b"0" * 5_000),
    "many digits": b'{"prompt": "a fox", "n": 1%s, "bytes": 1%s, "seed": 1e999}' % (b"0" * 4_000, b"0" * 4_000),
    "many digits as a text": b'{"prompt": "a fox", "n": "1%s"}' % (b"0" * 5_000),
    "a name twice": b'{"prompt": "a", "prompt": 1}',
    "no form": b"--x\r\n",
}

ROUTES = (
    "/api/v1/images/generations",
    "/api/v1/images/edit",
    "/api/v1/images/uploads",
    "/api/v1/images/verify",
    "/api/v1/images/config/update",
    "/api/v1/images/tokens",
    "/api/v1/images/workflows/inspect",
    "/v1/images/generations",
    "/v1/images/edits",
)

MULTIPART = "multipart/form-data; boundary=x"


def status_and_code(deployment: Deployment, method: str, path: str, **request: Any) -> tuple[int, str | None]:
    """Return the status and the error code of a response, which has the shape of its API."""
    response = deployment.call(method, path, **request)
    if response.status < 300:
        return response.status, None
    error = response.json.get("error", response.json)
    return response.status, error["code"]


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_malformed_body_is_accepted_or_refused_as_documented(deployment: Deployment, body: bytes) -> None:
    """No body is an internal error on any route that takes one."""
    for path in ROUTES:
        for kind in ("application/json", MULTIPART) if path.endswith("edits") else ("application/json",):
            status, code = status_and_code(deployment, "POST", path, raw=body, headers={"content-type": kind})
            assert (path, status < 500, code != "internal_error") == (path, True, True)


@pytest.mark.parametrize("kind", ["", "json", "a/b; c", "multipart/form-data", f"{MULTIPART}; y*{'9' * 5_000}=1"])
def test_a_wrong_content_type_is_an_invalid_request(deployment: Deployment, kind: str) -> None:
    """A content type that does not describe the body is refused at most."""
    for path in ROUTES:
        status, code = status_and_code(deployment, "POST", path, raw=b'{"prompt": 1}', headers={"content-type": kind})
        assert (path, code, status < 500) == (path, "invalid_request", True)


@pytest.mark.parametrize(
    "body",
    [b'{"prompt": "a fox"}', b"prompt=a+fox&image=x", b"prompt=%FF&%", b"\xff", b""],
    ids=["JSON", "a form", "a broken form", "no UTF-8", "nothing"],
)
def test_a_form_without_files_is_an_invalid_request(deployment: Deployment, body: bytes) -> None:
    """API Gateway passes it on in base64. The error says which content type to send: `curl -d` sends this one."""
    headers = {"content-type": "application/x-www-form-urlencoded"}
    for path in ROUTES:
        response = deployment.call("POST", path, raw=body, headers=headers)

        assert (path, response.status in {400, 422}) == (path, True)
        if body:
            assert "Content-Type: application/json" in response.text


@pytest.mark.parametrize("header", ["", '"', ",", '"x"', "9" * 5_000, '"1", 2²'])
def test_an_if_match_that_names_no_version_is_a_412(deployment: Deployment, header: str) -> None:
    """An `If-Match` that cannot be the configuration's version changes nothing."""
    update = "/api/v1/images/config/update"

    assert status_and_code(deployment, "POST", update, body={}, headers={"if-match": header}) == (
        412,
        "precondition_failed",
    )


@pytest.mark.parametrize(
    "query",
    [
        *("limit=1e3", "limit=0x1", "limit=%00", "limit=", "limit=1,2", "limit=1&limit=2", f"limit={'9' * 5_000}"),
        *("status=,", "status=done", "cursor=,", "cursor=%ED%A0%80", "cursor=W10=", "cursor=MQ==", "cursor=bnVsbA=="),
    ],
)
def test_a_list_parameter_out_of_bounds_is_refused(deployment: Deployment, query: str) -> None:
    """It is a 422; if a parameter is repeated, the last one counts."""
    expected = (200, None) if query.endswith("limit=2") else (422, "invalid_request")

    assert status_and_code(deployment, "GET", f"/api/v1/images/jobs?{query}") == expected


@pytest.mark.parametrize("name", ["%", "%00", "%2F", "%ED%A0%80", "%F0%9F%A6%8A", "..", "%2e%2e", "a" * 5_000, "\n"])
def test_an_id_of_any_form_that_does_not_exist_is_not_found(deployment: Deployment, name: str) -> None:
    """No form of an id is an internal error."""
    for path in ("/api/v1/images/jobs/{}", "/api/v1/images/jobs/{}/result", "/api/v1/images/{}", "/v1/models/{}"):
        assert status_and_code(deployment, "GET", path.format(name))[0] in {404, 409}


UNWRITABLE_JSON = {
    "NaN": '{"x": NaN}',
    "infinity": '{"x": 1e999}',
    "a lone surrogate": '{"x": "\\ud800"}',
    "a lone surrogate in a name": '{"\\ud800": 1}',
    "too deep to write": f'{{"x": {"[" * 300}{"]" * 300}}}',
    "too deep to read": f'{{"x": {"[" * DEEP}{"]" * DEEP}}}',
    "too many digits": f'{{"x": 1{"0" * 5_000}}}',
}


@pytest.mark.parametrize("text", UNWRITABLE_JSON.values(), ids=UNWRITABLE_JSON)
def test_json_that_cannot_be_written_is_not_stored_in_the_configuration(deployment: Deployment, text: str) -> None:
    """JSON that Python reads but cannot write is refused in every field, and the configuration stays readable."""
    node = f'{{"1": {{"class_type": "x", "inputs": {text}}}}}'
    bodies = [
        b'{"IMAGES_OPENAI_API_PARAMS": %s}' % text.encode(),
        b'{"COMFYUI_WORKFLOW": %s}' % node.encode(),
        b'{"COMFYUI_WORKFLOW_NODES": [{"key": "x", "value": %s}]}' % text.encode(),
        json.dumps({"AUTOMATIC1111_PARAMS": text}).encode(),
        json.dumps({"COMFYUI_WORKFLOW": node}).encode(),
    ]
    for body in bodies:
        refused = status_and_code(deployment, "POST", "/api/v1/images/config/update", raw=body)
        assert (body[:30], *refused) == (body[:30], 422, "invalid_request")

    assert status_and_code(deployment, "GET", "/api/v1/images/config") == (200, None)


@pytest.mark.parametrize("path", ["/api/v1/images/generations", "/v1/images/generations"])
def test_the_host_header_does_not_change_an_errors_shape(deployment: Deployment, path: str) -> None:
    """The path alone decides about an error's shape, whatever `Host` contains."""
    plain, odd = (
        deployment.call("POST", path, {}, role=None, headers={"Host": host}).json for host in ("x", "x/v1/?y=")
    )

    assert odd.keys() == plain.keys()
    assert ("error" in odd) == path.startswith("/v1/")


def test_an_engine_host_that_is_not_a_valid_name_is_unreachable(deployment: Deployment) -> None:
    """It is a 502, as for any other host that cannot be reached."""
    form = {"engine": "automatic1111", "url": "http://xn--"}

    assert status_and_code(deployment, "POST", "/api/v1/images/verify", body=form) == (502, "engine_unavailable")
