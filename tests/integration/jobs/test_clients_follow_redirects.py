"""How real HTTP clients follow redirects to a result, through the sandbox's front with the template's routes."""

import asyncio
import base64
import json
import re
import subprocess
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import requests
from openai import AsyncOpenAI, InternalServerError, OpenAI
from openai.types import ImagesResponse
from owui_client import OpenWebUI
from owui_client.models.images import CreateImageForm

from tests import web
from tests.integration.in_process_functions import InProcessFunctions
from tests.polling import LONG

if TYPE_CHECKING:
    from sandbox.engines.state import SandboxState
    from tests.integration.deployment import Deployment

PATH = "/api/v1/images/generations"
BODY = {"prompt": "a fox", "size": "64x64"}


def finish_at_the_third_call(openai: "SandboxState") -> Callable[[list[str]], None]:
    """Return a callback that lets the engine finish at the client's third request."""

    def before(calls: list[str]) -> None:
        if len(calls) == 3:
            openai.knobs.latency = 0

    return before


@pytest.fixture
def handlers(openai: "SandboxState") -> InProcessFunctions:
    """The functions' handlers; at the third call the engine finishes."""
    return InProcessFunctions(finish_at_the_third_call(openai))


@pytest.fixture
def url(
    queue_deployment: "Deployment",
    openai: "SandboxState",
    handlers: InProcessFunctions,
    serve: Callable[..., str],
    running_worker: None,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[str]:
    """The base URL of a gateway whose engine takes longer than several waits; clients use no proxy for it."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    openai.knobs.latency = LONG
    queue_deployment.configure(IMAGE_ENGINE_TIMEOUT=60)
    queue_deployment.redeploy(wait_seconds=0.1)
    queue_deployment.activate()
    yield serve(handlers.front())
    # The worker waits for the jobs that it has started.
    openai.knobs.latency = 0


@pytest.fixture
def authorization(queue_deployment: "Deployment") -> dict[str, str]:
    """A user's `Authorization` header."""
    return {"Authorization": f"Bearer {queue_deployment.tokens['user']}"}


def post_with_requests(url: str, headers: dict[str, str]) -> Any:
    """Send a generation with requests."""
    with requests.Session() as session:
        session.trust_env = False
        return session.post(url, json=BODY, headers=headers, timeout=60).json()


def post_with_httpx(url: str, headers: dict[str, str]) -> Any:
    """Send a generation with httpx."""
    return web.post(url, json=BODY, headers=headers, follow_redirects=True, timeout=60, trust_env=False).json()


def post_with_curl(url: str, headers: dict[str, str]) -> Any:
    """Send a generation with curl."""
    sent = [text for name, value in headers.items() for text in ("-H", f"{name}: {value}")]
    command = ["curl", "-sSL", "--noproxy", "*", url, *sent, "-H", "Content-Type: application/json"]
    return json.loads(subprocess.run([*command, "-d", json.dumps(BODY)], capture_output=True, check=True).stdout)  # noqa: S603 - curl is the client under test


@pytest.mark.parametrize("client", [post_with_requests, post_with_httpx, post_with_curl])
def test_a_client_that_follows_redirects_receives_its_images(
    url: str,
    authorization: dict[str, str],
    handlers: InProcessFunctions,
    openai: "SandboxState",
    client: Callable[[str, dict[str, str]], Any],
) -> None:
    """Over several waits, with its `Authorization` kept, for one call of the engine."""
    (image,) = client(url + PATH, authorization)

    assert web.get(image["url"]).content[:4] == b"\x89PNG"
    assert handlers.calls[0] == f"POST {PATH}"
    assert len(handlers.calls) >= 3
    assert set(handlers.calls[1:]) == {"GET /api/v1/images/jobs/{id}/result"}
    assert len(openai.record) == 1


def test_the_front_prefers_a_route_without_parameters(url: str, authorization: dict[str, str]) -> None:
    """As in API Gateway, `/images/jobs` is the list of jobs, not an image called `jobs`."""
    response = web.get(f"{url}/api/v1/images/jobs", headers=authorization)

    assert response.json() == {"jobs": []}
    assert web.get(f"{url}/api/v1/images/config", headers=authorization).status_code == 403


@pytest.mark.anyio
async def test_a_client_that_does_not_follow_gets_an_error_with_the_job_id(
    url: str, queue_deployment: "Deployment"
) -> None:
    """owui-client raises an error whose message contains it."""
    client = OpenWebUI(api_url=f"{url}/api", api_key=queue_deployment.tokens["user"])

    with pytest.raises(httpx.HTTPStatusError) as caught:
        await client.images.generate_image(CreateImageForm(prompt="a fox"))
    await client._client.aclose()

    (job,) = (await queue_deployment.gateway.jobs.page(owner=None))[0]
    assert job.id in str(caught.value)


def generate_with_openai(url: str, token: str) -> ImagesResponse:
    """Generate with the OpenAI SDK."""
    with OpenAI(base_url=f"{url}/v1", api_key=token, max_retries=0) as client:
        return client.images.generate(prompt="a fox", size="64x64")


def generate_with_async_openai(url: str, token: str) -> ImagesResponse:
    """Generate with the OpenAI SDK's asynchronous client."""

    async def generate() -> ImagesResponse:
        async with AsyncOpenAI(base_url=f"{url}/v1", api_key=token, max_retries=0) as client:
            return await client.images.generate(prompt="a fox", size="64x64")

    return asyncio.run(generate())


@pytest.mark.parametrize("client", [generate_with_openai, generate_with_async_openai])
def test_the_openai_sdk_receives_its_images(
    url: str,
    queue_deployment: "Deployment",
    handlers: InProcessFunctions,
    openai: "SandboxState",
    client: Callable[[str, str], ImagesResponse],
) -> None:
    """Over several waits, as base64 in the response, for one call of the engine."""
    response = client(url, queue_deployment.tokens["user"])

    assert decoded_image(response)[:4] == b"\x89PNG"
    assert handlers.calls[0] == "POST /v1/images/generations"
    assert len(handlers.calls) >= 3
    assert set(handlers.calls[1:]) == {"GET /v1/images/jobs/{id}/result"}
    assert len(openai.record) == 1


class LosingFirstResponse(InProcessFunctions):
    """Replace the first response with a 504, as a proxy with a shorter timeout than the gateway does."""

    async def invoke(self, name: str, event: dict[str, Any]) -> Any:
        """Run one event."""
        response = await super().invoke(name, event)
        # The SDK's own header: milliseconds until it retries.
        return {"statusCode": 504, "headers": {"retry-after-ms": "1"}} if len(self.calls) == 1 else response


def test_a_lost_response_is_not_paid_twice(
    url: str, queue_deployment: "Deployment", openai: "SandboxState", serve: Callable[..., str]
) -> None:
    """After a 504 the SDK retries by itself and receives the images of the first request's job."""
    handlers = LosingFirstResponse(finish_at_the_third_call(openai))

    with OpenAI(
        base_url=f"{serve(handlers.front())}/v1", api_key=queue_deployment.tokens["user"], max_retries=1
    ) as client:
        response = client.images.generate(prompt="a fox", size="64x64")

    assert handlers.calls[:2] == ["POST /v1/images/generations"] * 2
    assert decoded_image(response)[:4] == b"\x89PNG"
    assert len(openai.record) == 1
    assert len(queue_deployment.jobs()) == 1


def test_after_nine_redirects_the_sdk_gets_a_504_that_names_the_job(
    url: str, queue_deployment: "Deployment", handlers: InProcessFunctions, openai: "SandboxState"
) -> None:
    """The SDK does not retry it; the job goes on, and its result can be read."""
    handlers.before = lambda _calls: None
    queue_deployment.redeploy(wait_seconds=0)
    with OpenAI(base_url=f"{url}/v1", api_key=queue_deployment.tokens["user"], max_retries=2) as client:
        with pytest.raises(InternalServerError) as caught:
            client.images.generate(prompt="a fox", size="64x64")
        openai.knobs.latency = 0
        queue_deployment.redeploy(wait_seconds=20)
        named = re.search(r"The job (\S+) has not ended yet", caught.value.message)
        assert named
        response = client.get(f"/images/jobs/{named[1]}/result", cast_to=ImagesResponse)

    assert (caught.value.status_code, caught.value.code) == (504, "engine_timeout")
    assert decoded_image(response)[:4] == b"\x89PNG"
    assert len(openai.record) == 1


def decoded_image(response: ImagesResponse) -> bytes:
    """Return the only image of a response."""
    assert response.data is not None
    (image,) = response.data
    return base64.b64decode(image.b64_json or "")
