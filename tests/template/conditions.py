"""What a template comes to once its conditions are decided."""

from typing import Any

from sandbox.template import Template

_NOTHING = {"Ref": "AWS::NoValue"}


def decided(value: Any, template: Template) -> Any:
    """A value with each `Fn::If` in it replaced by what its condition chooses, and what is no value left out."""
    if isinstance(value, dict) and "Fn::If" in value:
        condition, then, otherwise = value["Fn::If"]
        return decided(then if template.holds(condition) else otherwise, template)
    if isinstance(value, dict):
        found = {name: decided(item, template) for name, item in value.items()}
        return {name: item for name, item in found.items() if item != _NOTHING}
    if isinstance(value, list):
        return [item for item in (decided(item, template) for item in value) if item != _NOTHING]
    return value
