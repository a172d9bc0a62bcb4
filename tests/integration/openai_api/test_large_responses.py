"""Responses that exceed the size limit of a Lambda response."""

import base64
import hashlib
import io
import json
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

import openai
import pytest
import requests
from PIL import Image
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from image_gateway.api import WARNINGS_HEADER
from image_gateway.openai_api import responses
from sandbox.lambda_environment import MAX_PAYLOAD_BYTES
from tests import web
from tests.integration.in_process_functions import InProcessFunctions

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

PATH = "/v1/images/generations"


def noise(seed: int) -> bytes:
    """Return an image of 1.5 MB that cannot be compressed."""
    side = 710
    out = io.BytesIO()
    Image.frombytes("RGB", (side, side), random.Random(seed).randbytes(side * side * 3)).save(out, "PNG")
    return out.getvalue()


@pytest.fixture(scope="module")
def images() -> list[bytes]:
    """Ten images of 1.5 MB."""
    return [noise(seed) for seed in range(10)]


@pytest.fixture
def large_image_deployment(deployment: "Deployment", serve: Callable[..., str], images: list[bytes]) -> "Deployment":
    """A deployment whose engine returns `n` images of 1.5 MB."""

    async def generations(request: Request) -> Response:
        n = (await request.json())["n"]
        return JSONResponse({"data": [{"b64_json": base64.b64encode(data).decode()} for data in images[:n]]})

    app = Starlette(routes=[Route("/v1/images/generations", generations, methods=["POST"])])
    deployment.configure(
        ENABLE_IMAGE_GENERATION=True,
        IMAGES_OPENAI_API_BASE_URL=f"{serve(app)}/v1",
        IMAGES_OPENAI_API_KEY="k",
        IMAGE_ENGINE_TIMEOUT=20,
        IMAGE_PROVENANCE="keep",
    )
    return deployment


@pytest.fixture
def base_url(large_image_deployment: "Deployment", serve: Callable[..., str]) -> str:
    """The gateway over HTTP, with the template's routes."""
    large_image_deployment.activate()
    return serve(InProcessFunctions().front())


def digests(images: list[str]) -> list[str]:
    """Return the SHA-256 of images in base64."""
    return [hashlib.sha256(base64.b64decode(image)).hexdigest() for image in images]


def test_the_sdk_receives_ten_images_as_base64(
    large_image_deployment: "Deployment", base_url: str, images: list[bytes]
) -> None:
    """The SDK follows the redirect to the stored response without its key, and every byte is there."""
    client = openai.OpenAI(base_url=f"{base_url}/v1", api_key=large_image_deployment.tokens["user"], max_retries=0)

    response = client.images.generate(prompt="a fox", n=10, response_format="b64_json")

    assert all(len(image) > 1_500_000 for image in images)
    assert digests([image.b64_json or "" for image in response.data or ()]) == [
        hashlib.sha256(image).hexdigest() for image in images
    ]


def test_other_clients_follow_without_their_token(large_image_deployment: "Deployment", base_url: str) -> None:
    """No client sends its token to the host of the redirect."""
    headers = {"Authorization": f"Bearer {large_image_deployment.tokens['user']}"}
    body: dict[str, str | int] = {"prompt": "a fox", "n": 3, "seed": 1}

    by_requests = requests.post(base_url + PATH, json=body, headers=headers, timeout=60)
    by_httpx = web.post(base_url + PATH, json=body, headers=headers, timeout=60, follow_redirects=True)

    for response in (by_requests, by_httpx):
        assert response.status_code == 200
        assert len(response.history) == 1
        assert len(response.json()["data"]) == 3
        assert "authorization" not in response.request.headers
        # The header of the redirect is not part of the final response.
        assert response.json()["warnings"] == ["seed is not supported by openai and was ignored"]


@pytest.mark.parametrize(("n", "status"), [(2, 200), (3, 303)])
def test_a_response_within_the_limit_is_not_redirected(
    large_image_deployment: "Deployment", n: int, status: int
) -> None:
    """A function never returns more than Lambda's 6 MB."""
    response = large_image_deployment.call("POST", PATH, {"prompt": "a fox", "n": n, "seed": 1}, role="user")

    assert response.status == status
    assert len(json.dumps({"body": response.text, "headers": response.headers})) < MAX_PAYLOAD_BYTES
    assert '"seed is not' in response.headers[WARNINGS_HEADER]
    assert large_image_deployment.stored("answers/") == (
        [f"answers/{large_image_deployment.jobs()[0].id}.json"] if status == 303 else []
    )


def test_a_large_result_is_redirected(large_image_deployment: "Deployment") -> None:
    """The images of a job that ran in another function are read from the bucket."""
    large_image_deployment.call("POST", PATH, {"prompt": "a fox", "n": 3}, role="user")

    response = large_image_deployment.call(
        "GET", f"/v1/images/jobs/{large_image_deployment.jobs()[0].id}/result", role="user"
    )

    assert response.status == 303
    assert response.headers["cache-control"] == "no-store"
    assert len(web.get(response.headers["location"]).json()["data"]) == 3


def test_more_than_memory_holds_is_a_413_that_names_the_url_form(
    large_image_deployment: "Deployment", monkeypatch: pytest.MonkeyPatch
) -> None:
    """The images are kept: the error's path returns them as URLs. The SDK does not retry."""
    monkeypatch.setattr(responses, "MAX_BASE64_IMAGE_BYTES", 4_000_000)

    response = large_image_deployment.call("POST", PATH, {"prompt": "a fox", "n": 3}, role="user")

    error = response.json["error"]
    assert (response.status, error["code"], error["param"]) == (413, "too_large", "response_format")
    assert response.headers["x-should-retry"] == "false"
    path = error["message"].partition("GET ")[2].partition(" ")[0]
    result = large_image_deployment.call("GET", path, role="user").json
    assert [len(web.get(image["url"]).content) > 1_500_000 for image in result["data"]] == [True] * 3


def test_ten_urls_are_returned_directly(large_image_deployment: "Deployment") -> None:
    """URLs never exceed the limit."""
    response = large_image_deployment.call(
        "POST", PATH, {"prompt": "a fox", "n": 10, "response_format": "url"}, role="user"
    )

    assert response.status == 200
    assert len(response.json["data"]) == 10
