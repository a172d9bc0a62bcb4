"""The constraints of a template's parameters, as CloudFormation checks them before it deploys anything.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/parameters-section-structure.html
"""

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any


def refused_values(parameters: Mapping[str, Any], values: Mapping[str, str]) -> list[str]:
    """Return why values are refused, each as one sentence that begins with the parameter's name; empty if none is.

    Args:
        parameters: the template's section `Parameters`.
        values: the values that are given; the other parameters have their defaults.
    """
    unknown = [f"The template has no parameter {name}" for name in values if name not in parameters]
    return unknown + [refusal for name, item in parameters.items() for refusal in _refusals(name, item, values)]


def members(value: str) -> list[str]:
    """Return the members of a list parameter, which CloudFormation trims; an empty value has one, the empty string."""
    return [member.strip() for member in value.split(",")]


def _refusals(name: str, parameter: Mapping[str, Any], values: Mapping[str, str]) -> Iterator[str]:
    """Yield the first reason why a parameter's value is refused, if there is one."""
    if name not in values and "Default" not in parameter:
        yield f"{name} must have a value"
        return
    value = str(values.get(name, parameter.get("Default")))
    problem = _number_problem(parameter, value) if parameter["Type"] == "Number" else None
    allowed = [str(item) for item in parameter.get("AllowedValues", [])]
    if not problem and allowed and value not in allowed:
        problem = f"must be one of {', '.join(allowed)}"
    pattern = parameter.get("AllowedPattern")
    texts = members(value) if parameter["Type"] == "CommaDelimitedList" else [value]
    if pattern and not all(re.fullmatch(pattern, text) for text in texts):
        problem = parameter.get("ConstraintDescription", f"must match {pattern}")
    if problem:
        yield f"{name} {problem}"


def _number_problem(parameter: Mapping[str, Any], value: str) -> str | None:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        return "must be a number"
    if number < parameter.get("MinValue", -math.inf):
        return f"must not be less than {parameter['MinValue']}"
    if number > parameter.get("MaxValue", math.inf):
        return f"must not be greater than {parameter['MaxValue']}"
    return None
