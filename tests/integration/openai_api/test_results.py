"""Results of queued jobs in OpenAI's shape, and redirects to them."""

import base64
import json
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from openai.types import ImagesResponse

from functions.generate.app import handler as generate_handler
from image_gateway.api import WARNINGS_HEADER
from tests import web
from tests.integration.openai_api.generation import PATH, generate, parsed_images, parsed_response

if TYPE_CHECKING:
    from sandbox.engines.state import SandboxState
    from tests.integration.deployment import Deployment


def test_an_unfinished_job_redirects_to_its_result_in_openais_shape(queue_deployment: "Deployment") -> None:
    """The result has the response format and the warnings of the request."""
    redirect = generate(queue_deployment, response_format="url", foo=1)
    queue_deployment.process_queue()

    location = urljoin(PATH, redirect.headers["location"])
    response = queue_deployment.call("GET", location, role="user")

    assert redirect.status == 303
    assert redirect.json["error"]["code"] == "not_done"
    assert location.startswith("/v1/images/jobs/")
    assert parsed_images(response)[0].url
    assert '"foo is not' in response.headers[WARNINGS_HEADER]


def test_a_job_of_another_channel_can_be_read_in_both_formats(queue_deployment: "Deployment") -> None:
    """Any job's result can be read in OpenAI's shape, as base64 or as URLs."""
    queue_deployment.call("POST", "/api/v1/images/generations", {"prompt": "a fox", "size": "64x64"}, role="user")
    queue_deployment.process_queue()
    path = f"/v1/images/jobs/{queue_deployment.jobs()[0].id}/result"

    as_base64 = parsed_images(queue_deployment.call("GET", path, role="user"))
    as_url = parsed_images(queue_deployment.call("GET", f"{path}?response_format=url", role="user"))

    assert base64.b64decode(as_base64[0].b64_json or "") == web.get(as_url[0].url or "").content


def test_the_response_format_is_kept_in_further_redirects(queue_deployment: "Deployment") -> None:
    """A client that is redirected again gets the format that it requested."""
    generate(queue_deployment)
    job = queue_deployment.jobs()[0].id

    response = queue_deployment.call(
        "GET", f"/v1/images/jobs/{job}/result?response_format=url&wait=0&redirects=3", role="user"
    )

    assert response.headers["location"] == "result?wait=0&redirects=4&response_format=url"


def test_too_many_redirects_end_with_a_504_that_names_the_job(queue_deployment: "Deployment") -> None:
    """Nine redirects of 25 s are enough for the default timeout of an engine, 240 s."""
    generate(queue_deployment)
    job = queue_deployment.jobs()[0].id

    last = queue_deployment.call("GET", f"/v1/images/jobs/{job}/result?redirects=8", role="user")
    over = queue_deployment.call("GET", f"/v1/images/jobs/{job}/result?redirects=9", role="user")

    assert last.headers["location"].endswith("redirects=9")
    assert (over.status, over.json["error"]["code"]) == (504, "engine_timeout")
    assert job in over.json["error"]["message"]
    assert over.headers["x-should-retry"] == "false"


def test_the_result_of_a_failed_job_is_its_error(queue_deployment: "Deployment") -> None:
    """It has OpenAI's shape and the status that the request would have had."""
    generate(queue_deployment, prompt="a forbidden thing")
    queue_deployment.process_queue()

    response = queue_deployment.call("GET", f"/v1/images/jobs/{queue_deployment.jobs()[0].id}/result", role="user")

    assert (response.status, response.json["error"]["code"]) == (400, "moderation_blocked")


def test_a_result_of_another_owner_is_not_found(queue_deployment: "Deployment") -> None:
    """Another user gets a 404."""
    generate(queue_deployment)

    response = queue_deployment.call("GET", f"/v1/images/jobs/{queue_deployment.jobs()[0].id}/result", role="stranger")

    assert (response.status, response.json["error"]["code"]) == (404, "not_found")


def test_respond_async_returns_the_job(queue_deployment: "Deployment") -> None:
    """The `Location` of the 202 is the result in OpenAI's shape."""
    response = generate(queue_deployment, {"Prefer": "respond-async"})

    assert response.status == 202
    assert response.headers["location"] == f"jobs/{response.json['id']}/result"


def test_an_sdk_retry_returns_the_same_job(openai_deployment: "Deployment", openai: "SandboxState") -> None:
    """The same body with a retry count above 0 is the same job."""
    first, retried = (generate(openai_deployment, {"X-Stainless-Retry-Count": str(count)}) for count in (0, 1))

    assert parsed_response(first).data == parsed_response(retried).data
    assert len(openai.record) == 1


def test_a_function_url_serves_results(queue_deployment: "Deployment") -> None:
    """A relative `Location` is valid under a function URL, which has no routes of other functions."""
    redirect = generate(queue_deployment)
    queue_deployment.process_queue()
    path, _, query = urljoin(PATH, redirect.headers["location"]).partition("?")
    host = "abc123.lambda-url.eu-central-1.on.aws"
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"authorization": f"Bearer {queue_deployment.tokens['user']}", "host": host},
        "requestContext": {"domainName": host, "http": {"method": "GET", "path": path, "sourceIp": "192.0.2.1"}},
        "isBase64Encoded": False,
    }
    queue_deployment.activate()

    response = generate_handler(event, None)

    assert response["statusCode"] == 200
    assert ImagesResponse.model_validate(json.loads(response["body"])).data
