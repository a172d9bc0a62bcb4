"""Concurrent requests with one Idempotency-Key, over HTTP, to several processes of a function."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests import web
from tests.conformance.conftest import Engine, Gateway
from tests.integration.sandbox_process import MAX_WAIT_SECONDS

pytestmark = pytest.mark.xdist_group("conformance")


@pytest.mark.parametrize("timeout", [20, 240], ids=["inline", "queued"])
def test_concurrent_requests_with_one_key_are_one_job(
    gateway: Gateway, engines: dict[str, Engine], timeout: int
) -> None:
    """Twenty concurrent requests with one key get the same image, and the engine is called once."""
    gateway.use("openai")
    gateway.configure(IMAGE_ENGINE_TIMEOUT=timeout)
    engine = engines["openai"]
    engine.reset()
    headers = {"Authorization": f"Bearer {gateway.token}", "Idempotency-Key": str(uuid.uuid4())}

    def generate(url: str) -> httpx.Response:
        form = {"prompt": "a fox", "size": "64x64"}
        with httpx.Client(verify=web.TLS, trust_env=False, follow_redirects=True, timeout=MAX_WAIT_SECONDS) as client:
            return client.post(url, headers=headers, json=form)

    with ThreadPoolExecutor(20) as threads:
        responses = list(threads.map(generate, [f"{gateway.url}/api/v1/images/generations"] * 20))

    assert [response.status_code for response in responses] == [200] * 20
    assert len({response.json()[0]["id"] for response in responses}) == 1
    assert len(engine.posts("/images/generations")) == 1
    gateway.configure(IMAGE_ENGINE_TIMEOUT=240)
