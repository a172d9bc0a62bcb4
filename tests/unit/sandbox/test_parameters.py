"""The sandbox refuses the parameters that CloudFormation refuses, with a message that names the parameter."""

from pathlib import Path

import pytest

from sandbox.template import Template

SMALL = """
Parameters:
  Days: {Type: Number, Default: 7, MinValue: 1, MaxValue: 30}
  Level: {Type: Number, Default: 1, AllowedValues: [1, 3]}
  Mode: {Type: String, Default: "off", AllowedValues: ["on", "off"]}
  Name: {Type: String, Default: "", AllowedPattern: "^[a-z]*$"}
  Port: {Type: String, Default: "1", AllowedPattern: "^[0-9]+$", ConstraintDescription: must be a port.}
  Subnets: {Type: CommaDelimitedList, Default: "", AllowedPattern: "^(subnet-[0-9]+)?$"}
  Groups: {Type: CommaDelimitedList, Default: ""}
  Required: {Type: String}
Rules:
  SubnetsNeedGroups:
    RuleCondition: !Not [!EachMemberEquals [!Ref Subnets, ""]]
    Assertions:
      - Assert: !Not [!EachMemberEquals [!Ref Groups, ""]]
        AssertDescription: Subnets require Groups.
  Always:
    Assertions:
      - Assert: !Not [!Equals [!Ref Name, "bad"]]
        AssertDescription: Name must not be bad.
Resources: {}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "template.yaml"
    path.write_text(SMALL)
    return path


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"Days": "30", "Level": "3", "Mode": "on", "Name": "abc", "Port": "80"},
        {"Days": "1.5"},
        {"Subnets": "subnet-1, subnet-2", "Groups": "sg-1"},
        {"Groups": "sg-1"},
    ],
)
def test_valid_parameters_are_accepted(path: Path, parameters: dict[str, str]) -> None:
    """Members of lists are compared one by one, without the spaces around them."""
    assert Template(path, {"Required": "x", **parameters}).refusals() == []


@pytest.mark.parametrize(
    ("parameters", "refusal"),
    [
        ({"Dayz": "3"}, "The template has no parameter Dayz"),
        ({"Days": "0"}, "Days must not be less than 1"),
        ({"Days": "30.5"}, "Days must not be greater than 30"),
        ({"Days": "many"}, "Days must be a number"),
        ({"Days": ""}, "Days must be a number"),
        ({"Days": "nan"}, "Days must be a number"),
        ({"Level": "2"}, "Level must be one of 1, 3"),
        ({"Mode": "ON"}, "Mode must be one of on, off"),
        ({"Name": "a1"}, "Name must match ^[a-z]*$"),
        ({"Name": "a\n"}, "Name must match ^[a-z]*$"),
        ({"Port": "http"}, "Port must be a port."),
        ({"Subnets": "subnet-1,other", "Groups": "sg-1"}, "Subnets must match ^(subnet-[0-9]+)?$"),
        ({"Subnets": "subnet-1"}, "Subnets require Groups."),
        ({"Name": "bad"}, "Name must not be bad."),
    ],
)
def test_an_invalid_parameter_is_refused(path: Path, parameters: dict[str, str], refusal: str) -> None:
    """By its constraints, or by a rule."""
    assert Template(path, {"Required": "x", **parameters}).refusals() == [refusal]


def test_a_parameter_without_a_value_is_refused(path: Path) -> None:
    """A parameter without a default needs a value."""
    assert Template(path).refusals() == ["Required must have a value"]


def test_several_refusals_are_listed_together(path: Path) -> None:
    """Rules are checked only where every value is valid by itself."""
    refusals = Template(path, {"Required": "x", "Days": "0", "Mode": "", "Subnets": "subnet-1"}).refusals()

    assert refusals == ["Days must not be less than 1", "Mode must be one of on, off"]
