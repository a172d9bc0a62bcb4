"""What keeps strangers and busy callers off: CORS, throttling, set-aside concurrency, and logs that tell no secret."""

import json
import re
from typing import Any

import pytest

from sandbox.template import Template
from tests.template.conditions import decided

CLOSED = Template()
OPEN = Template(parameters={"CorsOrigins": "https://app.example,http://localhost:3000"})
ORIGINS: dict[str, Any] = {"Fn::Split": [",", {"Ref": "CorsOrigins"}]}
HTTP_FUNCTIONS = {function.name for function in CLOSED.functions() if function.routes}
LOGGED = {
    "$context.requestId",
    "$context.requestTimeEpoch",
    "$context.identity.sourceIp",
    "$context.httpMethod",
    "$context.routeKey",
    "$context.status",
    "$context.responseLength",
    "$context.responseLatency",
    "$context.integrationStatus",
    "$context.integrationLatency",
}
"""Neither path, query string, header (user agent, referrer), nor what a function said: nothing that a caller writes."""


def properties(name: str, template: Template) -> dict[str, Any]:
    found: dict[str, Any] = decided(template.resource(name), template)
    return found


@pytest.mark.parametrize("name", ["Api", "Bucket", "GenerateUrl", "EditUrl"])
def test_browsers_are_shut_out(name: str) -> None:
    """Unless an origin is named, no page of another origin may ask the API, a function or the bucket."""
    assert not [key for key in properties(name, CLOSED) if key.startswith("Cors")]


@pytest.mark.parametrize(("name", "key"), [("Api", "CorsConfiguration"), ("GenerateUrl", "Cors"), ("EditUrl", "Cors")])
def test_named_origins_are_let_in(name: str, key: str) -> None:
    """Pages of the named origins may send what callers send and read what answers say; cookies play no part."""
    cors = properties(name, OPEN)[key]
    methods = {route.method for function in OPEN.functions() for route in function.routes}

    assert cors["AllowOrigins"] == ORIGINS
    assert {"authorization", "content-type", "idempotency-key", "if-match", "prefer"} <= set(cors["AllowHeaders"])
    assert "x-stainless-retry-count" in cors["AllowHeaders"]
    assert set(cors["ExposeHeaders"]) == {
        "etag",
        "location",
        "preference-applied",
        "retry-after",
        "www-authenticate",
        "x-image-gateway-warnings",
        "x-request-id",
        "x-should-retry",
    }
    assert set(cors["AllowMethods"]) == (methods if name == "Api" else {"GET", "POST"})
    assert "AllowCredentials" not in cors


def test_pages_may_fetch_and_upload_pictures() -> None:
    """The bucket lets pages of the named origins read pictures and send uploads by what was presigned for them."""
    (rule,) = properties("Bucket", OPEN)["CorsConfiguration"]["CorsRules"]

    assert rule == {"AllowedOrigins": ORIGINS, "AllowedMethods": ["GET", "POST"], "MaxAge": 3600}


@pytest.mark.parametrize(
    ("origins", "taken"),
    [
        ("", True),
        ("*", True),
        ("https://app.example", True),
        ("https://app.example,http://localhost:3000", True),
        ("app.example", False),
        ("https://app.example/", False),
        ("https://app.example, https://b.example", False),
        ("https://app.example,", False),
        ("javascript:alert(1)", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(origins: str, taken: bool) -> None:
    """What browsers never send as an origin is refused when it is deployed, not silently without effect."""
    pattern = CLOSED.document["Parameters"]["CorsOrigins"]["AllowedPattern"]

    assert bool(re.fullmatch(pattern.removeprefix("^").removesuffix("$"), origins)) is taken


def test_no_parameter_is_renamed_by_sam() -> None:
    """SAM's transform rewrites its own words within a conditional CORS configuration: no name there holds one."""
    (condition, _then, _otherwise) = CLOSED.resource("Api")["CorsConfiguration"]["Fn::If"]
    words = ("AllowOrigins", "AllowHeaders", "AllowMethods", "ExposeHeaders", "MaxAge", "AllowCredentials")

    assert not [word for word in words if word in condition or word in ORIGINS["Fn::Split"][1]["Ref"]]


def test_the_api_is_throttled() -> None:
    """Parameters say how many requests a second, and how many at one moment, the API takes."""
    assert CLOSED.resource("Api")["DefaultRouteSettings"] == {
        "ThrottlingRateLimit": {"Ref": "ApiRateLimit"},
        "ThrottlingBurstLimit": {"Ref": "ApiBurstLimit"},
    }
    assert (CLOSED.values["ApiRateLimit"], CLOSED.values["ApiBurstLimit"]) == ("100", "200")


@pytest.mark.parametrize("function", sorted(HTTP_FUNCTIONS))
def test_callers_cannot_take_the_account(function: str) -> None:
    """Each function that answers HTTP takes at most as many requests at once as its parameter says; 0 sets no limit."""
    parameter = function.replace("Function", "Concurrency")
    limited = Template(parameters={parameter: "20"})

    assert CLOSED.values[parameter] == "0"
    assert "ReservedConcurrentExecutions" not in properties(function, CLOSED)
    assert properties(function, limited)["ReservedConcurrentExecutions"] == {"Ref": parameter}
    others = HTTP_FUNCTIONS - {function}
    assert not [name for name in others if "ReservedConcurrentExecutions" in properties(name, limited)]


@pytest.mark.parametrize(
    ("parameters", "lacking"),
    [
        ({}, []),
        ({"GenerateConcurrency": "0", "EditConcurrency": "5"}, []),
        ({"FunctionUrl": "true", "GenerateConcurrency": "5", "EditConcurrency": "5"}, []),
        ({"FunctionUrl": "true", "GenerateConcurrency": "5"}, ["EditConcurrency"]),
        ({"FunctionUrl": "true"}, ["GenerateConcurrency", "EditConcurrency"]),
    ],
)
def test_function_urls_need_a_limit(parameters: dict[str, str], lacking: list[str]) -> None:
    """No API throttles a function's own URL: CloudFormation refuses to open one that could take the account."""
    refusals = Template(parameters=parameters).refusals()

    assert [name for refusal in refusals for name in re.findall(r"\w+Concurrency", refusal)] == lacking


@pytest.mark.parametrize("function", sorted({function.name for function in CLOSED.functions()} - HTTP_FUNCTIONS))
def test_messages_cannot_take_the_account(function: str) -> None:
    """A function that reads a queue is limited where it cannot lose messages by it: in its event source mapping."""
    (limit,) = [
        mapping["Properties"]["ScalingConfig"]["MaximumConcurrency"]
        for mapping in CLOSED.document["Resources"].values()
        if mapping["Type"] == "AWS::Lambda::EventSourceMapping"
        and mapping["Properties"]["FunctionName"]["Ref"] == function
    ]

    assert int(CLOSED.resolve(limit)) <= 10
    assert "ReservedConcurrentExecutions" not in CLOSED.resource(function)


def test_access_logs_are_json() -> None:
    """A line for each request that reaches the API is one JSON object, in a log group of its own."""
    settings = CLOSED.resource("Api")["AccessLogSettings"]

    line = json.loads(settings["Format"])

    assert "\n" not in settings["Format"]
    assert all(isinstance(value, str) for value in line.values())
    assert settings["DestinationArn"] == {"Fn::GetAtt": ["ApiLogs", "Arn"]}
    assert CLOSED.document["Resources"]["ApiLogs"]["DeletionPolicy"] == "Delete"


def test_access_logs_tell_no_secret() -> None:
    """The line is made of these variables alone."""
    text = CLOSED.resource("Api")["AccessLogSettings"]["Format"]

    assert set(re.findall(r"\$[\w.]+", text)) == LOGGED
    assert set(json.loads(text).values()) == LOGGED
