"""What each function may do is what `permissions.json` records, however the template divides it into policies.

After an intended change of a function's permissions, write the record again and review the difference:

    .venv/bin/python -m tests.template.permissions > tests/template/permissions.json
"""

import pytest

from sandbox.template import ROOT, Template
from tests.template.permissions import (
    COMBINATIONS,
    OPTIONS,
    Permission,
    effective_permissions,
    from_json,
    permissions_of,
    statements,
    with_options,
)

RECORD = from_json((ROOT / "tests/template/permissions.json").read_text())
FUNCTIONS = [function.name for function in Template().functions()]


def recorded(function: str, options: tuple[str, ...]) -> set[Permission]:
    """What the record says that a function may do in a deployment with these options."""
    return {permission for name in ("always", *options) for permission in RECORD[function][name]}


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("options", COMBINATIONS, ids=lambda names: " and ".join(names) or "no options")
def test_permissions_are_as_recorded(function: str, options: tuple[str, ...]) -> None:
    """With each combination of options, a function may do what the record says, and nothing else."""
    assert effective_permissions(function, with_options(options)) == recorded(function, options)


def test_the_record_has_every_function_and_option() -> None:
    """The record is of the functions that the template has, and of the options that are combined."""
    assert {function: list(groups) for function, groups in RECORD.items()} == {
        function: ["always", *OPTIONS] for function in FUNCTIONS
    }


@pytest.mark.parametrize("condition", Template().document["Conditions"])
def test_the_combinations_switch_every_condition(condition: str) -> None:
    """No condition of the template is left out: each is met with some combination and not met with another."""
    assert {with_options(options).holds(condition) for options in COMBINATIONS} == {True, False}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_permission_is_granted_twice(function: str) -> None:
    """No two statements of a function grant the same permission, so none can be removed without a difference."""
    granted = [
        one for statement in statements(function, with_options(tuple(OPTIONS))) for one in permissions_of(statement)
    ]

    assert len(granted) == len(set(granted))
