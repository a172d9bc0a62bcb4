"""The effective permissions of the template's functions: inline and managed policies, with conditions applied.

Run as a program, it prints the JSON that `permissions.json` holds.
"""

import json
from collections.abc import Mapping
from itertools import combinations
from typing import Any, Final, NamedTuple

from sandbox.template import Template
from tests.template.conditions import apply_conditions

_STATEMENT_KEYS: Final = {"Sid", "Effect", "Action", "Resource", "Condition"}
_ROLE_KEYS: Final = {"AssumeRolePolicyDocument", "Policies", "ManagedPolicyArns"}
_MANAGED_POLICY_KEYS: Final = {"Description", "PolicyDocument"}

OPTIONS: Final[dict[str, dict[str, str]]] = {
    "key": {"KmsKeyArn": "arn:aws:kms:eu-central-1:123456789012:key/0d9b9d3c-1c2f-4a7e-9c55-2f8f3f6b7a10"},
    "network": {"VpcSubnetIds": "subnet-1,subnet-2", "VpcSecurityGroupIds": "sg-1"},
    "function URLs": {"FunctionUrl": "true", "GenerateConcurrency": "5", "EditConcurrency": "5"},
    "browsers, alarms and limits": {
        "CorsOrigins": "https://app.example",
        "AlarmTopicArn": "arn:aws:sns:eu-central-1:123456789012:alarms",
        "ConfigConcurrency": "5",
        "JobsConcurrency": "5",
        "ConsoleConcurrency": "5",
        "ReserveWorkerConcurrency": "true",
    },
}
"""Parameters that switch the template's conditions, by what a deployment gets with them."""

COMBINATIONS: Final = [names for count in range(len(OPTIONS) + 1) for names in combinations(OPTIONS, count)]
"""Every selection of the options, from none to all."""


class Permission(NamedTuple):
    """One action on one resource.

    Attributes:
        effect: `Allow` or `Deny`.
        action: an IAM action.
        resource: `*` or an ARN, in the notation of `Fn::Sub`.
        condition: the condition as JSON with sorted keys and values; `null` for none.
    """

    effect: str
    action: str
    resource: str
    condition: str


Record = dict[str, dict[str, set[Permission]]]
"""For each function, what it may always do, and what each option adds to that."""


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def with_options(names: tuple[str, ...]) -> Template:
    """The template with the parameters of these options."""
    return Template(parameters={key: value for name in names for key, value in OPTIONS[name].items()})


def policy_documents(
    function: str, template: Template, resources: Mapping[str, Any] | None = None
) -> list[dict[str, Any]]:
    """The documents of every policy that a function's role has: its inline ones, then the managed ones.

    Args:
        function: its logical id.
        template: the template, with its parameters.
        resources: the resources to look in, when not the template's own.

    Raises:
        AssertionError: the role or a policy has a property that could grant something and is not read here.
        KeyError: a managed policy is not one of the resources.
    """
    found = template.document["Resources"] if resources is None else resources
    role = apply_conditions(found[found[function]["Properties"]["Role"]["Fn::GetAtt"][0]], template)
    assert role["Type"] == "AWS::IAM::Role"
    assert set(role["Properties"]) <= _ROLE_KEYS
    inline = [policy["PolicyDocument"] for policy in role["Properties"].get("Policies", [])]
    managed = [found[arn["Ref"]] for arn in role["Properties"].get("ManagedPolicyArns", [])]
    for policy in managed:
        assert policy["Type"] == "AWS::IAM::ManagedPolicy"
        assert "Condition" not in policy or template.holds(policy["Condition"])
        assert set(policy["Properties"]) <= _MANAGED_POLICY_KEYS
    documents = inline + [apply_conditions(policy["Properties"]["PolicyDocument"], template) for policy in managed]
    assert all(set(document) == {"Version", "Statement"} for document in documents)
    assert {document["Version"] for document in documents} == {"2012-10-17"}
    return documents


def statements(function: str, template: Template, resources: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
    """Every statement of every policy that a function's role has; arguments and errors as for `policy_documents`."""
    return [one for document in policy_documents(function, template, resources) for one in document["Statement"]]


def effective_permissions(
    function: str, template: Template, resources: Mapping[str, Any] | None = None
) -> set[Permission]:
    """What a function may do, however it is divided into policies; arguments and errors as for `policy_documents`."""
    return {
        permission
        for statement in statements(function, template, resources)
        for permission in permissions_of(statement)
    }


def permissions_of(statement: dict[str, Any]) -> list[Permission]:
    """A permission for each action and each resource of a statement.

    Raises:
        AssertionError: the statement has an element that is not read here, such as `NotAction`.
    """
    assert set(statement) <= _STATEMENT_KEYS, statement
    condition = _condition(statement["Condition"]) if "Condition" in statement else "null"
    return [
        Permission(statement["Effect"], action, _text(resource), condition)
        for action in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    ]


def _condition(condition: dict[str, Any]) -> str:
    """A condition as JSON, its values sorted lists of texts."""
    normalized = {
        operator: {key: sorted(_text(value) for value in as_list(values)) for key, values in keys.items()}
        for operator, keys in condition.items()
    }
    return json.dumps(normalized, sort_keys=True)


def _text(value: Any) -> str:
    """A value in the notation of `Fn::Sub`, whichever of the functions it is written with."""
    match value:
        case str():
            return value
        case {"Ref": str(name)}:
            return f"${{{name}}}"
        case {"Fn::GetAtt": [name, attribute]}:
            return f"${{{name}.{attribute}}}"
        case {"Fn::Sub": str(text)}:
            return text
    raise AssertionError(f"not a text: {value}")


def current_record() -> Record:
    """The record of the template as it is."""
    found: Record = {}
    for function in (item.name for item in with_options(()).functions()):
        always = effective_permissions(function, with_options(()))
        added = {name: effective_permissions(function, with_options((name,))) - always for name in OPTIONS}
        found[function] = {"always": always, **added}
    return found


def to_json(record: Record) -> str:
    """A record as JSON with a line for each permission: effect, action, resource and condition."""
    functions = []
    for function, groups in record.items():
        parts = []
        for name, permissions in groups.items():
            lines = ",\n".join(
                f"      [{json.dumps(effect)}, {json.dumps(action)}, {json.dumps(resource)}, {condition}]"
                for effect, action, resource, condition in sorted(permissions)
            )
            parts.append(f"    {json.dumps(name)}: [\n{lines}\n    ]" if lines else f"    {json.dumps(name)}: []")
        functions.append(f"  {json.dumps(function)}: {{\n" + ",\n".join(parts) + "\n  }")
    return "{\n" + ",\n".join(functions) + "\n}"


def from_json(text: str) -> Record:
    """The record that `to_json` wrote."""
    return {
        function: {
            name: {
                Permission(effect, action, resource, json.dumps(condition, sort_keys=True))
                for effect, action, resource, condition in permissions
            }
            for name, permissions in groups.items()
        }
        for function, groups in json.loads(text).items()
    }


if __name__ == "__main__":
    print(to_json(current_record()))  # noqa: T201 - the result
