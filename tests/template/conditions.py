"""Resolves the conditions in a template's values."""

from typing import Any

from sandbox.template import Template

_NO_VALUE = {"Ref": "AWS::NoValue"}


def apply_conditions(value: Any, template: Template) -> Any:
    """A value with each `Fn::If` replaced by the branch that its condition selects, and `AWS::NoValue` removed."""
    if isinstance(value, dict) and "Fn::If" in value:
        condition, then, otherwise = value["Fn::If"]
        return apply_conditions(then if template.holds(condition) else otherwise, template)
    if isinstance(value, dict):
        applied = {name: apply_conditions(item, template) for name, item in value.items()}
        return {name: item for name, item in applied.items() if item != _NO_VALUE}
    if isinstance(value, list):
        return [item for item in (apply_conditions(item, template) for item in value) if item != _NO_VALUE]
    return value


def properties_of(name: str, template: Template) -> dict[str, Any]:
    """The properties of a resource, with conditions applied."""
    applied: dict[str, Any] = apply_conditions(template.properties(name), template)
    return applied
