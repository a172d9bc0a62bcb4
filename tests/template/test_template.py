"""What `template.yaml` promises: least privilege per function, private data, the routes of the applications."""

import re
from importlib import import_module
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from image_gateway.settings import Settings
from sandbox.template import ROOT, Template

TEMPLATE = Template()
FUNCTIONS = {function.name: function for function in TEMPLATE.functions()}
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE.document["Resources"]
LAYERS = [name for name, resource in RESOURCES.items() if resource["Type"] == "AWS::Serverless::LayerVersion"]

CONFIG_PARAMETER = {
    "Fn::Sub": "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:"
    "parameter/image-gateway/${AWS::StackName}/config"
}
TABLE = {"Fn::GetAtt": ["Table", "Arn"]}


def objects(prefix: str) -> dict[str, str]:
    """The bucket's objects under a prefix."""
    return {"Fn::Sub": f"${{Bucket.Arn}}/{prefix}/*"}


def items(*prefixes: str) -> dict[str, Any]:
    """The condition that each key of a request begins with one of these, and that there is a key."""
    return {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": [f"{prefix}#*" for prefix in prefixes]},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }


Statement = tuple[list[str], Any, dict[str, Any] | None]

ALLOWED: dict[str, dict[str, Statement]] = {
    "ConfigFunction": {
        "ReadAndReplaceTheConfiguration": (["ssm:GetParameter", "ssm:PutParameter"], CONFIG_PARAMETER, None),
        "ReadAndWriteLongValues": (["s3:GetObject", "s3:PutObject"], objects("config"), None),
        "LookUpTokens": (["dynamodb:GetItem"], TABLE, items("token")),
        "TakeTurnsByALock": (["dynamodb:PutItem", "dynamodb:DeleteItem"], TABLE, items("lock")),
    },
    "GenerateFunction": {
        "ReadTheConfiguration": (["ssm:GetParameter"], CONFIG_PARAMETER, None),
        "ReadLongValues": (["s3:GetObject"], objects("config"), None),
        "StoreAndSignPictures": (["s3:GetObject", "s3:PutObject"], objects("images"), None),
        "LookUpTokens": (["dynamodb:GetItem"], TABLE, items("token")),
        "RecordJobs": (["dynamodb:PutItem"], TABLE, items("job")),
    },
    "EditFunction": {
        "ReadTheConfiguration": (["ssm:GetParameter"], CONFIG_PARAMETER, None),
        "ReadLongValues": (["s3:GetObject"], objects("config"), None),
        "StoreAndSignPictures": (["s3:GetObject", "s3:PutObject"], objects("images"), None),
        "ReadAndSignUploads": (["s3:GetObject", "s3:PutObject"], objects("uploads"), None),
        "LookUpTokensAndJobs": (["dynamodb:GetItem"], TABLE, items("token", "job")),
        "RecordJobs": (["dynamodb:PutItem"], TABLE, items("job")),
    },
}


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def statements(function: str) -> list[dict[str, Any]]:
    """Every statement of every policy of a function."""
    policies = RESOURCES[function]["Properties"]["Policies"]
    return [statement for policy in policies for statement in policy["Statement"]]


def app_of(function: str) -> FastAPI:
    module = import_module(FUNCTIONS[function].handler.rpartition(".")[0])
    app: FastAPI = module.app
    return app


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_may_do_exactly_this(function: str) -> None:
    """Each statement of a function's policy has the actions, the resource and the condition that it needs."""
    found = {
        statement["Sid"]: (as_list(statement["Action"]), statement["Resource"], statement.get("Condition"))
        for statement in statements(function)
    }

    assert found == ALLOWED[function]
    assert all(statement["Effect"] == "Allow" for statement in statements(function))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_function_has_a_policy_by_name(function: str) -> None:
    """Policies are written out: no managed policy, policy template or role adds to them."""
    properties = RESOURCES[function]["Properties"]

    assert all(set(policy) == {"Version", "Statement"} for policy in properties["Policies"])
    assert "Role" not in properties


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_wildcards(function: str) -> None:
    """No action has a wildcard, and a resource only for what stands under a prefix."""
    for statement in statements(function):
        assert not [action for action in as_list(statement["Action"]) if "*" in action]
        for resource in as_list(statement["Resource"]):
            text = resource.get("Fn::Sub", "") if isinstance(resource, dict) else resource
            assert "*" not in re.sub(r"^\$\{Bucket\.Arn\}/\w+/\*$", "", text)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_routes_are_those_of_the_application(function: str) -> None:
    """The template routes to a function just what its application answers."""
    wanted = {
        (method, route.path)
        for route in app_of(function).routes
        if isinstance(route, APIRoute)
        for method in route.methods or ()
    }

    assert {(route.method, route.path) for route in FUNCTIONS[function].routes} == wanted


def test_a_route_has_one_function() -> None:
    """No two functions have the same route, and each route names the one API."""
    routes = [(route.method, route.path) for function in FUNCTIONS.values() for route in function.routes]
    events = [event for name in FUNCTIONS for event in RESOURCES[name]["Properties"]["Events"].values()]

    assert len(routes) == len(set(routes))
    assert all(event["Properties"]["ApiId"] == {"Ref": "Api"} for event in events)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_handlers_can_be_imported(function: str) -> None:
    """The handler that the template names exists, in the folder that is built for the function."""
    module, _, name = FUNCTIONS[function].handler.rpartition(".")

    assert callable(getattr(import_module(module), name))
    assert (ROOT / RESOURCES[function]["Properties"]["CodeUri"] / "app.py").is_file()
    assert module == RESOURCES[function]["Properties"]["CodeUri"].replace("/", ".") + ".app"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_handlers_are_short(function: str) -> None:
    """A function's own code is routes that call the shared package."""
    lines = (ROOT / RESOURCES[function]["Properties"]["CodeUri"] / "app.py").read_text().splitlines()

    assert len(lines) <= 115


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_environment_is_what_settings_read(function: str) -> None:
    """A function gets variables that the settings know, all that have no default, and no secret among them."""
    given = {name.lower() for name in FUNCTIONS[function].environment}
    required = {name for name, field in Settings.model_fields.items() if field.is_required()}

    assert given <= set(Settings.model_fields)
    assert required <= given


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_environment_makes_valid_settings(function: str) -> None:
    """The parameters' defaults are settings that a function can start with."""
    settings = Settings.from_environment(FUNCTIONS[function].environment)

    assert settings.config_parameter == "/image-gateway/sandbox/config"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_logs_are_json_and_end(function: str) -> None:
    """A function writes JSON lines to a log group of its own, which is deleted with the stack and forgets in time."""
    shared = TEMPLATE.document["Globals"]["Function"]
    group = RESOURCES[function]["Properties"]["LoggingConfig"]["LogGroup"]["Ref"]
    users = [name for name in FUNCTIONS if RESOURCES[name]["Properties"]["LoggingConfig"]["LogGroup"] == {"Ref": group}]

    assert users == [function]
    assert shared["LoggingConfig"]["LogFormat"] == "JSON"
    assert RESOURCES[group]["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    assert RESOURCES[group]["DeletionPolicy"] == "Delete"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_can_join_a_vpc(function: str) -> None:
    """A function that calls engines joins the given network, and none where no subnet is given."""
    (condition, network, otherwise) = RESOURCES[function]["Properties"]["VpcConfig"]["Fn::If"]

    assert condition == "InVpc"
    assert network == {"SubnetIds": {"Ref": "VpcSubnetIds"}, "SecurityGroupIds": {"Ref": "VpcSecurityGroupIds"}}
    assert otherwise == {"Ref": "AWS::NoValue"}


@pytest.mark.parametrize("name", LAYERS)
def test_functions_and_layers_are_of_one_kind(name: str) -> None:
    """Functions and layers have the same Python and follow the same architecture."""
    shared = TEMPLATE.document["Globals"]["Function"]
    layer = RESOURCES[name]

    assert shared["Runtime"] == layer["Metadata"]["BuildMethod"] == "python3.13"
    assert layer["Properties"]["CompatibleRuntimes"] == ["python3.13"]
    assert shared["Architectures"] == layer["Properties"]["CompatibleArchitectures"] == [{"Ref": "Architecture"}]
    assert layer["Metadata"]["BuildArchitecture"] == {"Ref": "Architecture"}
    assert TEMPLATE.values["Architecture"] == "arm64"


def test_requests_can_be_traced() -> None:
    """Every function is traced."""
    assert TEMPLATE.document["Globals"]["Function"]["Tracing"] == "Active"


def test_every_function_has_the_shared_layer() -> None:
    """All functions share one layer; Pillow is only in the one that reads pictures."""
    own = {name: RESOURCES[name]["Properties"].get("Layers") for name in FUNCTIONS}

    assert TEMPLATE.document["Globals"]["Function"]["Layers"] == [{"Ref": "SharedLayer"}]
    assert own == {"ConfigFunction": None, "GenerateFunction": None, "EditFunction": [{"Ref": "ImagingLayer"}]}


def test_parameters_are_described() -> None:
    """Every parameter says what it is, has a default and is on the console's page in a group."""
    parameters = TEMPLATE.document["Parameters"]
    groups = TEMPLATE.document["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]

    assert all(item["Description"].endswith(".") and "Default" in item for item in parameters.values())
    assert sorted(name for group in groups for name in group["Parameters"]) == sorted(parameters)


def test_parameters_have_limits() -> None:
    """A number is within bounds or one of a list, and a text has a pattern or is one of a list."""
    for name, item in TEMPLATE.document["Parameters"].items():
        if item["Type"] == "Number":
            assert "AllowedValues" in item or {"MinValue", "MaxValue"} <= set(item), name
        if item["Type"] == "String":
            assert "AllowedValues" in item or "AllowedPattern" in item, name


def test_the_bucket_is_private() -> None:
    """The bucket blocks every kind of public access and is encrypted, without ACLs."""
    bucket = RESOURCES["Bucket"]["Properties"]
    (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]

    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert len(bucket["PublicAccessBlockConfiguration"]) == 4
    assert encryption["ServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


def test_the_bucket_refuses_plain_http() -> None:
    """Anything asked of the bucket without TLS is denied, whoever asks; nothing else is in its policy."""
    policy = RESOURCES["BucketPolicy"]["Properties"]
    (statement,) = policy["PolicyDocument"]["Statement"]

    assert policy["Bucket"] == {"Ref": "Bucket"}
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Resource"] == [{"Fn::GetAtt": ["Bucket", "Arn"]}, {"Fn::Sub": "${Bucket.Arn}/*"}]
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_pictures_outlive_the_stack_and_expire() -> None:
    """The bucket stays with its stack gone; pictures end by parameter, uploads in a day, configuration values never."""
    bucket = RESOURCES["Bucket"]
    rules = {rule["Id"]: rule for rule in bucket["Properties"]["LifecycleConfiguration"]["Rules"]}
    expiring = {rule["Prefix"] for rule in rules.values() if "ExpirationInDays" in rule}

    assert bucket["DeletionPolicy"] == bucket["UpdateReplacePolicy"] == "Retain"
    assert rules["images"]["ExpirationInDays"] == {"Ref": "ImageRetentionDays"}
    assert rules["uploads"]["ExpirationInDays"] == 1
    assert expiring == {"images/", "uploads/"}


def test_the_table_costs_by_use() -> None:
    """The table is on demand, keyed by `pk`, encrypted, restorable, and forgets items by `expires_at`."""
    table = RESOURCES["Table"]["Properties"]

    assert table["BillingMode"] == "PAY_PER_REQUEST"
    assert table["KeySchema"] == [{"AttributeName": "pk", "KeyType": "HASH"}]
    assert table["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}
    assert table["SSESpecification"] == {"SSEEnabled": True}
    assert table["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


def test_outputs_are_described() -> None:
    """The outputs that `make token` reads are there, and each says what it is."""
    outputs = TEMPLATE.document["Outputs"]

    assert {"Url", "BucketName", "TableName", "ConfigParameterName"} <= set(outputs)
    assert all(item["Description"].endswith(".") for item in outputs.values())


def test_the_configuration_is_where_the_functions_look() -> None:
    """The parameter in the outputs, in the environment and in the policies is one and the same."""
    shared = TEMPLATE.document["Globals"]["Function"]["Environment"]["Variables"]
    name = TEMPLATE.document["Outputs"]["ConfigParameterName"]["Value"]

    assert shared["CONFIG_PARAMETER"] == name
    assert CONFIG_PARAMETER["Fn::Sub"].endswith(f":parameter{name['Fn::Sub']}")


def test_the_functions_end_after_the_api_gives_up() -> None:
    """The config function ends before API Gateway's 30 s are over; a generation may take longer and is still stored."""
    assert FUNCTIONS["ConfigFunction"].timeout < 30
    for function in (FUNCTIONS["GenerateFunction"], FUNCTIONS["EditFunction"]):
        assert function.timeout == int(function.environment["FUNCTION_TIMEOUT_SECONDS"]) == 300
