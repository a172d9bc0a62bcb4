"""The console function: its page and files over API Gateway, with caching and compression."""

import base64
import gzip
import re
from typing import Any

import pytest
from starlette.requests import Request

from functions.console.app import ROUTES, handler
from sandbox.front import http_event


def get(path: str, **headers: str) -> dict[str, Any]:
    """Call the function with API Gateway's event for a path."""
    route = {"/": "GET /", "/base": "GET /", "/base/": "GET /"}.get(path)
    route = route or ("GET /console" if path.endswith("/console") else "GET /console/{path+}")
    assert route in ROUTES
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        "client": ("192.0.2.1", 1),
        "server": ("gateway.example", 443),
        "scheme": "https",
    }
    parameters = {"path": path.partition("/console/")[2]}
    return handler(http_event(Request(scope), b"", parameters, route), None)


def content(response: dict[str, Any]) -> bytes:
    assert response["isBase64Encoded"]
    return base64.b64decode(response["body"])


def script_path() -> str:
    """The path of the script that the page names."""
    (name,) = re.findall(r'src="([^"]+)"', content(get("/console/")).decode())
    return f"/console/{name}"


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/", "console/"),
        ("/base", "base/console/"),
        ("/base/", "console/"),
        ("/console", "console/"),
        ("/base/console", "console/"),
    ],
)
def test_the_root_leads_to_the_console_under_every_base_path(path: str, location: str) -> None:
    """The location is relative, and resolves to the console's address with the same base path."""
    response = get(path)

    assert (response["statusCode"], response["headers"]["Location"]) == (302, location)


def test_the_page_is_checked_for_each_visit_and_its_files_are_kept_forever() -> None:
    """The page is revalidated by its ETag; its files have the version in their URLs, and are never requested again."""
    page, script = get("/console/"), get(script_path())

    assert page["headers"]["Cache-Control"] == "no-cache"
    assert "immutable" in script["headers"]["Cache-Control"]
    assert get("/console/", if_none_match=page["headers"]["ETag"])["statusCode"] == 304
    assert get(script_path(), if_none_match=f'"x", {script["headers"]["ETag"]}')["statusCode"] == 304


def test_a_file_of_another_version_is_sent_but_not_kept() -> None:
    """A page that was open during a deployment can load the rest of its files."""
    other = re.sub(r"[0-9a-f]{16}", "0" * 16, script_path())

    response = get(other)

    assert (response["statusCode"], response["headers"]["Cache-Control"]) == (200, "no-store")


def test_files_are_compressed_for_browsers_that_take_it() -> None:
    """The compressed file has the same content, the same validator, and is marked as depending on the request."""
    plain, compressed = get(script_path()), get(script_path(), accept_encoding="br, gzip")

    assert gzip.decompress(content(compressed)) == content(plain)
    assert (compressed["headers"]["Content-Encoding"], compressed["headers"]["Vary"]) == ("gzip", "Accept-Encoding")
    assert compressed["headers"]["ETag"] == plain["headers"]["ETag"]


@pytest.mark.parametrize(
    "name", ["nothing.js", "../app.py", "vendor/preact.LICENSE", "index.html", "%2e%2e/app.py", ""]
)
def test_nothing_but_the_consoles_files_is_sent(name: str) -> None:
    """Other names get a problem document with the request's id, as from the API."""
    version = script_path().split("/")[2]

    response = get(f"/console/{version}/{name}")

    assert response["statusCode"] == 404
    assert response["headers"]["Content-Type"] == "application/problem+json"
    assert '"code": "not_found"' in response["body"]


def test_every_response_has_the_id_of_its_request() -> None:
    """It is API Gateway's, as in all other responses of the gateway."""
    ids = {get(path)["headers"]["x-request-id"] for path in ("/", "/console", "/console/", "/console/x/y")}

    assert len(ids) == 4
    assert "" not in ids


def test_the_page_names_every_script() -> None:
    """The first script loads them a few at a time, so each must be in the list, and exist."""
    page = content(get("/console/")).decode()
    (files,) = re.findall(r'data-files="([^"]+)"', page)
    version = script_path().split("/")[2]

    texts = {name: content(get(f"/console/{version}/{name}")).decode() for name in files.split()}

    assert {"main.js", "start.js", "vendor/preact.mjs"} <= set(texts)
    assert "{{" not in page
