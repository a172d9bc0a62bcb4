"""What real HTTP clients make of being sent on, through the sandbox's front with the template's routes."""

import json
import subprocess
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import requests
from owui_client import OpenWebUI
from owui_client.models.images import CreateImageForm

from tests.integration.handlers import Handlers

if TYPE_CHECKING:
    from sandbox.engines.state import SandboxState
    from tests.integration.conftest import Deployment

PATH = "/api/v1/images/generations"
BODY = {"prompt": "a fox", "size": "64x64"}


@pytest.fixture
def handlers() -> Handlers:
    return Handlers()


@pytest.fixture
def url(
    queued: "Deployment",
    openai: "SandboxState",
    handlers: Handlers,
    serve: Callable[..., str],
    serving_worker: None,
) -> str:
    """The base URL of a gateway whose engine takes several waits."""
    openai.knobs.latency = 1.5
    queued.redeploy(wait_seconds=0.5)
    queued.take_over()
    return serve(handlers.front())


@pytest.fixture
def authorization(queued: "Deployment") -> dict[str, str]:
    return {"Authorization": f"Bearer {queued.tokens['user']}"}


def with_requests(url: str, headers: dict[str, str]) -> Any:
    with requests.Session() as session:
        session.trust_env = False
        return session.post(url, json=BODY, headers=headers, timeout=60).json()


def with_httpx(url: str, headers: dict[str, str]) -> Any:
    return httpx.post(url, json=BODY, headers=headers, follow_redirects=True, timeout=60, trust_env=False).json()


def with_curl(url: str, headers: dict[str, str]) -> Any:
    sent = [text for name, value in headers.items() for text in ("-H", f"{name}: {value}")]
    command = ["curl", "-sSL", "--noproxy", "*", url, *sent, "-H", "Content-Type: application/json"]
    return json.loads(subprocess.run([*command, "-d", json.dumps(BODY)], capture_output=True, check=True).stdout)  # noqa: S603 - curl, by intention


@pytest.mark.parametrize("client", [with_requests, with_httpx, with_curl])
def test_a_client_that_follows_gets_its_pictures(
    url: str,
    authorization: dict[str, str],
    handlers: Handlers,
    openai: "SandboxState",
    client: Callable[[str, dict[str, str]], Any],
) -> None:
    """Over several waits, with its Authorization kept, for one call of the engine."""
    (picture,) = client(url + PATH, authorization)

    assert httpx.get(picture["url"]).content[:4] == b"\x89PNG"
    assert handlers.calls[0] == f"POST {PATH}"
    assert len(handlers.calls) >= 3
    assert set(handlers.calls[1:]) == {"GET /api/v1/images/jobs/{id}/result"}
    assert len(openai.record) == 1


def test_the_front_prefers_jobs_to_a_picture_of_that_name(url: str, authorization: dict[str, str]) -> None:
    """As API Gateway does: the route without a parameter wins."""
    answer = httpx.get(f"{url}/api/v1/images/jobs", headers=authorization)

    assert answer.json() == {"jobs": []}
    assert httpx.get(f"{url}/api/v1/images/config", headers=authorization).status_code == 403


@pytest.mark.anyio
async def test_a_client_that_does_not_follow_is_told_the_job(url: str, queued: "Deployment") -> None:
    """owui-client raises an error whose message names it."""
    client = OpenWebUI(api_url=f"{url}/api", api_key=queued.tokens["user"])

    with pytest.raises(httpx.HTTPStatusError) as caught:
        await client.images.generate_image(CreateImageForm(prompt="a fox"))
    await client._client.aclose()

    (job,) = (await queued.gateway.jobs.page(owner=None))[0]
    assert job.id in str(caught.value)
