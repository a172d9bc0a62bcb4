"""The template itself refuses parameters that would give a deployment that does not work."""

import pytest

from sandbox.template import Template

LIMITS = ("ConfigConcurrency", "GenerateConcurrency", "EditConcurrency", "JobsConcurrency")


def test_the_defaults_are_accepted() -> None:
    """A deployment needs no parameter."""
    assert Template().refusals() == []


@pytest.mark.parametrize(
    "parameters",
    [
        {"VpcSubnetIds": "subnet-0aaa"},
        {"VpcSubnetIds": "subnet-0aaa, subnet-0bbb", "VpcSecurityGroupIds": ""},
        {"VpcSecurityGroupIds": "sg-0ccc"},
    ],
)
def test_subnets_and_security_groups_require_each_other(parameters: dict[str, str]) -> None:
    """Lambda refuses subnets without security groups; security groups without subnets would have no effect."""
    (refusal,) = Template(parameters=parameters).refusals()

    assert "VpcSubnetIds" in refusal
    assert "VpcSecurityGroupIds" in refusal


def test_subnets_with_security_groups_are_accepted() -> None:
    """Both lists may have several members, with spaces after the commas."""
    parameters = {"VpcSubnetIds": "subnet-0aaa, subnet-0bbb", "VpcSecurityGroupIds": "sg-0ccc"}

    assert Template(parameters=parameters).refusals() == []


@pytest.mark.parametrize(
    "parameters",
    [
        {"VpcSubnetIds": "sg-0ccc", "VpcSecurityGroupIds": "sg-0ccc"},
        {"VpcSubnetIds": "subnet-0aaa", "VpcSecurityGroupIds": "subnet-0aaa"},
        {"VpcSubnetIds": "subnet-0aaa", "VpcSecurityGroupIds": "sg-0ccc,default"},
    ],
)
def test_subnets_and_security_groups_must_be_ids(parameters: dict[str, str]) -> None:
    """Swapped and named ones are refused."""
    assert len(Template(parameters=parameters).refusals()) == 1


@pytest.mark.parametrize("parameter", LIMITS)
@pytest.mark.parametrize("value", ["00", "0.0", "-0", "+0", " 0", "1.5", "1e2", "010", "-1", "10001", "", "many"])
def test_a_limit_is_a_plain_whole_number(parameter: str, value: str) -> None:
    """Lambda would take `00` as a limit of zero requests, and neither the rules nor the conditions would notice."""
    (refusal,) = Template(parameters={parameter: value}).refusals()

    assert refusal.startswith(f"{parameter} must be a whole number")


@pytest.mark.parametrize("parameter", LIMITS)
@pytest.mark.parametrize("value", ["0", "1", "10", "999", "9999", "10000"])
def test_a_limit_may_be_0_to_10000(parameter: str, value: str) -> None:
    """0 stands for no limit."""
    assert Template(parameters={parameter: value}).refusals() == []


def test_a_function_url_does_not_accept_a_limit_of_00() -> None:
    """The function URL needs a limit above 0."""
    parameters = {"FunctionUrl": "true", "GenerateConcurrency": "00", "EditConcurrency": "5"}

    assert Template(parameters=parameters).refusals() != []
