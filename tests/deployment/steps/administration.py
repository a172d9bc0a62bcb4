"""What administrators do. It leaves a deployment as it was, so `make smoke` may do it too."""

import asyncio
import base64
from typing import Any

import httpx

from sandbox.client import GatewayClient
from tests.deployment.deployment import Deployment
from tests.deployment.step import body, harmless_step, step

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
"""An image of one pixel."""
_LISTINGS = 20
_PAUSE_SECONDS = 0.5


@harmless_step
async def an_update_of_a_stale_configuration_is_refused(gateway: GatewayClient) -> None:
    """A wrong `If-Match` is a 412, and the version stays."""
    before = await gateway.request("GET", "/api/v1/images/config")
    fields = {"IMAGE_SIZE": body(before)["IMAGE_SIZE"]}

    refused = await gateway.request(
        "POST", "/api/v1/images/config/update", json=fields, headers={"If-Match": '"123456789"'}
    )

    assert body(refused, 412)["code"] == "precondition_failed"
    after = await gateway.request("GET", "/api/v1/images/config")
    assert (after.headers["etag"], body(after)) == (before.headers["etag"], body(before))


@harmless_step
async def a_token_can_be_created_listed_used_and_revoked(gateway: GatewayClient) -> None:
    """A user's token, which does not work for administrators' routes."""
    created = body(await gateway.request("POST", "/api/v1/images/tokens", json={"name": "smoke", "role": "user"}), 201)
    try:
        listed = await _tokens(gateway, created["id"], there=True)
        assert not [token for token in listed if "token" in token]
        body(await gateway.request("GET", "/api/v1/images/jobs", token=created["token"]))
        body(await gateway.request("GET", "/api/v1/images/config", token=created["token"]), 403)
    finally:
        revoked = await gateway.request("DELETE", f"/api/v1/images/tokens/{created['id']}")
    body(revoked, 204)
    # Functions that have seen it accept it for some seconds more.
    await _tokens(gateway, created["id"], there=False)


@harmless_step
async def models_are_listed(gateway: GatewayClient) -> None:
    """In OpenAI's format, if no engine is configured too."""
    assert body(await gateway.request("GET", "/v1/models"))["object"] == "list"


@harmless_step
async def the_configured_engine_accepts_its_key(gateway: GatewayClient) -> None:
    """If generation is switched on. This costs nothing."""
    if body(await gateway.request("GET", "/api/v1/images/config"))["ENABLE_IMAGE_GENERATION"]:
        assert body(await gateway.request("GET", "/api/v1/images/config/url/verify")) is True


@harmless_step
async def jobs_are_listed_for_administrators(gateway: GatewayClient) -> None:
    """Everybody's, those with a status, and those of one owner."""
    for query in ("limit=1", "status=failed&limit=1", "owner=event:sqs&limit=1"):
        assert len(body(await gateway.request("GET", f"/api/v1/images/jobs?{query}"))["jobs"]) <= 1


@harmless_step
async def what_waits_is_counted(gateway: GatewayClient) -> None:
    """Messages in the queues and dead letters in the bucket, for administrators; one's own account, for everybody."""
    body(await gateway.request("GET", "/api/v1/images/health"))
    body(await gateway.request("GET", "/api/v1/images/account"))


@harmless_step
async def the_bucket_accepts_an_upload(gateway: GatewayClient) -> None:
    """The bucket removes it, one pixel, after a day."""
    stored = await _upload(gateway, PNG)
    assert stored.is_success, stored.text


@step
async def the_bucket_accepts_no_more_than_the_declared_size(deployment: Deployment) -> None:
    """The form's policy says so. moto ignores it, so this is no step for any deployment."""
    larger = await _upload(deployment, PNG + b"x")
    assert "EntityTooLarge" in larger.text, larger.text


async def _upload(gateway: GatewayClient, data: bytes) -> httpx.Response:
    """Send data with a form for an upload of one pixel."""
    form = {"content_type": "image/png", "bytes": len(PNG)}
    upload = body(await gateway.request("POST", "/api/v1/images/uploads", json=form), 201)
    async with httpx.AsyncClient(timeout=60, trust_env=False) as client:
        return await client.post(upload["url"], data=upload["fields"], files={"file": data})


async def _tokens(gateway: GatewayClient, token_id: str, *, there: bool) -> list[dict[str, Any]]:
    """Return the newest tokens, once a token is among them or is not. The list may be some seconds late."""
    for _ in range(_LISTINGS):
        tokens: list[dict[str, Any]] = body(await gateway.request("GET", "/api/v1/images/tokens"))["tokens"]
        if (token_id in [token["id"] for token in tokens]) is there:
            return tokens
        await asyncio.sleep(_PAUSE_SECONDS)
    raise AssertionError(f"the list of tokens {'lacks' if there else 'still has'} {token_id}")
