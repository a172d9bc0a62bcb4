"""Edits: inputs by form, as base64, by id and by upload, inline and queued."""

import base64
import io
from typing import Any

import httpx
from PIL import Image

from sandbox.engines.painter import paint
from tests.deployment.deployment import FOX, LARGE_IMAGES, Deployment, download
from tests.deployment.step import body, step

EDIT = "/api/v1/images/edit"
PHOTO = paint("a photo", 512, 384, format="JPEG")


@step
async def a_photo_is_edited_from_json(deployment: Deployment) -> None:
    """Sent as base64 in the request itself."""
    await _is_edited(deployment, base64.b64encode(PHOTO).decode())


@step
async def a_photo_is_edited_from_a_form(deployment: Deployment) -> None:
    """As OpenAI's clients send it."""
    response = await deployment.request(
        "POST",
        "/v1/images/edits",
        token=deployment.user_token,
        data={"prompt": "at night", "response_format": "url"},
        files={"image": ("photo.jpg", PHOTO, "image/jpeg")},
    )

    assert await download(body(response)["data"][0]["url"])


@step
async def a_photo_is_edited_from_an_upload(deployment: Deployment) -> None:
    """Sent to the bucket by a presigned POST, and named by its id."""
    form = {"content_type": "image/jpeg", "bytes": len(PHOTO)}
    upload = await deployment.post("/api/v1/images/uploads", form, 201)
    async with httpx.AsyncClient(trust_env=False) as client:
        stored = await client.post(upload["url"], data=upload["fields"], files={"file": PHOTO})
    assert stored.is_success, stored.text

    await _is_edited(deployment, upload["id"])


@step
async def an_image_is_edited_by_its_id(deployment: Deployment) -> None:
    """Which the edit function reads from the bucket."""
    (image,) = await deployment.post("/api/v1/images/generations", FOX)

    await _is_edited(deployment, image["id"])


@step
async def a_queued_edit_keeps_its_input_for_the_worker(deployment: Deployment) -> None:
    """The input is stored, because a message of SQS is too small for it."""
    form = {"prompt": "at dusk", "image": base64.b64encode(PHOTO).decode()}
    job = await deployment.post(EDIT, form, 202, headers={"Prefer": "respond-async"})

    found = await deployment.ended(job["id"])
    assert found["kind"] == "edit"


@step
async def an_edit_too_long_for_lambda_comes_from_the_bucket(deployment: Deployment) -> None:
    """As a generation does."""
    form = {"prompt": "noise", "response_format": "b64_json", "image": base64.b64encode(PHOTO).decode()}
    async with deployment.engine_with(LARGE_IMAGES):
        response = await deployment.request("POST", "/v1/images/edits", token=deployment.user_token, json=form)

    assert response.status_code == 303, response.text[:300]
    assert len(await download(response.headers["location"])) > 6_000_000


async def _is_edited(deployment: Deployment, image: str) -> None:
    files = len(deployment.engine.record)
    form: dict[str, Any] = {"prompt": "at night", "image": image, "size": "1024x1024"}
    (made,) = await deployment.post(EDIT, form)
    assert Image.open(io.BytesIO(await download(made["url"]))).size == (1024, 1024)
    assert [len(request.files) for request in deployment.engine.record[files:]] == [1]
