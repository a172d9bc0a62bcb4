"""Malformed requests: each is refused with a documented error, or accepted; none is an internal error."""

import json
from typing import Any

import pytest

from tests.integration.deployment import Deployment

DEEP = 100_000


LONE = b'"\\ud800"'
"""Half a pair of surrogates: JSON has it, UTF-8 does not."""


BODIES = {
    "nothing": b"",
    "null": b"null",
    "a list": b"[]",
    "no UTF-8": b'{"prompt": "\xff"}',
    "UTF-16": '{"prompt": 1}'.encode("utf-16"),
    "a lone surrogate": b'{"prompt": %s, "name": %s, "engine": %s}' % (LONE, LONE, LONE),
    "a lone surrogate in a name": b'{"prompt": "a fox", %s: 1}' % LONE,
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
    "/v1/images/generations",
    "/v1/images/edits",
)


MULTIPART = "multipart/form-data; boundary=x"


def answered(deployment: Deployment, method: str, path: str, **request: Any) -> tuple[int, str | None]:
    """The status and the error code of an answer, which has the shape of its channel."""
    response = deployment.call(method, path, **request)
    if response.status < 300:
        return response.status, None
    said = response.json.get("error", response.json)
    return response.status, said["code"]


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_odd_bodies(deployment: Deployment, body: bytes) -> None:
    """Whatever a body is, the routes that take one refuse it, or take it, in the way of the documentation."""
    for path in ROUTES:
        for kind in ("application/json", MULTIPART) if path.endswith("edits") else ("application/json",):
            status, code = answered(deployment, "POST", path, raw=body, headers={"content-type": kind})
            assert (path, status < 500, code != "internal_error") == (path, True, True)


@pytest.mark.parametrize("kind", ["", "json", "a/b; c", "multipart/form-data", f"{MULTIPART}; y*{'9' * 5_000}=1"])
def test_odd_content_types(deployment: Deployment, kind: str) -> None:
    """A content type that says nothing of the body is a refusal at most."""
    for path in ROUTES:
        status, code = answered(deployment, "POST", path, raw=b'{"prompt": 1}', headers={"content-type": kind})
        assert (path, code, status < 500) == (path, "invalid_request", True)


@pytest.mark.parametrize("header", ["", '"', ",", '"x"', "9" * 5_000, '"1", 2²'])
def test_odd_versions(deployment: Deployment, header: str) -> None:
    """An `If-Match` that names no version this configuration can have changes nothing: 412."""
    update = "/api/v1/images/config/update"

    assert answered(deployment, "POST", update, body={}, headers={"if-match": header}) == (412, "precondition_failed")


@pytest.mark.parametrize(
    "query",
    [
        *("limit=1e3", "limit=0x1", "limit=%00", "limit=", "limit=1,2", "limit=1&limit=2", f"limit={'9' * 5_000}"),
        *("status=,", "status=done", "cursor=,", "cursor=%ED%A0%80", "cursor=W10=", "cursor=MQ==", "cursor=bnVsbA=="),
    ],
)
def test_odd_lists(deployment: Deployment, query: str) -> None:
    """A parameter of a list that is out of its bounds is refused; of several, the last counts."""
    expected = (200, None) if query.endswith("limit=2") else (422, "invalid_request")

    assert answered(deployment, "GET", f"/api/v1/images/jobs?{query}") == expected


@pytest.mark.parametrize("name", ["%", "%00", "%2F", "%ED%A0%80", "%F0%9F%A6%8A", "..", "%2e%2e", "a" * 5_000, "\n"])
def test_odd_ids(deployment: Deployment, name: str) -> None:
    """An id of any form that is nobody's is not found."""
    for path in ("/api/v1/images/jobs/{}", "/api/v1/images/jobs/{}/result", "/api/v1/images/{}", "/v1/models/{}"):
        assert answered(deployment, "GET", path.format(name))[0] in {404, 409}


ODD_JSON = {
    "NaN": '{"x": NaN}',
    "infinity": '{"x": 1e999}',
    "a lone surrogate": '{"x": "\\ud800"}',
    "a lone surrogate in a name": '{"\\ud800": 1}',
    "too deep to answer": f'{{"x": {"[" * 300}{"]" * 300}}}',
    "too deep to read": f'{{"x": {"[" * DEEP}{"]" * DEEP}}}',
    "too many digits": f'{{"x": 1{"0" * 5_000}}}',
}


@pytest.mark.parametrize("text", ODD_JSON.values(), ids=ODD_JSON)
def test_odd_json_does_not_get_into_the_configuration(deployment: Deployment, text: str) -> None:
    """What Python reads as JSON and cannot write is refused in every field, and the configuration can still be read."""
    node = f'{{"1": {{"class_type": "x", "inputs": {text}}}}}'
    bodies = [
        b'{"IMAGES_OPENAI_API_PARAMS": %s}' % text.encode(),
        b'{"COMFYUI_WORKFLOW": %s}' % node.encode(),
        b'{"COMFYUI_WORKFLOW_NODES": [{"key": "x", "value": %s}]}' % text.encode(),
        json.dumps({"AUTOMATIC1111_PARAMS": text}).encode(),
        json.dumps({"COMFYUI_WORKFLOW": node}).encode(),
    ]
    for body in bodies:
        refused = answered(deployment, "POST", "/api/v1/images/config/update", raw=body)
        assert (body[:30], *refused) == (body[:30], 422, "invalid_request")

    assert answered(deployment, "GET", "/api/v1/images/config") == (200, None)


@pytest.mark.parametrize("path", ["/api/v1/images/generations", "/v1/images/generations"])
def test_a_host_that_looks_like_a_path(deployment: Deployment, path: str) -> None:
    """The path alone decides about an error's shape, whatever `Host` claims to be before it."""
    plain, odd = (
        deployment.call("POST", path, {}, role=None, headers={"Host": host}).json for host in ("x", "x/v1/?y=")
    )

    assert odd.keys() == plain.keys()
    assert ("error" in odd) == path.startswith("/v1/")


def test_a_host_that_cannot_be_one(deployment: Deployment) -> None:
    """A host that is no name in any alphabet cannot be reached, as any other wrong one."""
    form = {"engine": "automatic1111", "url": "http://xn--"}

    assert answered(deployment, "POST", "/api/v1/images/verify", body=form) == (502, "engine_unavailable")
