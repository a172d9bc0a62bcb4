"""The template's parameters and outputs: described, grouped and bounded."""

from image_gateway.settings import TEMPLATE_PARAMETERS
from sandbox.template import Template

DOCUMENT = Template().document


def test_parameters_are_described() -> None:
    """Every parameter has a description and a default, and belongs to a group of the console's form."""
    parameters = DOCUMENT["Parameters"]
    groups = DOCUMENT["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]

    assert all(item["Description"].endswith(".") and "Default" in item for item in parameters.values())
    assert sorted(name for group in groups for name in group["Parameters"]) == sorted(parameters)


def test_parameters_are_validated() -> None:
    """A number has bounds or a list of values; a string has a pattern or a list of values."""
    for name, item in DOCUMENT["Parameters"].items():
        if item["Type"] == "Number":
            assert "AllowedValues" in item or {"MinValue", "MaxValue"} <= set(item), name
        if item["Type"] == "String":
            assert "AllowedValues" in item or "AllowedPattern" in item, name


def test_patterns_are_described() -> None:
    """What a refused value must be is said in words, not by a regular expression."""
    for name, item in DOCUMENT["Parameters"].items():
        assert ("AllowedPattern" in item) == ("ConstraintDescription" in item), name
        assert item.get("ConstraintDescription", "must be …").startswith("must "), name


def test_outputs_are_described() -> None:
    """The template has the outputs that `make token` reads, and every output has a description."""
    outputs = DOCUMENT["Outputs"]

    assert {"Url", "BucketName", "TableName", "ConfigParameterName"} <= set(outputs)
    assert all(item["Description"].endswith(".") for item in outputs.values())


def test_settings_name_the_parameters_that_set_them() -> None:
    """The errors about settings name the parameter that each variable of every function comes from."""
    document = Template().document
    sources: dict[str, set[str]] = {}
    for properties in (
        document["Globals"]["Function"],
        *(item["Properties"] for item in document["Resources"].values()),
    ):
        for name, value in properties.get("Environment", {}).get("Variables", {}).items():
            sources.setdefault(name, set()).add(value["Ref"] if isinstance(value, dict) and "Ref" in value else "")

    only = {name: min(found) for name, found in sources.items() if len(found) == 1}
    assert {name: source for name, source in only.items() if source in document["Parameters"]} == TEMPLATE_PARAMETERS
