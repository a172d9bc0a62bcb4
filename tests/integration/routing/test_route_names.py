"""The names of routes and connections in requests, and what requests say about where they went."""

from typing import Any

import pytest

from image_gateway.event_loop import run
from image_gateway.models.jobs import Job
from tests.integration.routing.routes import Routes, fail

CONNECTION = "x-image-gateway-connection"


def generate(routes: Routes, *, channel: str = "images", **fields: Any) -> Any:
    path = "/v1/images/generations" if channel == "openai" else "/api/v1/images/generations"
    return routes.deployment.call("POST", path, {"prompt": "a fox", **fields}, role="user")


def last_job(routes: Routes) -> Job:
    return routes.deployment.jobs()[0]


@pytest.mark.parametrize("channel", ["images", "openai"])
def test_a_route_is_a_model_on_every_channel(routes: Routes, channel: str) -> None:
    """It may have the name of a model that clients insist on."""
    routes.put("dall-e-3", "two")

    response = generate(routes, channel=channel, model="dall-e-3")

    assert (response.status, response.headers[CONNECTION]) == (200, "two")
    assert last_job(routes).route == "dall-e-3"


def test_a_route_wins_over_an_alias_and_a_model(routes: Routes) -> None:
    """The operator has stored it later."""
    routes.deployment.configure(IMAGE_MODEL_ALIASES={"poster": "gpt-image-2"})
    routes.put("gpt-image-2", "two")

    assert generate(routes, model="poster").headers[CONNECTION] == "one"
    assert generate(routes, model="gpt-image-2").headers[CONNECTION] == "two"


def test_an_alias_goes_to_the_configured_server(routes: Routes) -> None:
    """It is a route with one target."""
    routes.deployment.configure(IMAGE_MODEL_ALIASES={"draft": "gpt-image-2"})

    assert generate(routes, model="draft").headers[CONNECTION] == "openai"


def test_an_alias_may_stand_for_a_route_or_a_connection(routes: Routes) -> None:
    """On every channel, because the operator chose it."""
    routes.deployment.configure(IMAGE_MODEL_ALIASES={"dall-e-3": "poster", "azure": "two/gpt-image-2"})

    assert generate(routes, model="dall-e-3").headers[CONNECTION] == "one"
    assert last_job(routes).route == "poster"
    assert generate(routes, model="azure").headers[CONNECTION] == "two"


def test_a_connection_and_a_model_are_a_name_under_v1(routes: Routes) -> None:
    """On other channels, a slash may be part of a model's name."""
    response = generate(routes, channel="openai", model="two/gpt-image-2")
    assert (response.status, response.headers[CONNECTION]) == (200, "two")
    job = last_job(routes)
    assert (job.connection, job.model, job.pinned, job.route) == ("two", "gpt-image-2", True, "")

    assert generate(routes, model="two/gpt-image-2").headers[CONNECTION] == "openai"


def test_the_configured_model_may_be_a_route(routes: Routes) -> None:
    """Requests without a model take it, and a target without a model takes the engine's default."""
    routes.put("everyday", {"connection": "openai"})
    routes.deployment.configure(IMAGE_GENERATION_MODEL="everyday", IMAGE_EDIT_MODEL="poster")

    response = generate(routes)

    assert (response.status, response.headers[CONNECTION], last_job(routes).route) == (200, "openai", "everyday")
    assert last_job(routes).model == ""
    assert routes.deployment.edit().headers[CONNECTION] == "one"


def test_the_configured_servers_are_connections(routes: Routes) -> None:
    """The fields for edits are another one."""
    url = routes.deployment.gateway.configs
    fields = run(url.read()).config
    routes.deployment.configure(
        IMAGES_EDIT_OPENAI_API_BASE_URL=fields.IMAGES_OPENAI_API_BASE_URL, IMAGES_EDIT_OPENAI_API_KEY="k"
    )

    assert generate(routes).headers[CONNECTION] == "openai"
    assert routes.deployment.edit(model="gpt-image-2").headers[CONNECTION] == "openai-edit"


def test_a_route_for_generations_does_no_edits(routes: Routes) -> None:
    """The request is refused before any image is read."""
    routes.put("poster", "one", operations=["generation"])

    response = routes.deployment.edit("not an image", model="poster")

    assert (response.status, response.json["field"]) == (422, "model")
    assert routes.requests("one") == 0


def test_a_targets_parameters_and_size_are_sent(routes: Routes) -> None:
    """The parameters are the operator's last word. The size is for requests that name none."""
    target = {"connection": "one", "model": "gpt-image-2", "params": {"quality": "low"}, "size": "512x512"}
    routes.put("poster", target)

    assert generate(routes, model="poster").status == 200
    assert generate(routes, model="poster", size="640x640", quality="high").status == 200

    bodies = [request.json for request in routes.engines["one"].record]
    assert [(body["size"], body["quality"]) for body in bodies] == [("512x512", "low"), ("640x640", "low")]


def test_a_targets_own_parameters_are_not_sent_to_other_targets(routes: Routes) -> None:
    """Each target has its own."""
    fail(routes.engines["one"], 503)
    routes.put("poster", {"connection": "one", "model": "gpt-image-2", "params": {"quality": "low"}}, "two")

    assert generate(routes, model="poster").headers[CONNECTION] == "two"
    assert "quality" not in routes.engines["two"].record[0].json


def test_a_job_shows_its_route_and_attempts(routes: Routes) -> None:
    """The completion event names route and connection."""
    fail(routes.engines["one"], 429)
    generate(routes, model="poster")
    job = last_job(routes)

    shown = routes.deployment.call("GET", f"/api/v1/images/jobs/{job.id}", role="user")
    result = routes.deployment.call("GET", f"/v1/images/jobs/{job.id}/result", role="user")

    assert (shown.json["connection"], shown.json["route"]) == ("two", "poster")
    (first, second) = shown.json["tried"]
    assert (first["connection"], first["model"], first["code"]) == ("one", "gpt-image-2", "engine_rate_limited")
    assert (second["connection"], second["code"]) == ("two", "")
    assert (result.status, result.headers[CONNECTION]) == (200, "two")


def test_the_error_of_an_earlier_job_names_its_connection(routes: Routes) -> None:
    """Also in the result that is read later."""
    fail(routes.engines["one"], 500)
    generate(routes, model="poster")

    result = routes.deployment.call("GET", f"/v1/images/jobs/{last_job(routes).id}/result", role="user")

    assert (result.status, result.headers[CONNECTION]) == (502, "one")


@pytest.mark.parametrize(("seconds", "is_inline"), [(11, True), (13, False)])
def test_the_timeouts_of_all_targets_decide_whether_a_request_is_queued(
    routes: Routes, seconds: int, *, is_inline: bool
) -> None:
    """All of them may be called, one after the other, within the 24 seconds that a request has."""
    for name in ("one", "two"):
        routes.connect(name, timeout_seconds=seconds)
    inline_jobs = routes.deployment.gateway.inline_jobs
    plan = run(routes.deployment.gateway.router.find("poster", edit=False, allow_prefix=False))

    assert inline_jobs.fits(plan, 1, 0) is is_inline


def test_a_route_to_a_server_with_slots_is_queued(routes: Routes) -> None:
    """Only the worker knows whether a slot is free."""
    routes.connect("two", max_concurrent=3)
    plan = run(routes.deployment.gateway.router.find("poster", edit=False, allow_prefix=False))

    assert not routes.deployment.gateway.inline_jobs.fits(plan, 1, 0)


def test_a_limited_token_may_use_a_route_if_all_its_targets_are_allowed(routes: Routes) -> None:
    """Otherwise the fallback could do what the token may not."""
    routes.deployment.tokens["limited"] = routes.deployment.token("limited", models=["gpt-image-2"])
    routes.put("mixed", "one", {"connection": "two", "model": "gpt-image-2-mini"})
    body = {"prompt": "a fox"}

    allowed, refused = (
        routes.deployment.call("POST", "/api/v1/images/generations", {**body, "model": name}, role="limited")
        for name in ("poster", "mixed")
    )

    assert (allowed.status, refused.status) == (200, 403)


def test_the_list_of_connections_shows_cooldowns(routes: Routes) -> None:
    """Until when, and why. The other connections have none."""
    fail(routes.engines["one"], 503)
    for _ in range(4):
        assert generate(routes, model="poster").headers[CONNECTION] == "two"

    listed = routes.deployment.call("GET", "/api/v1/images/connections").json["connections"]
    one = routes.deployment.call("GET", "/api/v1/images/connections/one").json

    assert {each["name"]: each.get("cooling_reason") for each in listed if each["name"] in ("one", "two")} == {
        "one": "unavailable",
        "two": None,
    }
    assert one["cooling_until"] == next(each for each in listed if each["name"] == "one")["cooling_until"]
    assert routes.requests("one") == 3
