"""Connections, routes and workflows: stored, used and deleted."""

import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sandbox.engines.comfyui_workflows import CHECKPOINT
from sandbox.engines.painter import paint
from sandbox.gateway import ENGINE_KEY
from tests.deployment.deployment import FOX, Deployment, download
from tests.deployment.step import body, step

ROUTE = "with-a-fallback"
NOBODY = "http://127.0.0.1:9/v1"
"""A server that is not there."""


@step
async def a_route_generates_at_its_second_connection(deployment: Deployment) -> None:
    """The first is not there. That is recorded, so that it is left alone for a while."""
    async with _route(deployment):
        for _ in range(3):
            (image,) = await deployment.post("/api/v1/images/generations", {**FOX, "model": ROUTE})
        assert await download(image["url"])
        job = await deployment.get(f"/api/v1/images/jobs/{image['id'].rpartition('-')[0]}")
        assert (job["route"], job["connection"]) == (ROUTE, "second"), job


@step
async def a_route_edits_at_its_second_connection(deployment: Deployment) -> None:
    """As it generates. The failures of the first are those of another target."""
    photo = base64.b64encode(paint("a photo", 512, 384, format="JPEG")).decode()
    async with _route(deployment, first="first-for-edits"):
        form = {"prompt": "at night", "image": photo, "model": ROUTE, "size": "1024x1024"}
        for _ in range(3):
            (image,) = await deployment.post("/api/v1/images/edit", form)
        assert await download(image["url"])


@step
async def a_queued_job_uses_a_route(deployment: Deployment) -> None:
    """The worker tries the same targets."""
    async with _route(deployment):
        form = {**FOX, "model": ROUTE}
        job = await deployment.post("/api/v1/images/generations", form, 202, headers={"Prefer": "respond-async"})
        assert (await deployment.ended(job["id"]))["connection"] == "second"


@step
async def a_named_workflow_is_stored_tried_and_deleted(deployment: Deployment) -> None:
    """By an administrator, on the configured ComfyUI."""
    path = "/api/v1/images/workflows/portrait"
    workflow = {"workflow": json.dumps(CHECKPOINT.workflow), "nodes": CHECKPOINT.nodes}
    body(await deployment.request("PUT", path, json=workflow), 201)
    try:
        tried = await deployment.request("POST", f"{path}/try", json={"prompt": "a fox"}, follow_redirects=True)
        (image,) = body(tried)
        assert await download(image["url"])
    finally:
        body(await deployment.request("DELETE", path), 204)
    body(await deployment.request("GET", path), 404)


@asynccontextmanager
async def _route(deployment: Deployment, first: str = "first") -> AsyncIterator[None]:
    """Store a route whose first connection is not there, during a block."""
    targets: list[dict[str, Any]] = [{"connection": first}, {"connection": "second", "model": "gpt-image-2"}]
    items: dict[str, Any] = {
        f"connections/{first}": {"engine": "openai", "base_url": NOBODY, "key": "k", "timeout_seconds": 5},
        "connections/second": {
            "engine": "openai",
            "base_url": f"{deployment.engine_urls['openai']}/v1",
            "key": ENGINE_KEY,
            "timeout_seconds": 15,
        },
        f"routes/{ROUTE}": {"targets": targets},
    }
    for path, item in items.items():
        body(await deployment.request("PUT", f"/api/v1/images/{path}", json=item), 201)
    try:
        yield
    finally:
        for path in reversed(items):
            body(await deployment.request("DELETE", f"/api/v1/images/{path}"), 204)
