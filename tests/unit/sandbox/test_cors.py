"""The HTTP front's CORS is that of the template."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from sandbox.cors import Cors
from sandbox.front import create_front
from sandbox.template import Route, Template

pytestmark = pytest.mark.anyio

ROUTES = [Route("POST", "/v1/images/generations", "Generate"), Route("ANY", "/v1/{path+}", "Rest")]
PATH = "/v1/images/generations"
ORIGIN = "https://app.example"


class Functions:
    def __init__(self) -> None:
        self.invocations: list[str] = []

    async def invoke(self, name: str, _event: dict[str, Any]) -> Any:
        self.invocations.append(name)
        return {"statusCode": 200, "body": "done", "headers": {}}


@pytest.fixture
def functions() -> Functions:
    return Functions()


@pytest.fixture
def front(functions: Functions) -> Callable[[str], httpx.AsyncClient]:
    """Create a client of a front with a value of `CorsOrigins`."""

    def create(origins: str) -> httpx.AsyncClient:
        app = create_front(ROUTES, functions, Cors.of(Template(parameters={"CorsOrigins": origins})))
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway.example")

    return create


async def preflight(http: httpx.AsyncClient, origin: str = ORIGIN) -> httpx.Response:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "user-agent",
    }
    return await http.options(PATH, headers=headers)


@pytest.mark.parametrize(
    "header",
    ["authorization", "content-type", "user-agent", "idempotency-key", "x-stainless-retry-count", "x-stainless-os"],
)
async def test_a_preflight_request_of_a_named_origin_is_accepted(
    front: Callable[[str], httpx.AsyncClient], functions: Functions, header: str
) -> None:
    """OpenAI's SDK and the AI SDK send these headers; Firefox and Safari ask for `user-agent` too."""
    async with front(f"http://localhost:3000,{ORIGIN}") as http:
        response = await preflight(http)

    assert (response.status_code, functions.invocations) == (204, [])
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert header in response.headers["access-control-allow-headers"].split(",")
    assert response.headers["access-control-allow-methods"] == "GET,POST,PUT,PATCH,DELETE"


async def test_a_response_is_readable_for_a_named_origin(front: Callable[[str], httpx.AsyncClient]) -> None:
    """Its page may read the documented headers."""
    async with front(ORIGIN) as http:
        response = await http.post(PATH, headers={"Origin": ORIGIN})

    assert (response.text, response.headers["access-control-allow-origin"]) == ("done", ORIGIN)
    assert "x-request-id" in response.headers["access-control-expose-headers"]


async def test_an_error_of_the_front_is_readable_too(front: Callable[[str], httpx.AsyncClient]) -> None:
    """A page would see a network error otherwise."""
    async with front("*") as http:
        response = await http.get("/nothing", headers={"Origin": ORIGIN})

    assert (response.status_code, response.headers["access-control-allow-origin"]) == (404, "*")


@pytest.mark.parametrize("origins", ["", "https://other.example"])
async def test_other_origins_get_no_headers(front: Callable[[str], httpx.AsyncClient], origins: str) -> None:
    """Browsers then do not send the request, and refuse to show its response."""
    async with front(origins) as http:
        responses = [await preflight(http), await http.post(PATH, headers={"Origin": ORIGIN})]

    assert not [name for response in responses for name in response.headers if name.startswith("access-control")]


async def test_without_origins_a_preflight_request_is_an_ordinary_request(
    front: Callable[[str], httpx.AsyncClient], functions: Functions
) -> None:
    """It goes to the route for all methods."""
    async with front("") as http:
        await preflight(http)

    assert functions.invocations == ["Rest"]
