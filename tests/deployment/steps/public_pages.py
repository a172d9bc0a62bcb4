"""What anybody may read, and that nobody reads more without a token."""

import re
from typing import Any
from urllib.parse import urljoin

import httpx

from sandbox.client import GatewayClient
from tests.deployment.step import body, harmless_step


@harmless_step
async def the_gateway_is_healthy_and_documents_itself(gateway: GatewayClient) -> None:
    """`/health`, `/docs` with its script and style, and the OpenAPI document, all without a token."""
    assert body(await _without_token(gateway, "/health")) == {"status": "ok"}
    page = await _without_token(gateway, "/docs")
    assets = re.findall(r'(?:src|href)="([^"]*docs/[^"]+)"', page.text)
    assert assets, "the page of the documentation has no script"
    for asset in assets:
        content = await _without_token(gateway, urljoin(str(page.url), asset).removeprefix(gateway.url))
        assert content.is_success, asset
    document = body(await _without_token(gateway, "/openapi.json"))
    assert "/api/v1/images/generations" in document["paths"]


@harmless_step
async def the_console_and_its_files_are_there(gateway: GatewayClient) -> None:
    """A page that needs no token, and everything that it loads."""
    page = await _without_token(gateway, "/console", follow_redirects=True)
    assert page.headers["content-type"].startswith("text/html"), page.text[:300]
    files = re.findall(r'<(?:script|link)[^>]* (?:src|href)="([^"]+)"', page.text)
    assert files, "the console loads no script"
    for file in files:
        path = urljoin(str(page.url), file).removeprefix(gateway.url)
        assert (await _without_token(gateway, path)).is_success, path


@harmless_step
async def requests_without_a_valid_token_are_refused(gateway: GatewayClient) -> None:
    """On a route of each function behind the API: nothing is read, and no job is made."""
    for method, path in (
        ("GET", "/api/v1/images/config"),
        ("POST", "/api/v1/images/generations"),
        ("POST", "/v1/images/edits"),
        ("GET", "/api/v1/images/jobs"),
    ):
        assert (await _without_token(gateway, path, method)).status_code == 401
        assert (await gateway.request(method, path, token=f"igw_{'x' * 43}")).status_code == 401


@harmless_step
async def unknown_paths_are_errors_in_the_format_of_their_api(gateway: GatewayClient) -> None:
    """Under `/v1` by the gateway, in OpenAI's format; elsewhere by API Gateway."""
    assert body(await gateway.request("GET", "/v1/no/such/path"), 404)["error"]["message"]
    body(await gateway.request("GET", "/no/such/path"), 404)


async def _without_token(gateway: GatewayClient, path: str, method: str = "GET", **options: Any) -> httpx.Response:
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        return await client.request(method, gateway.url + path, **options)
