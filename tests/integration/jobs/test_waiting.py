"""Waiting for a queued job over HTTP, and redirects to its result."""

from typing import TYPE_CHECKING
from urllib.parse import urljoin

import pytest

from sandbox.engines.state import Fault
from tests import web
from tests.integration.jobs.generation import GENERATIONS, follow, generate

if TYPE_CHECKING:
    from sandbox.engines.state import SandboxState
    from tests.integration.deployment import Deployment


def job_id(deployment: "Deployment") -> str:
    """Return the id of the newest job."""
    return deployment.jobs()[0].id


def test_an_unfinished_job_redirects_to_its_result(queue_deployment: "Deployment") -> None:
    """The 303 has a relative `Location`; its body names the job for clients that do not follow."""
    queue_deployment.redeploy(wait_seconds=0.2)

    response = generate(queue_deployment)

    job = job_id(queue_deployment)
    assert response.status == 303
    assert response.headers["location"] == f"jobs/{job}/result?wait=1&redirects=1"
    assert response.headers["content-type"] == "application/problem+json"
    assert (response.json["status"], response.json["code"]) == (303, "not_done")
    assert job in response.json["detail"]


@pytest.mark.parametrize("prefix", ["https://x.example", "https://x.example/prod", "https://x.example/base/path"])
@pytest.mark.parametrize("path", [GENERATIONS, "/api/v1/images/edit"])
def test_redirects_are_valid_under_every_host_stage_and_base_path(
    queue_deployment: "Deployment", prefix: str, path: str
) -> None:
    """Resolved against the request's URL, every `Location` is the job's result."""
    location = generate(queue_deployment).headers["location"]
    first = urljoin(prefix + path, location)
    second = queue_deployment.call(
        "GET", f"/api/v1/images/jobs/{job_id(queue_deployment)}/result?redirects=1", role="user"
    ).headers["location"]

    results = f"{prefix}/api/v1/images/jobs/{job_id(queue_deployment)}/result"
    assert first == f"{results}?wait=0&redirects=1"
    assert urljoin(first, second) == f"{results}?wait=0&redirects=2"


def test_following_the_redirect_returns_the_images(queue_deployment: "Deployment") -> None:
    """The result is the response that the request would have had."""
    response = generate(queue_deployment, n=2)
    queue_deployment.process_queue()

    result = follow(queue_deployment, GENERATIONS, response)

    assert result.status == 200
    assert [image["id"] for image in result.json] == [f"{job_id(queue_deployment)}-{number}" for number in (0, 1)]
    assert web.get(result.json[0]["url"]).status_code == 200


def test_a_job_that_finishes_in_time_is_a_200(queue_deployment: "Deployment", running_worker: None) -> None:
    """The request waits while a worker runs the job."""
    queue_deployment.redeploy(wait_seconds=20)

    response = generate(queue_deployment)

    assert response.status == 200
    assert len(response.json) == 1


def test_an_edit_redirects_to_its_result_as_well(queue_deployment: "Deployment") -> None:
    """Its inputs are stored in the bucket until the worker reads them."""
    config = queue_deployment.call("GET", "/api/v1/images/config").json
    url = config["IMAGES_OPENAI_API_BASE_URL"]
    queue_deployment.configure(
        ENABLE_IMAGE_EDIT=True, IMAGES_EDIT_OPENAI_API_BASE_URL=url, IMAGES_EDIT_OPENAI_API_KEY="k"
    )
    response = queue_deployment.edit()
    assert response.status == 303
    queue_deployment.process_queue()

    assert follow(queue_deployment, "/api/v1/images/edit", response).status == 200


def test_the_result_of_a_failed_job_is_its_error(queue_deployment: "Deployment", openai: "SandboxState") -> None:
    """It has the error's status, code, text and headers."""
    openai.knobs.faults.append(Fault(400, {"error": {"message": "blocked", "code": "moderation_blocked"}}, times=-1))
    response = generate(queue_deployment)
    queue_deployment.process_queue()

    result = follow(queue_deployment, GENERATIONS, response)

    assert (result.status, result.json["code"]) == (400, "content_blocked")
    assert result.headers["x-should-retry"] == "false"


def test_after_nine_redirects_a_504_names_the_job(queue_deployment: "Deployment") -> None:
    """Some clients stop at ten redirects; the error must not make an SDK pay again."""
    path = GENERATIONS
    response = generate(queue_deployment)
    redirects = 0
    while response.status == 303:
        redirects += 1
        path = urljoin(path, response.headers["location"])
        response = queue_deployment.call("GET", path, role="user")

    assert redirects == 9
    assert (response.status, response.json["code"]) == (504, "engine_timeout")
    assert response.headers["x-should-retry"] == "false"
    assert job_id(queue_deployment) in response.json["detail"]


@pytest.mark.parametrize(
    "query",
    ["wait=soon", "wait=-1", "wait=1.5", "wait=nan", "redirects=x", "redirects=-1", "redirects=10", "redirects="],
)
def test_an_invalid_wait_or_redirects_parameter_is_named(queue_deployment: "Deployment", query: str) -> None:
    """It is a 422."""
    generate(queue_deployment)

    response = queue_deployment.call(
        "GET", f"/api/v1/images/jobs/{job_id(queue_deployment)}/result?{query}", role="user"
    )

    assert (response.status, response.json["field"]) == (422, query.partition("=")[0])


def test_a_cold_start_shortens_the_wait(queue_deployment: "Deployment") -> None:
    """A request that arrived long ago is answered immediately, as API Gateway's time limit is near."""
    queue_deployment.redeploy(wait_seconds=100)
    form = {"prompt": "a fox"}

    response = queue_deployment.call("POST", GENERATIONS, form, role="user", context={"timeEpoch": 0})

    assert response.status == 303
    assert response.headers["location"].endswith("wait=100&redirects=1")


def test_a_function_url_has_its_own_wait(queue_deployment: "Deployment") -> None:
    """API Gateway's time limit does not apply."""
    queue_deployment.redeploy(wait_seconds=0, wait_seconds_url=0.1)
    context = {"domainName": "abc.lambda-url.eu-central-1.on.aws"}

    response = queue_deployment.call("POST", GENERATIONS, {"prompt": "a fox"}, role="user", context=context)

    assert response.headers["location"].endswith("wait=1&redirects=1")
