"""Each function has a role of its own, with the statements that it needs and no others."""

import json
import re
from typing import Any

import pytest

from sandbox.template import Template
from tests.template.conditions import properties_of
from tests.template.expected_statements import EXPECTED, IN_A_VPC, Statement
from tests.template.permissions import OPTIONS, as_list, statements, with_options

TEMPLATE = Template()
FUNCTIONS = [function.name for function in TEMPLATE.functions()]
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE.document["Resources"]
ROLES = [f"{function}Role" for function in FUNCTIONS]
MANAGED_POLICIES = [name for name, item in RESOURCES.items() if item["Type"] == "AWS::IAM::ManagedPolicy"]
EVERYTHING = with_options(tuple(OPTIONS))

MAX_MANAGED_POLICIES = 10
MAX_MANAGED_POLICY_CHARACTERS = 6_144
MAX_INLINE_POLICIES_CHARACTERS = 10_240
"""IAM's quotas of a role, in characters without white space: the size of one managed policy, and of all inline ones."""

LONG_VALUE = "x" * 150
"""In place of each reference in a policy: longer than the ARN of a resource of a stack with a long name."""


def by_sid(found: list[dict[str, Any]]) -> dict[str, Statement]:
    """The statements by their `Sid`, which is unique within a function."""
    statement_of = {one["Sid"]: (as_list(one["Action"]), one["Resource"], one.get("Condition")) for one in found}
    assert len(statement_of) == len(found)
    return statement_of


def size(document: dict[str, Any]) -> int:
    """The number of characters that IAM counts for a policy document, whose references have long values."""
    resolved = re.sub(
        r'\{"(?:Ref|Fn::GetAtt)":("[^"]*"|\[[^]]*\])\}|\{"Fn::Sub":("[^"]*")\}',
        lambda found: found[2] or f'"{LONG_VALUE}"',
        json.dumps(document, separators=(",", ":")),
    )
    return len(re.sub(r"\$\{[^}]+\}", LONG_VALUE, resolved))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_has_the_expected_statements(function: str) -> None:
    """Each statement of a function's policies has the actions, the resource and the condition that it needs."""
    found = statements(function, TEMPLATE)

    assert by_sid(found) == EXPECTED[function]
    assert all(statement["Effect"] == "Allow" for statement in found)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_has_its_own_role(function: str) -> None:
    """A function has a role of its own, which only Lambda may assume; SAM generates no policies for it."""
    properties = RESOURCES[function]["Properties"]
    role = RESOURCES[f"{function}Role"]["Properties"]

    assert properties["Role"] == {"Fn::GetAtt": [f"{function}Role", "Arn"]}
    assert "Policies" not in properties
    assert set(role) == {"AssumeRolePolicyDocument", "ManagedPolicyArns", "Policies"}
    assert role["AssumeRolePolicyDocument"]["Statement"] == [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_has_only_managed_policies_of_the_template(role: str) -> None:
    """Every managed policy of a role is written in the template; none of AWS's own is attached."""
    attached = properties_of(role, EVERYTHING)["ManagedPolicyArns"]

    assert [list(arn) for arn in attached] == [["Ref"]] * len(attached)
    assert {arn["Ref"] for arn in attached} <= set(MANAGED_POLICIES)


@pytest.mark.parametrize("policy", MANAGED_POLICIES)
def test_a_managed_policy_is_shared(policy: str) -> None:
    """A managed policy is attached to several roles, and by the roles alone."""
    users = [role for role in ROLES if {"Ref": policy} in properties_of(role, EVERYTHING)["ManagedPolicyArns"]]

    assert len(users) > 1
    assert set(RESOURCES[policy]["Properties"]) == {"Description", "PolicyDocument"}


@pytest.mark.parametrize("policy", MANAGED_POLICIES)
def test_a_managed_policy_is_attached_when_it_exists(policy: str) -> None:
    """A role refers to a managed policy with a condition only under that condition."""
    condition = RESOURCES[policy].get("Condition")
    reference: dict[str, Any] = {"Ref": policy}
    if condition:
        reference = {"Fn::If": [condition, reference, {"Ref": "AWS::NoValue"}]}
    attached = [arn for role in ROLES for arn in RESOURCES[role]["Properties"]["ManagedPolicyArns"]]

    assert {json.dumps(arn) for arn in attached if policy in json.dumps(arn)} == {json.dumps(reference)}


def test_a_statement_of_several_roles_is_written_once() -> None:
    """What several roles need for the same purpose, which its `Sid` names, is in one managed policy."""
    inline = [policy for role in ROLES for policy in properties_of(role, EVERYTHING)["Policies"]]
    managed = [properties_of(name, EVERYTHING) for name in MANAGED_POLICIES]
    written = [
        json.dumps(statement, sort_keys=True)
        for policy in inline + managed
        for statement in policy["PolicyDocument"]["Statement"]
    ]

    assert len(written) == len(set(written))


def test_roles_and_policies_have_no_explicit_names() -> None:
    """CAPABILITY_IAM suffices to deploy the template, because CloudFormation generates the names of IAM resources."""
    resources = {name: item for name, item in RESOURCES.items() if item["Type"].startswith("AWS::IAM::")}

    assert set(resources) == {*ROLES, *MANAGED_POLICIES}
    assert not [name for name, item in resources.items() if {"RoleName", "ManagedPolicyName"} & set(item["Properties"])]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_within_iam_quotas(role: str) -> None:
    """With every option, a role has at most ten managed policies, and its inline policies are not too long."""
    properties = properties_of(role, EVERYTHING)

    assert len(properties["ManagedPolicyArns"]) <= MAX_MANAGED_POLICIES
    assert sum(size(policy["PolicyDocument"]) for policy in properties["Policies"]) <= MAX_INLINE_POLICIES_CHARACTERS


@pytest.mark.parametrize("policy", MANAGED_POLICIES)
def test_a_managed_policy_is_within_the_iam_quota(policy: str) -> None:
    """A managed policy is not too long."""
    assert size(RESOURCES[policy]["Properties"]["PolicyDocument"]) <= MAX_MANAGED_POLICY_CHARACTERS


@pytest.mark.parametrize("function", FUNCTIONS)
def test_only_functions_in_a_vpc_have_network_permissions(function: str) -> None:
    """Only with VPC subnets, Lambda may create network interfaces for the functions that join the VPC."""
    with_vpc = with_options(("network",))
    joins = properties_of(function, with_vpc).get("VpcConfig")

    assert by_sid(statements(function, with_vpc)) == {**EXPECTED[function], **(IN_A_VPC if joins else {})}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_statements_have_no_wildcards(function: str) -> None:
    """No action has a wildcard; a resource has one only for the objects under a prefix."""
    for statement in statements(function, TEMPLATE):
        assert not [action for action in as_list(statement["Action"]) if "*" in action]
        if statement["Sid"] == "WriteTraces":
            continue
        for resource in as_list(statement["Resource"]):
            text = resource.get("Fn::Sub", "") if isinstance(resource, dict) else resource
            assert "*" not in re.sub(r"^\$\{Bucket\.Arn\}/[\w-]+/\*(/\w+\.json)?$", "", text)
