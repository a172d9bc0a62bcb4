"""Generations by the OpenAI channel: what is asked, what is answered, and what is wrong."""

import base64
import json
import logging
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin

import httpx
import pytest
from openai.types import Image, ImagesResponse

from functions.generate.app import handler as generate_handler
from image_gateway.api import WARNINGS, warnings_header
from tests.integration.sample_images import opened

if TYPE_CHECKING:
    from sandbox.engines.state import SandboxState
    from tests.integration.conftest import Answer, Deployment

PATH = "/v1/images/generations"


def generate(deployment: "Deployment", headers: dict[str, str] | None = None, **fields: Any) -> "Answer":
    body = {"prompt": "a fox", "size": "64x64", **fields}
    return deployment.call("POST", PATH, body, role="user", headers=headers)


def response(answer: "Answer") -> ImagesResponse:
    """The answer as the SDK's type, every field of which is checked."""
    assert answer.status == 200, answer.text
    return ImagesResponse.model_validate_json(answer.text, strict=True)


def images(answer: "Answer") -> list[Image]:
    return response(answer).data or []


def test_images_are_answered_as_base64(generating: "Deployment") -> None:
    """The answer has all that OpenAI's has, as the engine told it."""
    found = response(generate(generating, n=2, quality="low", background="transparent"))

    assert [opened(image.b64_json or "").size for image in found.data or ()] == [(64, 64), (64, 64)]
    assert (found.size, found.output_format, found.quality, found.background) == ("64x64", "png", "low", "transparent")
    assert found.usage is not None
    assert found.usage.total_tokens == found.usage.input_tokens + found.usage.output_tokens
    finished_at = generating.jobs()[0].finished_at
    assert finished_at
    assert found.created == int(finished_at.timestamp())


def test_images_that_are_answered_are_stored(generating: "Deployment") -> None:
    """What was answered as base64 is in the bucket too, and found by the job's other routes."""
    found = images(generate(generating))

    job = generating.jobs()[0]
    stored = generating.call("GET", f"/api/v1/images/jobs/{job.id}/result", role="user").json
    assert base64.b64decode(found[0].b64_json or "") == httpx.get(stored[0]["url"]).content
    assert job.channel == "openai"


def test_urls_where_they_are_asked_for(generating: "Deployment") -> None:
    """They are presigned, and there is no base64 beside them."""
    found = images(generate(generating, response_format="url"))

    assert found[0].b64_json is None
    assert httpx.get(found[0].url or "").headers["content-type"] == "image/png"


def test_every_parameter_reaches_the_engine(generating: "Deployment", openai: "SandboxState") -> None:
    """The engine has a word for all of these; what is the answer's own business is not sent."""
    requested: dict[str, Any] = {
        "model": "gpt-image-2.6-sunburst",
        "n": 2,
        "size": "128x64",
        "quality": "max",
        "background": "opaque",
        "moderation": "low",
        "output_format": "webp",
        "output_compression": 50,
        "user": "user-1",
        "safety_identifier": "hashed-1",
        "complexity": "low",
    }

    answer = generate(generating, **requested, response_format="b64_json", stream=False)

    assert openai.record[-1].json == {"prompt": "a fox", **requested}
    assert response(answer).output_format == "webp"
    assert WARNINGS not in answer.headers


def test_a_gif_where_the_engine_makes_one(generating: "Deployment", openai: "SandboxState") -> None:
    """OpenAI's models have a preview of it; what they make is stored as it is."""
    requested: dict[str, Any] = {
        "model": "gpt-image-2.6-sunburst",
        "output_format": "gif",
        "frame_count": 2,
        "frame_duration_ms": 500,
    }

    answer = generate(generating, **requested)

    assert openai.record[-1].json == {"prompt": "a fox", "size": "64x64", "n": 1, **requested}
    assert opened(images(answer)[0].b64_json or "").format == "GIF"
    assert response(answer).output_format == "gif"
    assert WARNINGS not in answer.headers


def test_nulls_are_left_to_the_gateway(generating: "Deployment", openai: "SandboxState") -> None:
    """SDKs of some languages send them for everything."""
    nulls = dict.fromkeys(
        ("model", "n", "quality", "background", "style", "moderation", "output_format", "output_compression")
    )

    answer = generate(generating, **nulls, response_format=None, stream=None, partial_images=None, size="auto")

    assert openai.record[-1].json == {"prompt": "a fox", "model": "gpt-image-2", "n": 1, "size": "auto"}
    assert response(answer).data
    assert "warnings" not in answer.json


def test_what_the_engine_has_no_word_for_is_named(generating: "Deployment") -> None:
    """In the header, and in the body for those who are sent on; the images are made."""
    answer = generate(
        generating, seed=1, steps=9, negative_prompt="rain", partial_images=2, style="vivid", svg={"model": "gpt-5"}
    )

    header = answer.headers[WARNINGS]
    for name in ("seed", "steps", "negative_prompt", "partial_images", "style", "svg"):
        assert f'"{name} ' in header
    assert len(answer.json["warnings"]) == 6
    assert response(answer).data


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"prompt": None}, "prompt", "invalid_request"),
        ({"prompt": ""}, "prompt", "invalid_request"),
        ({"prompt": "x" * 32_001}, "prompt", "invalid_request"),
        *(
            ({"stream": yes}, "stream", "invalid_request")
            for yes in (True, 1, "1", "true", "Yes", "on", "t", "perhaps")
        ),
        ({"n": 0}, "n", "invalid_request"),
        *(({name: True}, name, "invalid_request") for name in ("n", "seed", "steps", "output_compression")),
        ({"n": 11}, "n", "invalid_request"),
        ({"n": "two"}, "n", "invalid_request"),
        ({"size": "big"}, "size", "invalid_size"),
        ({"background": "blue"}, "background", "invalid_request"),
        ({"moderation": "none"}, "moderation", "invalid_request"),
        ({"output_format": "svg"}, "output_format", "invalid_request"),
        ({"output_format": "bmp"}, "output_format", "invalid_request"),
        ({"output_format": "gif"}, "output_format", "engine_rejected"),
        ({"frame_count": 0}, "frame_count", "invalid_request"),
        ({"frame_count": 9}, "frame_count", "engine_rejected"),
        ({"complexity": "some"}, "complexity", "invalid_request"),
        ({"output_compression": 101}, "output_compression", "invalid_request"),
        ({"response_format": "file"}, "response_format", "invalid_request"),
        ({"seed": -1}, "seed", "invalid_request"),
        ({"quality": "x" * 257}, "quality", "invalid_request"),
        ({"user": "x" * 513}, "user", "invalid_request"),
        ({"quality": "hd"}, "quality", "engine_rejected"),
        ({"model": "gpt-image-9"}, "model", "engine_rejected"),
        ({"prompt": "a forbidden thing"}, None, "content_blocked"),
    ],
)
def test_what_is_wrong_is_told_as_openai_does(
    generating: "Deployment", fields: dict[str, Any], param: str | None, code: str
) -> None:
    """A 4xx in OpenAI's shape, naming the parameter also where the engine found it."""
    answer = generate(generating, **fields)

    error = answer.json["error"]
    assert answer.status == (404 if code == "not_found" else 400)
    assert (error["param"], error["code"], error["type"]) == (param, code, "invalid_request_error")
    assert error["message"]
    assert answer.headers["x-should-retry"] == "false"


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"a fox"', b"\xff"])
def test_a_body_that_is_no_object_is_refused(generating: "Deployment", body: bytes) -> None:
    """In OpenAI's shape too."""
    answer = generating.call("POST", PATH, raw=body, role="user", headers={"Content-Type": "application/json"})

    assert answer.status == 400
    assert answer.json["error"]["code"] == "invalid_request"


@pytest.mark.parametrize("path", [PATH, "/v1/images/edits"])
@pytest.mark.parametrize(
    ("content_type", "read"),
    [
        ("", True),
        ("application/json; charset=utf-8", True),
        ("application/problem+json", True),
        ("text/plain", False),
        ("application/x-www-form-urlencoded", False),
    ],
)
def test_what_is_read_as_json(generating: "Deployment", path: str, content_type: str, read: bool) -> None:
    """Both routes go by the content type, and by the body where none is said."""
    answer = generating.call("POST", path, raw=b'{"n": 0}', role="user", headers={"Content-Type": content_type})

    assert answer.status == 400
    assert (answer.json["error"]["param"] is not None) is read


@pytest.mark.parametrize("body", [b'{"prompt": "\xff"}', b"[" * 100_000], ids=["no UTF-8", "too deep"])
@pytest.mark.parametrize("path", [PATH, "/v1/images/edits"])
def test_json_that_cannot_be_read(generating: "Deployment", path: str, body: bytes) -> None:
    """Whether that is for its encoding or its depth is not known."""
    answer = generating.call("POST", path, raw=body, role="user", headers={"Content-Type": "application/json"})

    assert answer.json["error"]["message"] == "The body cannot be read as JSON in UTF-8"


def test_what_was_switched_off_is_forbidden(generating: "Deployment") -> None:
    """With a type that clients know."""
    generating.configure(ENABLE_IMAGE_GENERATION=False)

    answer = generate(generating)

    assert answer.status == 403
    assert (answer.json["error"]["type"], answer.json["error"]["code"]) == ("permission_error", "disabled")


def test_end_users_are_not_logged(generating: "Deployment", caplog: pytest.LogCaptureFixture) -> None:
    """Neither they nor prompts are in any line; the owner finds them in the job."""
    caplog.set_level(logging.DEBUG)

    generate(generating, user="planted-user", safety_identifier="planted-hash", prompt="a planted prompt")

    lines = [str(vars(record)) for record in caplog.records if record.name.startswith("image_gateway")]
    assert lines
    assert not [line for line in lines if "planted" in line]
    assert "planted" not in repr(generating.jobs()[0])


def test_a_slow_job_s_result_is_an_answer_of_this_channel(queued: "Deployment") -> None:
    """The 303 leads to it, and it is as the request wanted it."""
    sent_on = generate(queued, response_format="url", foo=1)
    queued.work()

    location = urljoin(PATH, sent_on.headers["location"])
    answer = queued.call("GET", location, role="user")

    assert sent_on.status == 303
    assert sent_on.json["error"]["code"] == "not_done"
    assert location.startswith("/v1/images/jobs/")
    assert images(answer)[0].url
    assert '"foo is not' in answer.headers[WARNINGS]


def test_a_result_of_another_channel_and_in_another_form(queued: "Deployment") -> None:
    """Any job can be read as OpenAI answers it, as base64 or as URLs."""
    queued.call("POST", "/api/v1/images/generations", {"prompt": "a fox", "size": "64x64"}, role="user")
    queued.work()
    path = f"/v1/images/jobs/{queued.jobs()[0].id}/result"

    as_base64 = images(queued.call("GET", path, role="user"))
    as_url = images(queued.call("GET", f"{path}?response_format=url", role="user"))

    assert base64.b64decode(as_base64[0].b64_json or "") == httpx.get(as_url[0].url or "").content


def test_the_wish_for_urls_travels(queued: "Deployment") -> None:
    """Who is sent on once more still gets what was asked for."""
    generate(queued)
    job = queued.jobs()[0].id

    answer = queued.call("GET", f"/v1/images/jobs/{job}/result?response_format=url&wait=0&hop=3", role="user")

    assert answer.headers["location"] == "result?wait=0&hop=4&response_format=url"


def test_hops_end_with_an_error_that_names_the_job(queued: "Deployment") -> None:
    """One hop earlier than at the other channel: the answer itself may lie elsewhere."""
    generate(queued)
    job = queued.jobs()[0].id

    last = queued.call("GET", f"/v1/images/jobs/{job}/result?hop=7", role="user")
    over = queued.call("GET", f"/v1/images/jobs/{job}/result?hop=8", role="user")

    assert last.headers["location"].endswith("hop=8")
    assert (over.status, over.json["error"]["code"]) == (504, "engine_timeout")
    assert job in over.json["error"]["message"]
    assert over.headers["x-should-retry"] == "false"


def test_a_failed_job_s_result_is_its_error(queued: "Deployment") -> None:
    """In OpenAI's shape, with the status it would have had."""
    generate(queued, prompt="a forbidden thing")
    queued.work()

    answer = queued.call("GET", f"/v1/images/jobs/{queued.jobs()[0].id}/result", role="user")

    assert (answer.status, answer.json["error"]["code"]) == (400, "content_blocked")


def test_others_results_do_not_exist(queued: "Deployment") -> None:
    """To a stranger they are a 404."""
    generate(queued)

    answer = queued.call("GET", f"/v1/images/jobs/{queued.jobs()[0].id}/result", role="stranger")

    assert (answer.status, answer.json["error"]["code"]) == (404, "not_found")


def test_not_waiting(queued: "Deployment") -> None:
    """`respond-async` answers the job; its Location is the result at this channel."""
    answer = generate(queued, {"Prefer": "respond-async"})

    assert answer.status == 202
    assert answer.headers["location"] == f"jobs/{answer.json['id']}/result"


def test_an_sdk_s_retry_is_not_paid_again(generating: "Deployment", openai: "SandboxState") -> None:
    """The same body with a retry count above 0 is the same job."""
    first, again = (generate(generating, {"X-Stainless-Retry-Count": str(count)}) for count in (0, 1))

    assert response(first).data == response(again).data
    assert len(openai.record) == 1


def test_the_function_s_own_url_serves_results_too(queued: "Deployment") -> None:
    """A relative Location holds under the host of a function URL, which has no routes of other functions."""
    sent_on = generate(queued)
    queued.work()
    path, _, query = urljoin(PATH, sent_on.headers["location"]).partition("?")
    host = "abc123.lambda-url.eu-central-1.on.aws"
    event = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": {"authorization": f"Bearer {queued.tokens['user']}", "host": host},
        "requestContext": {"domainName": host, "http": {"method": "GET", "path": path, "sourceIp": "192.0.2.1"}},
        "isBase64Encoded": False,
    }
    queued.take_over()

    answer = generate_handler(event, None)

    assert answer["statusCode"] == 200
    assert ImagesResponse.model_validate(json.loads(answer["body"])).data


def test_warnings_fit_into_a_header() -> None:
    """They are ASCII without control characters, quoted, and cut off where they get long."""
    assert warnings_header(['a "b" \\ c', "ä\n\x00d"]) == '"a \\"b\\" \\\\ c", "? d"'

    long = warnings_header([f"{number} {'x' * 500}" for number in range(20)])
    assert len(long) < 2_200
    assert long.endswith('"and 17 more, in the answer\'s body"')
