"""No caller can use up the account's concurrency: the API is throttled, and each function has a limit of its own."""

import re

import pytest

from sandbox.template import Template
from tests.template.conditions import properties_of

TEMPLATE = Template()
HTTP_FUNCTIONS = {function.name for function in TEMPLATE.functions() if function.routes}


def test_the_api_is_throttled() -> None:
    """Parameters limit the rate and the burst of requests that the API accepts."""
    assert TEMPLATE.properties("Api")["DefaultRouteSettings"] == {
        "ThrottlingRateLimit": {"Ref": "ApiRateLimit"},
        "ThrottlingBurstLimit": {"Ref": "ApiBurstLimit"},
    }
    assert (TEMPLATE.values["ApiRateLimit"], TEMPLATE.values["ApiBurstLimit"]) == ("100", "200")


@pytest.mark.parametrize("function", sorted(HTTP_FUNCTIONS))
def test_http_functions_have_a_concurrency_parameter(function: str) -> None:
    """The parameter of a function that handles HTTP sets its reserved concurrency, and only its own; 0 sets none."""
    parameter = function.replace("Function", "Concurrency")
    limited = Template(parameters={parameter: "20"})

    assert TEMPLATE.values[parameter] == "0"
    assert "ReservedConcurrentExecutions" not in properties_of(function, TEMPLATE)
    assert properties_of(function, limited)["ReservedConcurrentExecutions"] == {"Ref": parameter}
    others = HTTP_FUNCTIONS - {function}
    assert not [name for name in others if "ReservedConcurrentExecutions" in properties_of(name, limited)]


@pytest.mark.parametrize(
    ("parameters", "missing"),
    [
        ({}, []),
        ({"GenerateConcurrency": "0", "EditConcurrency": "5"}, []),
        ({"FunctionUrl": "true", "GenerateConcurrency": "5", "EditConcurrency": "5"}, []),
        ({"FunctionUrl": "true", "GenerateConcurrency": "5"}, ["EditConcurrency"]),
        ({"FunctionUrl": "true"}, ["GenerateConcurrency", "EditConcurrency"]),
    ],
)
def test_function_urls_require_concurrency_limits(parameters: dict[str, str], missing: list[str]) -> None:
    """No API throttles a function URL, so CloudFormation rejects function URLs without a concurrency limit."""
    failed = Template(parameters=parameters).refusals()

    assert [name for text in failed for name in re.findall(r"\w+Concurrency", text)] == missing


@pytest.mark.parametrize("function", sorted({function.name for function in TEMPLATE.functions()} - HTTP_FUNCTIONS))
def test_queue_functions_are_limited_by_their_mapping(function: str) -> None:
    """A function that reads a queue is limited by its event source mapping, which loses no messages."""
    (limit,) = [
        mapping["Properties"]["ScalingConfig"]["MaximumConcurrency"]
        for mapping in TEMPLATE.document["Resources"].values()
        if mapping["Type"] == "AWS::Lambda::EventSourceMapping"
        and mapping["Properties"]["FunctionName"]["Ref"] == function
    ]

    assert int(TEMPLATE.resolve(limit)) <= 10
    assert "ReservedConcurrentExecutions" not in properties_of(function, TEMPLATE)


def test_the_workers_share_can_be_reserved() -> None:
    """It is exactly as large as the mapping's limit: with less, Lambda would throttle workers and lose messages."""
    reserving = Template(parameters={"ReserveWorkerConcurrency": "true", "WorkerMaximumConcurrency": "40"})
    mapping = reserving.properties("JobQueueMapping")

    reserved = properties_of("WorkerFunction", reserving)["ReservedConcurrentExecutions"]

    assert reserving.resolve(reserved) == reserving.resolve(mapping["ScalingConfig"]["MaximumConcurrency"]) == "40"
    others = {function.name for function in TEMPLATE.functions()} - {"WorkerFunction"}
    assert not [name for name in others if "ReservedConcurrentExecutions" in properties_of(name, reserving)]
