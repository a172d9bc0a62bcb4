"""HTTP requests reach the application unchanged through the events of API Gateway."""

import base64
import json
import string
from typing import Any
from urllib.parse import quote, urlencode

from fastapi import Request
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request as ServerRequest

from image_gateway.api import Access, access, create_app, lambda_handler
from sandbox.front import http_event

echo = create_app()


@echo.api_route("/echo/{rest:path}", methods=["GET", "POST"])
@access(Access.PUBLIC)
async def return_the_request(request: Request, rest: str) -> dict[str, Any]:
    body = base64.b64encode(await request.body()).decode()
    return {"body": body, "rest": rest, "query": request.query_params.multi_items(), "x": request.headers.get("x-tag")}


ECHO = lambda_handler(echo)
QUERY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(
    body=st.binary(max_size=80) | st.text(max_size=40).map(str.encode),
    content_type=st.sampled_from(
        ["application/json", "text/plain; charset=utf-8", "image/png", "multipart/form-data; boundary=x", ""]
    ),
    rest=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n\r"), max_size=20),
    query=st.lists(st.tuples(QUERY_TEXT.filter(bool), QUERY_TEXT), max_size=4),
    tag=st.text(string.ascii_letters + string.digits + " ,;=\"'", max_size=20).map(str.strip),
)
def test_a_request_arrives_unchanged(
    body: bytes, content_type: str, rest: str, query: list[tuple[str, str]], tag: str
) -> None:
    """Body, path, query and headers arrive unchanged, with the body in the event as text or in base64."""
    scope = {
        "type": "http",
        "method": "POST",
        "path": f"/echo/{rest}",
        "raw_path": quote(f"/echo/{rest}").encode(),
        "query_string": urlencode(query).encode(),
        "headers": [(b"content-type", content_type.encode()), (b"x-tag", tag.encode())],
    }
    event = http_event(ServerRequest(scope), body, {}, "POST /echo/{rest+}")
    events = [event]
    if event.get("body"):
        events.append({**event, "body": base64.b64encode(body).decode(), "isBase64Encoded": True})
    for each in events:
        response = ECHO(json.loads(json.dumps(each)), None)
        assert response["statusCode"] == 200
        received = json.loads(response["body"])
        assert base64.b64decode(received["body"]) == body
        assert (received["rest"], received["x"]) == (rest, tag)
        assert [tuple(item) for item in received["query"]] == query
