"""Generations: inline and queued, redirects, idempotency, retries, and responses that are too long for Lambda."""

import asyncio
import base64
import io
import uuid
from urllib.parse import urljoin

import httpx
from PIL import Image

from sandbox.engines.state import Fault
from tests.deployment.deployment import FOX, LARGE_IMAGES, Deployment, download
from tests.deployment.step import body, step

GENERATIONS = "/api/v1/images/generations"
QUEUED = {"Prefer": "respond-async"}


@step
async def an_image_is_generated_inline(deployment: Deployment) -> None:
    """Its presigned URL leads to a PNG of the requested size, and its end is announced."""
    (image,) = await deployment.post(GENERATIONS, FOX)

    assert Image.open(io.BytesIO(await download(image["url"]))).size == (1024, 1024)
    job_id = image["id"].rpartition("-")[0]
    announced = await deployment.until_event(job_id)
    assert (announced["channel"], announced["status"]) == ("images", "succeeded")


@step
async def an_image_is_generated_by_openai_s_api(deployment: Deployment) -> None:
    """As base64, in a format that Pillow converts it to in its layer."""
    form = {"prompt": "a heron", "size": "1024x1024", "output_format": "webp", "response_format": "b64_json"}

    made = await deployment.post("/v1/images/generations", form)

    assert Image.open(io.BytesIO(base64.b64decode(made["data"][0]["b64_json"]))).format == "WEBP"


@step
async def a_queued_image_is_generated_by_the_worker(deployment: Deployment) -> None:
    """`respond-async` is a 202 with a job, whose result is the image."""
    job = await deployment.post(GENERATIONS, {**FOX, "prompt": "a queued fox"}, 202, headers=QUEUED)

    await deployment.ended(job["id"])
    (image,) = await deployment.get(f"/api/v1/images/jobs/{job['id']}/result")
    assert await download(image["url"])


@step
async def a_slow_image_is_redirected_to_its_result(deployment: Deployment) -> None:
    """A 303 to an address that waits, for a client that follows redirects."""
    async with deployment.settings(IMAGE_ENGINE_TIMEOUT=60), deployment.engine_with(latency=2):
        form = {**FOX, "prompt": "a slow fox"}
        response = await deployment.request(
            "POST", GENERATIONS, token=deployment.user_token, json=form, headers={"Prefer": "wait=1"}
        )
        assert body(response, 303)["code"] == "not_done"
        address = urljoin(str(response.request.url), response.headers["location"])
        async with httpx.AsyncClient(timeout=60, trust_env=False, follow_redirects=True) as client:
            headers = {"Authorization": f"Bearer {deployment.user_token}"}
            (image,) = body(await client.get(address, headers=headers))
    assert await download(image["url"])


@step
async def a_response_too_long_for_lambda_comes_from_the_bucket(deployment: Deployment) -> None:
    """More than 6 MB of base64 are redirected to a presigned URL of the whole response, inline and as a result."""
    form = {"prompt": "noise", "n": 2, "response_format": "b64_json"}
    async with deployment.engine_with(LARGE_IMAGES):
        inline = await deployment.request("POST", "/v1/images/generations", token=deployment.user_token, json=form)
        job = await deployment.post("/v1/images/generations", {**form, "prompt": "more noise"}, 202, headers=QUEUED)
        await deployment.ended(job["id"])
    result = await deployment.request("GET", f"/v1/images/jobs/{job['id']}/result", token=deployment.user_token)

    for response in (inline, result):
        assert response.status_code == 303, response.text[:300]
        assert len(await download(response.headers["location"])) > 6_000_000


@step
async def twenty_requests_at_once_with_one_key_are_one_job(deployment: Deployment) -> None:
    """One is paid for, and the others get its image or a redirect to it."""
    form, key = {**FOX, "prompt": f"one fox {uuid.uuid4()}"}, {"Idempotency-Key": str(uuid.uuid4())}
    requests = [
        deployment.request(
            "POST", GENERATIONS, token=deployment.user_token, json=form, headers=key, follow_redirects=True
        )
        for _ in range(20)
    ]

    images = [body(response) for response in await asyncio.gather(*requests)]

    assert len({image["id"] for (image,) in images}) == 1
    assert deployment.requests_of(form["prompt"]) == 1
    other = {**form, "prompt": "another fox"}
    await deployment.post(GENERATIONS, other, 422, headers=key)


@step
async def a_retry_of_openai_s_client_is_not_paid_twice(deployment: Deployment) -> None:
    """The same body again, with the header that its client sends with retries."""
    form = {**FOX, "prompt": f"a fox again {uuid.uuid4()}"}

    (first,), (second,) = [
        await deployment.post(GENERATIONS, form, headers={"X-Stainless-Retry-Count": count}) for count in ("0", "1")
    ]

    assert first["id"] == second["id"]
    assert deployment.requests_of(form["prompt"]) == 1


@step
async def a_job_that_the_engine_delays_is_tried_again(deployment: Deployment) -> None:
    """A 429 costs nothing. After three of them the attempt is over, and the worker sends the job's message again."""
    form = {**FOX, "prompt": f"a patient fox {uuid.uuid4()}"}
    refusal = Fault(status=429, body={"error": {"message": "slow down"}}, headers={"Retry-After": "0"}, times=3)
    async with deployment.engine_with(refusal):
        job = await deployment.post(GENERATIONS, form, 202, headers=QUEUED)
        found = await deployment.ended(job["id"])

    assert found["attempts"] == 2, found
    assert deployment.requests_of(form["prompt"]) == 4


@step
async def a_request_that_the_engine_refuses_is_an_error_with_its_reason(deployment: Deployment) -> None:
    """A size that the engine does not have."""
    refused = await deployment.post(GENERATIONS, {"prompt": "a fox", "size": "1000x1000"}, 400)

    assert "divisible by 16" in refused["detail"]


@step
async def an_engine_with_one_slot_gets_one_job_at_a_time(deployment: Deployment) -> None:
    """AUTOMATIC1111: the worker holds its slot in the table."""
    async with deployment.settings(IMAGE_GENERATION_ENGINE="automatic1111", IMAGE_GENERATION_MODEL=""):
        form = {"prompt": "a fox on a GPU", "size": "512x512"}
        jobs = [await deployment.post(GENERATIONS, form, 202, headers=QUEUED) for _ in range(2)]
        for job in jobs:
            await deployment.ended(job["id"])
