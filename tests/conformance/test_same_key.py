"""One Idempotency-Key from many clients at the same time, over HTTP, to several processes of a function."""

import uuid
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.conformance.conftest import Engine, Gateway
from tests.integration.sandbox_process import MAX_WAIT_SECONDS

pytestmark = pytest.mark.xdist_group("conformance")


@pytest.mark.parametrize("timeout", [20, 240], ids=["inline", "queued"])
def test_one_key_from_twenty_threads_is_one_job(gateway: Gateway, engines: dict[str, Engine], timeout: int) -> None:
    """All are answered the same image, and the engine is asked once."""
    gateway.use("openai")
    gateway.configure(IMAGE_ENGINE_TIMEOUT=timeout)
    engine = engines["openai"]
    engine.afresh()
    headers = {"Authorization": f"Bearer {gateway.token}", "Idempotency-Key": str(uuid.uuid4())}

    def ask(url: str) -> httpx.Response:
        form = {"prompt": "a fox", "size": "64x64"}
        with httpx.Client(trust_env=False, follow_redirects=True, timeout=MAX_WAIT_SECONDS) as client:
            return client.post(url, headers=headers, json=form)

    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(ask, [f"{gateway.url}/api/v1/images/generations"] * 20))

    assert [answer.status_code for answer in answers] == [200] * 20
    assert len({answer.json()[0]["id"] for answer in answers}) == 1
    assert len(engine.record("/images/generations")) == 1
    gateway.configure(IMAGE_ENGINE_TIMEOUT=240)
