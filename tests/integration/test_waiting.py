"""Submitting to a queue over HTTP: waiting, being sent on, and being recognised."""

from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import httpx
import pytest

from sandbox.engines.state import Fault

if TYPE_CHECKING:
    from sandbox.engines.state import SandboxState
    from tests.integration.conftest import Answer, Deployment

GENERATIONS = "/api/v1/images/generations"


def generate(deployment: "Deployment", headers: dict[str, str] | None = None, **fields: Any) -> "Answer":
    form = {"prompt": "a fox", "size": "64x64", **fields}
    return deployment.call("POST", GENERATIONS, form, role="user", headers=headers)


def follow(deployment: "Deployment", path: str, answer: "Answer", role: str = "user") -> "Answer":
    return deployment.call("GET", urljoin(path, answer.headers["location"]), role=role)


def job_id(deployment: "Deployment") -> str:
    return deployment.jobs()[0].id


def test_a_job_that_is_not_done_in_time_is_a_redirect_to_its_result(queued: "Deployment") -> None:
    """303 with a relative Location; the body names the job for clients that do not follow."""
    queued.redeploy(wait_seconds=0.2)

    answer = generate(queued)

    job = job_id(queued)
    assert answer.status == 303
    assert answer.headers["location"] == f"jobs/{job}/result?wait=1&hop=1"
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.json["status"], answer.json["code"]) == (303, "not_done")
    assert job in answer.json["detail"]


@pytest.mark.parametrize("prefix", ["https://x.example", "https://x.example/prod", "https://x.example/base/path"])
@pytest.mark.parametrize("path", [GENERATIONS, "/api/v1/images/edit"])
def test_locations_hold_under_every_host_stage_and_base_path(queued: "Deployment", prefix: str, path: str) -> None:
    """Resolved against the request's own URL, every hop leads to the job's result."""
    location = generate(queued).headers["location"]
    first = urljoin(prefix + path, location)
    second = queued.call("GET", f"/api/v1/images/jobs/{job_id(queued)}/result?hop=1", role="user").headers["location"]

    results = f"{prefix}/api/v1/images/jobs/{job_id(queued)}/result"
    assert first == f"{results}?wait=0&hop=1"
    assert urljoin(first, second) == f"{results}?wait=0&hop=2"


def test_who_follows_gets_the_images(queued: "Deployment") -> None:
    """The result is what the request would have been answered."""
    answer = generate(queued, n=2)
    queued.work()

    result = follow(queued, GENERATIONS, answer)

    assert result.status == 200
    assert [image["id"] for image in result.json] == [f"{job_id(queued)}-{number}" for number in (0, 1)]
    assert httpx.get(result.json[0]["url"]).status_code == 200


def test_a_job_that_ends_in_time_is_a_200(queued: "Deployment", serving_worker: None) -> None:
    """While a worker does it, the request waits for it."""
    queued.redeploy(wait_seconds=20)

    answer = generate(queued)

    assert answer.status == 200
    assert len(answer.json) == 1


def test_an_edit_waits_and_is_sent_on_in_the_same_way(queued: "Deployment") -> None:
    """Its inputs wait in the bucket."""
    config = queued.call("GET", "/api/v1/images/config").json
    url = config["IMAGES_OPENAI_API_BASE_URL"]
    queued.configure(ENABLE_IMAGE_EDIT=True, IMAGES_EDIT_OPENAI_API_BASE_URL=url, IMAGES_EDIT_OPENAI_API_KEY="k")
    answer = queued.edit()
    assert answer.status == 303
    queued.work()

    assert follow(queued, "/api/v1/images/edit", answer).status == 200


def test_the_error_of_a_job_is_the_results_error(queued: "Deployment", openai: "SandboxState") -> None:
    """With its own status, code, words and headers."""
    openai.knobs.faults.append(Fault(400, {"error": {"message": "blocked", "code": "moderation_blocked"}}, times=-1))
    answer = generate(queued)
    queued.work()

    result = follow(queued, GENERATIONS, answer)

    assert (result.status, result.json["code"]) == (400, "content_blocked")
    assert result.headers["x-should-retry"] == "false"


def test_after_nine_hops_the_job_is_named_and_waiting_ends(queued: "Deployment") -> None:
    """Some clients stop at ten redirects; what follows must not make an SDK pay again."""
    path = GENERATIONS
    answer = generate(queued)
    hops = 0
    while answer.status == 303:
        hops += 1
        path = urljoin(path, answer.headers["location"])
        answer = queued.call("GET", path, role="user")

    assert hops == 9
    assert (answer.status, answer.json["code"]) == (504, "engine_timeout")
    assert answer.headers["x-should-retry"] == "false"
    assert job_id(queued) in answer.json["detail"]


@pytest.mark.parametrize("query", ["wait=soon", "wait=-1", "wait=1.5", "wait=nan", "hop=x", "hop=-1", "hop=10", "hop="])
def test_what_is_no_number_of_seconds_or_hops_is_refused(queued: "Deployment", query: str) -> None:
    """422, naming the parameter."""
    generate(queued)

    answer = queued.call("GET", f"/api/v1/images/jobs/{job_id(queued)}/result?{query}", role="user")

    assert (answer.status, answer.json["field"]) == (422, query.partition("=")[0])


def test_a_cold_start_is_part_of_the_waiting(queued: "Deployment") -> None:
    """A request that arrived long ago is answered at once: API Gateway's time is nearly up."""
    queued.redeploy(wait_seconds=100)
    form = {"prompt": "a fox"}

    answer = queued.call("POST", GENERATIONS, form, role="user", context={"timeEpoch": 0})

    assert answer.status == 303
    assert answer.headers["location"].endswith("wait=100&hop=1")


def test_a_function_url_waits_longer(queued: "Deployment") -> None:
    """API Gateway does not stand before it."""
    queued.redeploy(wait_seconds=0, wait_seconds_url=0.1)
    context = {"domainName": "abc.lambda-url.eu-central-1.on.aws"}

    answer = queued.call("POST", GENERATIONS, {"prompt": "a fox"}, role="user", context=context)

    assert answer.headers["location"].endswith("wait=1&hop=1")


def test_respond_async_is_answered_with_the_job(queued: "Deployment") -> None:
    """202, where it is, and that the preference was honoured."""
    queued.redeploy(wait_seconds=100)

    answer = generate(queued, {"Prefer": "respond-async"})

    assert answer.status == 202
    assert answer.headers["preference-applied"] == "respond-async"
    assert answer.headers["location"] == f"jobs/{answer.json['id']}"
    assert (answer.json["status"], answer.json["request"]) == ("queued", {"prompt": "a fox", "size": "64x64"})
    queued.work()
    assert follow(queued, GENERATIONS, answer).json["status"] == "succeeded"


def test_respond_async_queues_what_would_be_done_at_once(queued: "Deployment", openai: "SandboxState") -> None:
    """However quick the engine is."""
    queued.redeploy(inline_seconds=24)

    answer = generate(queued, {"Prefer": "respond-async"})

    assert (answer.status, answer.json["status"]) == (202, "queued")
    assert openai.record == []


def test_wait_bounds_the_waiting(queued: "Deployment") -> None:
    """And the answer says that it was honoured."""
    queued.redeploy(wait_seconds=100)

    answer = generate(queued, {"Prefer": "wait=0"})

    assert answer.status == 303
    assert answer.headers["preference-applied"] == "wait=0"


def test_wait_and_respond_async_together_are_a_202_after_the_waiting(queued: "Deployment") -> None:
    """As RFC 7240 has it: the images if they are there by then."""
    answer = generate(queued, {"Prefer": "respond-async, wait=0"})

    assert answer.status == 202
    assert answer.headers["preference-applied"] == "respond-async, wait=0"


def test_more_than_the_channel_allows_is_not_said_to_be_honoured(queued: "Deployment") -> None:
    """The request waits as long as it can."""
    answer = generate(queued, {"Prefer": "wait=600"})

    assert answer.status == 303
    assert "preference-applied" not in answer.headers


def test_images_too_say_that_wait_was_honoured(queued: "Deployment", serving_worker: None) -> None:
    """The header is on every answer that waited."""
    queued.redeploy(wait_seconds=20)

    answer = generate(queued, {"Prefer": "wait=15"})

    assert (answer.status, answer.headers["preference-applied"]) == (200, "wait=15")
