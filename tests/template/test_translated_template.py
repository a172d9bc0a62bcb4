"""The template that SAM passes to CloudFormation has the same permissions as `template.yaml`, and no others."""

import re
from typing import Any

import pytest

from sandbox.template import DEFAULT_PATH
from tests.template.build_artifact import FUNCTIONS, TEMPLATE
from tests.template.expected_statements import EXPECTED
from tests.template.permissions import COMBINATIONS, OPTIONS, effective_permissions, statements, with_options
from tests.template.test_permissions import recorded
from tests.template.test_roles import MANAGED_POLICIES, ROLES, by_sid

pytestmark = [pytest.mark.xdist_group("build"), pytest.mark.timeout(300)]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_translated_function_has_the_expected_statements(translated_resources: dict[str, Any], function: str) -> None:
    """A translated function has its own role, with the expected statements."""
    found = statements(function, TEMPLATE, translated_resources)

    assert translated_resources[function]["Properties"]["Role"] == {"Fn::GetAtt": [f"{function}Role", "Arn"]}
    assert by_sid(found) == EXPECTED[function]
    assert {statement["Effect"] for statement in found} == {"Allow"}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_translated_permissions_are_as_recorded(translated_resources: dict[str, Any], function: str) -> None:
    """With each combination of options, a translated function has the recorded permissions."""
    for options in COMBINATIONS:
        found = effective_permissions(function, with_options(options), translated_resources)
        assert found == recorded(function, options), options


@pytest.mark.parametrize("function", FUNCTIONS)
def test_sam_adds_nothing_to_a_role(translated_resources: dict[str, Any], function: str) -> None:
    """SAM leaves a role as it is written: AWS's own policies for logs and traces would allow any log group."""
    role = translated_resources[f"{function}Role"]["Properties"]

    assert role == TEMPLATE.properties(f"{function}Role")
    assert translated_resources[function]["Properties"]["TracingConfig"] == {"Mode": "Active"}


def test_there_are_no_other_roles_and_policies(translated_resources: dict[str, Any]) -> None:
    """Each function has one role and there is no other; only the bucket and the queues have resource policies."""
    kinds = {name: resource["Type"] for name, resource in translated_resources.items()}
    identities = {name for name, kind in kinds.items() if kind.startswith("AWS::IAM::")}
    policies = {name for name, kind in kinds.items() if kind.endswith("Policy")}

    assert identities == {*ROLES, *MANAGED_POLICIES}
    assert policies - identities == {"BucketPolicy", "JobQueuePolicy", "DeadLettersPolicy"}


def test_only_the_config_function_can_write_the_configuration(translated_resources: dict[str, Any]) -> None:
    """Only the config function can replace the configuration, and no function can delete it or read another."""
    everything = with_options(tuple(OPTIONS))
    permissions = {
        (function, permission.action)
        for function in FUNCTIONS
        for permission in effective_permissions(function, everything, translated_resources)
        if permission.action.startswith("ssm:")
    }

    assert {function for function, action in permissions if action != "ssm:GetParameter"} == {"ConfigFunction"}
    assert {action for _, action in permissions} == {"ssm:GetParameter", "ssm:PutParameter"}


def test_functions_can_be_invoked_only_through_their_routes(translated_resources: dict[str, Any]) -> None:
    """API Gateway may invoke each function for its own routes; anyone may use a function URL, if it is deployed.

    The function with all other paths has one permission, because its policy has no space for one of each route.
    """
    permissions = {
        name: resource
        for name, resource in translated_resources.items()
        if resource["Type"] == "AWS::Lambda::Permission"
    }
    routes = {
        f"/{route.method.replace('ANY', '*')}" + re.sub(r"\{\w+\}", "*", route.path)
        for function in TEMPLATE.functions()
        for route in function.routes
        if DEFAULT_PATH not in {route.path for route in function.routes}
    }
    by_api = {
        resource["Properties"]["SourceArn"]["Fn::Sub"][0].partition("${__Stage__}")[2]
        for resource in permissions.values()
        if resource["Properties"]["Principal"] == "apigateway.amazonaws.com"
    }
    by_anyone = {name for name, resource in permissions.items() if resource["Properties"]["Principal"] == "*"}

    assert by_api == routes | {"/*"}
    assert by_anyone == {
        f"{name}{part}" for name in ("Generate", "Edit") for part in ("UrlPermission", "UrlInvokePermission")
    }
    assert {translated_resources[name]["Condition"] for name in by_anyone} == {"HasFunctionUrl"}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_permissions_of_a_function_fit_into_its_policy(translated_resources: dict[str, Any], function: str) -> None:
    """A function's policy may have 20 KB (Lambda's quota), and a statement takes up to 600 bytes."""
    statements = [
        resource
        for resource in translated_resources.values()
        if resource["Type"] == "AWS::Lambda::Permission"
        and resource["Properties"]["FunctionName"] in ({"Ref": function}, {"Fn::GetAtt": [function, "Arn"]})
    ]

    assert len(statements) * 600 < 20_480


def test_the_translated_api_has_cors_only_for_named_origins(translated_resources: dict[str, Any]) -> None:
    """The translated API has a CORS configuration only under the condition that origins are named."""
    condition, cors, without = translated_resources["Api"]["Properties"]["Body"]["x-amazon-apigateway-cors"]["Fn::If"]

    assert (condition, without) == ("HasCorsOrigins", {"Ref": "AWS::NoValue"})
    assert cors["allowOrigins"] == {"Fn::Split": [",", ""]}
    assert "authorization" in cors["allowHeaders"]
