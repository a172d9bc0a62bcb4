"""The functions of the template: handlers, environment, logs, network, layers and timeouts."""

from importlib import import_module
from typing import Any

import pytest

from image_gateway.settings import Settings
from sandbox.template import ROOT, Template
from tests.template.expected_statements import CONFIG_PARAMETER

TEMPLATE = Template()
FUNCTIONS = {function.name: function for function in TEMPLATE.functions()}
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE.document["Resources"]
GLOBALS: dict[str, Any] = TEMPLATE.document["Globals"]["Function"]
LAYERS = [name for name, resource in RESOURCES.items() if resource["Type"] == "AWS::Serverless::LayerVersion"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_handlers_can_be_imported(function: str) -> None:
    """The handler that the template names exists, in the folder that is built for the function."""
    module, _, name = FUNCTIONS[function].handler.rpartition(".")

    assert callable(getattr(import_module(module), name))
    assert (ROOT / module.replace(".", "/")).with_suffix(".py").is_file()
    assert module.rpartition(".")[0] == RESOURCES[function]["Properties"]["CodeUri"].replace("/", ".")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_handlers_are_short(function: str) -> None:
    """The code of a function is short: its routes, or the parsing of an event, which call the shared package."""
    module = FUNCTIONS[function].handler.rpartition(".")[0].replace(".", "/")
    lines = (ROOT / module).with_suffix(".py").read_text().splitlines()

    assert len(lines) <= 115


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_environment_has_only_variables_of_the_settings(function: str) -> None:
    """A function gets only variables that the settings read, and all that have no default."""
    given = {name.lower() for name in FUNCTIONS[function].environment}
    # The console's function reads no settings, so that it need not import them.
    given -= {"bucket_origins"} if function == "ConsoleFunction" else set()
    required = {name for name, field in Settings.model_fields.items() if field.is_required()}

    assert given <= set(Settings.model_fields)
    assert required <= given


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_environment_makes_valid_settings(function: str) -> None:
    """The defaults of the parameters make settings that a function can start with."""
    settings = Settings.from_environment(FUNCTIONS[function].environment)

    assert settings.config_parameter == "/image-gateway/sandbox/config"


def test_the_configuration_parameter_has_one_name() -> None:
    """The parameter in the outputs, in the environment of the functions and in their policies is the same."""
    name = TEMPLATE.document["Outputs"]["ConfigParameterName"]["Value"]

    assert GLOBALS["Environment"]["Variables"]["CONFIG_PARAMETER"] == name
    assert CONFIG_PARAMETER["Fn::Sub"].endswith(f":parameter{name['Fn::Sub']}")


@pytest.mark.parametrize("function", FUNCTIONS)
def test_logs_are_json_and_expire(function: str) -> None:
    """A function writes JSON lines to its own log group, which has a retention and is deleted with the stack."""
    group = RESOURCES[function]["Properties"]["LoggingConfig"]["LogGroup"]["Ref"]
    users = [name for name in FUNCTIONS if RESOURCES[name]["Properties"]["LoggingConfig"]["LogGroup"] == {"Ref": group}]

    assert users == [function]
    assert GLOBALS["LoggingConfig"]["LogFormat"] == "JSON"
    assert RESOURCES[group]["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    assert RESOURCES[group]["DeletionPolicy"] == "Delete"


@pytest.mark.parametrize("function", sorted(set(FUNCTIONS) - {"ConsoleFunction", "DeadLetterFunction"}))
def test_functions_that_call_engines_can_join_a_vpc(function: str) -> None:
    """A function that calls engines joins the VPC of the given subnets, and no VPC without subnets."""
    (condition, network, otherwise) = RESOURCES[function]["Properties"]["VpcConfig"]["Fn::If"]

    assert condition == "InVpc"
    assert network == {"SubnetIds": {"Ref": "VpcSubnetIds"}, "SecurityGroupIds": {"Ref": "VpcSecurityGroupIds"}}
    assert otherwise == {"Ref": "AWS::NoValue"}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_have_the_runtime_and_architecture_of_the_functions(name: str) -> None:
    """Functions and layers have the same Python version, and the architecture that the parameter names."""
    layer = RESOURCES[name]

    assert GLOBALS["Runtime"] == layer["Metadata"]["BuildMethod"] == "python3.13"
    assert layer["Properties"]["CompatibleRuntimes"] == ["python3.13"]
    assert GLOBALS["Architectures"] == layer["Properties"]["CompatibleArchitectures"] == [{"Ref": "Architecture"}]
    assert layer["Metadata"]["BuildArchitecture"] == {"Ref": "Architecture"}
    assert TEMPLATE.values["Architecture"] == "arm64"


def test_the_console_function_knows_every_address_of_the_bucket() -> None:
    """Its page may show images from each host that a presigned URL can have, and from no other bucket."""
    origins = FUNCTIONS["ConsoleFunction"].environment["BUCKET_ORIGINS"].split()

    hosts = {origin.removeprefix(f"https://{TEMPLATE.values['Bucket']}.") for origin in origins}
    assert hosts == {
        f"{service}{variant}.eu-central-1.amazonaws.com"
        for service in ("s3", "s3-fips")
        for variant in ("", ".dualstack")
    }


def test_functions_are_traced() -> None:
    """X-Ray traces every function."""
    assert GLOBALS["Tracing"] == "Active"


def test_layers_are_where_they_are_needed() -> None:
    """All functions have the shared layer; only those that read or convert images have Pillow."""
    own = {name: RESOURCES[name]["Properties"].get("Layers") for name in FUNCTIONS}
    imaging = [{"Ref": "ImagingLayer"}]

    assert GLOBALS["Layers"] == [{"Ref": "SharedLayer"}]
    with_imaging = dict.fromkeys(("GenerateFunction", "EditFunction", "WorkerFunction"), imaging)
    assert own == {**dict.fromkeys(FUNCTIONS), **with_imaging}


@pytest.mark.parametrize("function", sorted(set(FUNCTIONS) - {"ConfigFunction", "ConsoleFunction"}))
def test_functions_that_run_jobs_know_their_timeout(function: str) -> None:
    """The environment of a function that handles jobs has the function's own timeout."""
    found = FUNCTIONS[function]

    assert int(found.environment["FUNCTION_TIMEOUT_SECONDS"]) == found.timeout


def test_functions_outlast_the_wait_of_their_callers() -> None:
    """A function without a URL ends within API Gateway's 30 s; one with a URL ends after the longer wait there."""
    timeouts = {name: function.timeout for name, function in FUNCTIONS.items()}
    url_seconds = int(FUNCTIONS["GenerateFunction"].environment["WAIT_SECONDS_URL"])

    assert timeouts["ConfigFunction"] == timeouts["JobsFunction"] == 29
    assert timeouts["GenerateFunction"] == timeouts["EditFunction"] == 60 > url_seconds == 55
    for name in ("GenerateFunction", "EditFunction"):
        limit = RESOURCES[name]["Properties"]["Timeout"]
        assert limit == {"Fn::If": ["HasFunctionUrl", 900, 60]}
        assert limit["Fn::If"][1] > TEMPLATE.document["Parameters"]["FunctionUrlWaitSeconds"]["MaxValue"] + 3
    assert timeouts["WorkerFunction"] == 900


@pytest.mark.parametrize("function", ["GenerateFunction", "EditFunction", "JobsFunction"])
def test_requests_wait_less_than_api_gateway(function: str) -> None:
    """A request through the API waits 25 s at most, less than the 30 s after which API Gateway fails it."""
    assert int(FUNCTIONS[function].environment["WAIT_SECONDS"]) == 25


def test_functions_know_the_queues_and_the_event_bus() -> None:
    """A function that queues or runs jobs knows the queue; one that completes jobs knows the event bus."""
    knowing = {
        variable: {name for name in FUNCTIONS if FUNCTIONS[name].environment.get(variable) == TEMPLATE.values[resource]}
        for variable, resource in {
            "QUEUE_URL": "JobQueue",
            "DEAD_LETTER_QUEUE_URL": "DeadLetters",
            "EVENT_BUS": "EventBusName",
        }.items()
    }

    assert knowing["QUEUE_URL"] == {"GenerateFunction", "EditFunction", "JobsFunction", "WorkerFunction"}
    assert knowing["DEAD_LETTER_QUEUE_URL"] == {"JobsFunction", "WorkerFunction"}
    assert knowing["EVENT_BUS"] == set(FUNCTIONS) - {"ConfigFunction", "ConsoleFunction"}


@pytest.mark.parametrize("name", ["Generate", "Edit"])
def test_function_urls_are_off_by_default(name: str) -> None:
    """A function URL and its two permissions have the same condition, which is false by default."""
    parts = [RESOURCES[f"{name}{part}"] for part in ("Url", "UrlPermission", "UrlInvokePermission")]

    assert TEMPLATE.values["FunctionUrl"] == "false"
    assert TEMPLATE.document["Conditions"]["HasFunctionUrl"] == {"Fn::Equals": [{"Ref": "FunctionUrl"}, "true"]}
    assert all(part["Condition"] == "HasFunctionUrl" for part in parts)
    assert parts[1]["Properties"]["FunctionUrlAuthType"] == parts[0]["Properties"]["AuthType"] == "NONE"
    assert parts[2]["Properties"]["InvokedViaFunctionUrl"] is True
