"""Routes whose first target fails: the next one does the request, where nothing can have been paid."""

import time
from typing import Any

import pytest

from image_gateway.event_loop import run
from image_gateway.routing.cooldown import COOLING_SECONDS, FAILURES, Cooldowns
from sandbox.engines.state import Fault
from tests.integration.routing.routes import Routes, fail
from tests.integration.sample_images import right_half

CONNECTION = "x-image-gateway-connection"
FREE: dict[str, dict[str, Any]] = {
    "rate limited": {"status": 429, "message": "slow down"},
    "quota": {"status": 429, "message": "You exceeded your current quota", "code": "insufficient_quota"},
    "billing": {"status": 400, "message": "Billing hard limit has been reached", "code": "billing_hard_limit_reached"},
    "no credits": {"status": 402, "message": "Insufficient credits"},
    "unavailable": {"status": 503, "message": "overloaded"},
    "wrong key": {"status": 401, "message": "Incorrect API key provided"},
    "forbidden": {"status": 403, "message": "not for you"},
    "wrong key as 400": {"status": 400, "message": "API key not valid. Please pass a valid API key."},
    "unknown model": {"status": 404, "message": "The model `gpt-image-2` does not exist", "code": "model_not_found"},
    "unknown deployment": {"status": 404, "message": "Not here", "code": "DeploymentNotFound"},
}
COSTLY: dict[str, dict[str, Any]] = {
    "failed": {"status": 500, "message": "on fire"},
    "lost": {"status": 502, "message": "bad gateway"},
    "rejected": {"status": 400, "message": "the prompt is too odd"},
    "content_blocked": {"status": 400, "message": "no", "code": "moderation_blocked"},
}


def generate(routes: Routes, **fields: Any) -> Any:
    return routes.deployment.call(
        "POST", "/api/v1/images/generations", {"prompt": "a fox", "model": "poster", **fields}, role="user"
    )


def test_a_route_is_done_by_its_first_target(routes: Routes) -> None:
    """Its name is a model's name. The response and the job say which connection made the image."""
    response = generate(routes)

    assert response.status == 200, response.text
    assert response.headers[CONNECTION] == "one"
    assert "warnings" not in response.json[0]
    (job,) = routes.deployment.jobs()
    assert (job.route, job.connection, job.engine, job.model) == ("poster", "one", "openai", "gpt-image-2")
    assert (routes.requests("one"), routes.requests("two")) == (1, 0)
    assert routes.engines["one"].record[0].headers["authorization"] == "Bearer key-of-one"


@pytest.mark.parametrize("failure", FREE)
def test_a_failure_that_cost_nothing_is_passed_over(routes: Routes, failure: str) -> None:
    """The target is called once, and the next one makes the image. A warning says so, and the job has both attempts."""
    fail(routes.engines["one"], **FREE[failure])

    response = generate(routes)

    assert response.status == 200, response.text
    assert response.headers[CONNECTION] == "two"
    assert "one was passed over" in response.json[0]["warnings"][0]
    assert (routes.requests("one"), routes.requests("two")) == (1, 1)
    (job,) = routes.deployment.jobs()
    assert [(each.connection, bool(each.code)) for each in job.tried] == [("one", True), ("two", False)]


def test_a_server_that_refuses_connections_is_passed_over(routes: Routes) -> None:
    """Nothing was sent."""
    routes.connect("one", base_url="http://127.0.0.1:9/v1")

    response = generate(routes)

    assert (response.status, response.headers[CONNECTION]) == (200, "two")


@pytest.mark.parametrize("failure", COSTLY)
def test_a_failure_that_may_have_cost_ends_the_request(routes: Routes, failure: str) -> None:
    """The next target would be paid for the same image."""
    fail(routes.engines["one"], **COSTLY[failure])

    response = generate(routes)

    assert response.status >= 400
    assert response.headers[CONNECTION] == "one"
    assert routes.requests("two") == 0


@pytest.mark.parametrize("failure", ["failed", "rejected", "content_blocked"])
def test_an_operator_may_accept_to_pay_twice(routes: Routes, failure: str) -> None:
    """`fallback_on` names such failures."""
    routes.put("poster", "one", "two", fallback_on=["failed", "rejected", "content_blocked"])
    fail(routes.engines["one"], **COSTLY[failure])

    assert generate(routes).headers[CONNECTION] == "two"


def test_a_failure_that_is_not_listed_ends_the_request(routes: Routes) -> None:
    """The operator decides."""
    routes.put("poster", "one", "two", fallback_on=["unreachable"])
    fail(routes.engines["one"], 429)

    assert generate(routes).status == 429
    assert routes.requests("two") == 0


def test_if_every_target_fails_the_first_error_is_the_answer(routes: Routes) -> None:
    """It lists all attempts."""
    fail(routes.engines["one"], 429, "slow down")
    fail(routes.engines["two"], 503, "overloaded")

    response = generate(routes)

    assert (response.status, response.json["code"]) == (429, "engine_rate_limited")
    detail = response.json["detail"]
    assert "slow down" in detail
    assert "one: engine_rate_limited" in detail
    assert "two: engine_unavailable" in detail
    (job,) = routes.deployment.jobs()
    assert [each.connection for each in job.tried] == ["one", "two"]


def test_inputs_and_mask_survive_a_fallback(routes: Routes) -> None:
    """The next target gets the same files."""
    fail(routes.engines["one"], 503)

    response = routes.deployment.edit(model="poster")

    assert (response.status, response.headers[CONNECTION]) == (200, "two"), response.text
    names = [[file["name"] for file in engine.record[-1].files] for engine in routes.engines.values()]
    assert names[0] == names[1] == ["image"]


def test_a_repeated_request_gets_the_job_that_fell_back(routes: Routes) -> None:
    """It is paid once, at the second target."""
    fail(routes.engines["one"], 503)
    headers = {"Idempotency-Key": "once"}
    body = {"prompt": "a fox", "model": "poster"}

    answers = [
        routes.deployment.call("POST", "/v1/images/generations", body, role="user", headers=headers) for _ in range(2)
    ]

    assert [(answer.status, answer.headers[CONNECTION]) for answer in answers] == [(200, "two")] * 2
    assert (routes.requests("one"), routes.requests("two")) == (1, 1)


def test_a_target_without_masks_is_passed_over_for_a_mask(routes: Routes) -> None:
    """Another one can do it."""
    routes.connect("nano", "gemini")
    routes.put("poster", {"connection": "nano", "model": "gemini-sandbox-image"}, "two")

    response = routes.deployment.edit(model="poster", mask=right_half())

    assert (response.status, response.headers[CONNECTION]) == (200, "two"), response.text
    assert routes.engines["nano"].record == []


def test_a_size_that_one_target_refuses_is_made_by_the_next(routes: Routes) -> None:
    """A refused size costs nothing."""
    fail(routes.engines["one"], 400, "size must be one of 1024x1024", param="size", code="invalid_value")

    assert generate(routes, size="640x640").headers[CONNECTION] == "two"


def test_a_fault_of_the_last_target_is_repeated_there(routes: Routes) -> None:
    """While another target remains, nothing is repeated on the same one."""
    fail(routes.engines["one"], 503)
    routes.engines["two"].knobs.faults = [Fault(503, "", times=1)]

    assert generate(routes).status == 200
    assert (routes.requests("one"), routes.requests("two")) == (1, 2)


def test_a_target_after_its_cooldown_is_tried_though_a_request_for_it_was_refused(routes: Routes) -> None:
    """The refused request called no engine, so the next one need not wait until it could have ended."""
    gateway = routes.deployment.gateway
    earlier = Cooldowns(gateway.aws, gateway.settings, now=lambda: time.time() - COOLING_SECONDS - 1)
    for _ in range(FAILURES):
        run(earlier.failed("one/gpt-image-2", "unavailable"))
    prices = {"prices": [{"model": "*", "usd_per_image": "0.10"}]}
    assert routes.deployment.call("PUT", "/api/v1/images/prices", prices).status == 200
    limits = {"name": "limited", "role": "user", "budget": {"usd": "0.05", "period": "total"}}
    routes.deployment.tokens["limited"] = routes.deployment.call("POST", "/api/v1/images/tokens", limits).json["token"]
    form = {"prompt": "a fox", "model": "poster"}

    refused = routes.deployment.call("POST", "/api/v1/images/generations", form, role="limited")
    response = generate(routes)

    assert (refused.status, refused.json["code"]) == (429, "budget_exceeded")
    assert (response.status, response.headers[CONNECTION]) == (200, "one")
