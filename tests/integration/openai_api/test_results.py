"""Results of queued jobs in OpenAI's shape, and redirects to them."""

import base64
import json
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import httpx
from openai.types import ImagesResponse

from functions.generate.app import handler as generate_handler
from image_gateway.api import WARNINGS_HEADER
from tests.integration.openai_api.generation import PATH, generate, parsed_images, parsed_response

if TYPE_CHECKING:
    from sandbox.engines.state import SandboxState
    from tests.integration.deployment import Deployment


def test_a_slow_job_s_result_is_an_answer_of_this_channel(queue_deployment: "Deployment") -> None:
    """The 303 leads to it, and it is as the request wanted it."""
    sent_on = generate(queue_deployment, response_format="url", foo=1)
    queue_deployment.work()

    location = urljoin(PATH, sent_on.headers["location"])
    response = queue_deployment.call("GET", location, role="user")

    assert sent_on.status == 303
    assert sent_on.json["error"]["code"] == "not_done"
    assert location.startswith("/v1/images/jobs/")
    assert parsed_images(response)[0].url
    assert '"foo is not' in response.headers[WARNINGS_HEADER]


def test_a_result_of_another_channel_and_in_another_form(queue_deployment: "Deployment") -> None:
    """Any job can be read as OpenAI answers it, as base64 or as URLs."""
    queue_deployment.call("POST", "/api/v1/images/generations", {"prompt": "a fox", "size": "64x64"}, role="user")
    queue_deployment.work()
    path = f"/v1/images/jobs/{queue_deployment.jobs()[0].id}/result"

    as_base64 = parsed_images(queue_deployment.call("GET", path, role="user"))
    as_url = parsed_images(queue_deployment.call("GET", f"{path}?response_format=url", role="user"))

    assert base64.b64decode(as_base64[0].b64_json or "") == httpx.get(as_url[0].url or "").content


def test_the_wish_for_urls_travels(queue_deployment: "Deployment") -> None:
    """Who is sent on once more still gets what was asked for."""
    generate(queue_deployment)
    job = queue_deployment.jobs()[0].id

    response = queue_deployment.call(
        "GET", f"/v1/images/jobs/{job}/result?response_format=url&wait=0&redirects=3", role="user"
    )

    assert response.headers["location"] == "result?wait=0&redirects=4&response_format=url"


def test_hops_end_with_an_error_that_names_the_job(queue_deployment: "Deployment") -> None:
    """One redirect fewer than in the images channel: the response itself may be stored in the bucket."""
    generate(queue_deployment)
    job = queue_deployment.jobs()[0].id

    last = queue_deployment.call("GET", f"/v1/images/jobs/{job}/result?redirects=7", role="user")
    over = queue_deployment.call("GET", f"/v1/images/jobs/{job}/result?redirects=8", role="user")

    assert last.headers["location"].endswith("redirects=8")
    assert (over.status, over.json["error"]["code"]) == (504, "engine_timeout")
    assert job in over.json["error"]["message"]
    assert over.headers["x-should-retry"] == "false"


def test_a_failed_job_s_result_is_its_error(queue_deployment: "Deployment") -> None:
    """In OpenAI's shape, with the status it would have had."""
    generate(queue_deployment, prompt="a forbidden thing")
    queue_deployment.work()

    response = queue_deployment.call("GET", f"/v1/images/jobs/{queue_deployment.jobs()[0].id}/result", role="user")

    assert (response.status, response.json["error"]["code"]) == (400, "content_blocked")


def test_others_results_do_not_exist(queue_deployment: "Deployment") -> None:
    """To a stranger they are a 404."""
    generate(queue_deployment)

    response = queue_deployment.call("GET", f"/v1/images/jobs/{queue_deployment.jobs()[0].id}/result", role="stranger")

    assert (response.status, response.json["error"]["code"]) == (404, "not_found")


def test_not_waiting(queue_deployment: "Deployment") -> None:
    """`respond-async` answers the job; its Location is the result at this channel."""
    response = generate(queue_deployment, {"Prefer": "respond-async"})

    assert response.status == 202
    assert response.headers["location"] == f"jobs/{response.json['id']}/result"


def test_an_sdk_s_retry_is_not_paid_again(openai_deployment: "Deployment", openai: "SandboxState") -> None:
    """The same body with a retry count above 0 is the same job."""
    first, again = (generate(openai_deployment, {"X-Stainless-Retry-Count": str(count)}) for count in (0, 1))

    assert parsed_response(first).data == parsed_response(again).data
    assert len(openai.record) == 1


def test_the_function_s_own_url_serves_results_too(queue_deployment: "Deployment") -> None:
    """A relative Location holds under the host of a function URL, which has no routes of other functions."""
    sent_on = generate(queue_deployment)
    queue_deployment.work()
    path, _, query = urljoin(PATH, sent_on.headers["location"]).partition("?")
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
    queue_deployment.take_over()

    response = generate_handler(event, None)

    assert response["statusCode"] == 200
    assert ImagesResponse.model_validate(json.loads(response["body"])).data
