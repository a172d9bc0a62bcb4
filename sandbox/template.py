"""Reads `template.yaml`, which decides what exists in the sandbox."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sandbox.parameters import members, refused_values
from sandbox.template_document import load_document

ROOT = Path(__file__).resolve().parent.parent
STACK = "sandbox"
REGION: Final = "eu-central-1"
ACCOUNT: Final = "123456789012"
DEFAULT_PATH: Final = "$default"
"""The path of the route that gets what no other route matches."""


@dataclass(frozen=True)
class Route:
    """A route of the HTTP API."""

    method: str
    path: str
    function: str

    @property
    def key(self) -> str:
        """The route's key, as events have it."""
        return self.path if self.path == DEFAULT_PATH else f"{self.method} {self.path}"

    def match(self, path: str) -> dict[str, str] | None:
        """Return the path parameters if `path` matches this route, otherwise None.

        A greedy parameter may be empty, so `/console/` is a path of `/console/{path+}`. AWS's documentation does
        not say so; it was observed on AWS: https://github.com/storacha/w3infra/pull/166.
        """
        if self.path == DEFAULT_PATH:
            return {}
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(self.path))
        pattern = re.sub(r"\\\{(\w+)\\\+\\\}", r"(?P<\1>.*)", pattern)
        match = re.fullmatch(pattern, path, re.DOTALL)
        return match.groupdict() if match else None


@dataclass(frozen=True)
class QueueMapping:
    """An event source mapping: a queue, and the function that receives its messages.

    Attributes:
        function: the function's name.
        url: the queue's URL.
        arn: the queue's ARN.
        batch_size: the maximum number of messages in one event.
        concurrency: the maximum number of events at a time.
    """

    function: str
    url: str
    arn: str
    batch_size: int
    concurrency: int


@dataclass(frozen=True)
class Function:
    """A function: its handler, its limits (`timeout` in seconds, `memory` in MB), environment, routes and runtime."""

    name: str
    handler: str
    timeout: int
    memory: int
    environment: dict[str, str]
    routes: list[Route] = field(default_factory=list)
    runtime: str = "python3.13"


class Template:
    """A template with values for its parameters and names for its resources.

    Args:
        path: the template file.
        parameters: values that replace the parameters' defaults.
        stack: the stack's name, the prefix of the resources' names.
        sqs_url: the prefix of the queues' URLs.

    Attributes:
        document: the template as it is written.
        values: parameters, pseudo parameters (`AWS::…`), and resources by what `Ref` and `Fn::GetAtt` return.
    """

    def __init__(
        self,
        path: Path = ROOT / "template.yaml",
        parameters: Mapping[str, str] | None = None,
        *,
        stack: str = STACK,
        sqs_url: str = f"https://sqs.{REGION}.amazonaws.com",
    ) -> None:
        self.document = load_document(path)
        self._given = dict(parameters or {})
        defaults = {name: str(item.get("Default", "")) for name, item in self.document["Parameters"].items()}
        self.values = {
            **defaults,
            **self._given,
            "AWS::StackName": stack,
            "AWS::Region": REGION,
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
        }
        for name, resource in self.document["Resources"].items():
            self.values |= _values(name, resource["Type"], f"{stack}-{name.lower()}", sqs_url)

    def properties(self, name: str) -> dict[str, Any]:
        """Return a resource's properties as they are written."""
        properties: dict[str, Any] = self.document["Resources"][name]["Properties"]
        return properties

    def resolve(self, value: Any) -> str:
        """Resolve a scalar, `Ref`, `Fn::GetAtt`, `Fn::Sub`, `Fn::Join` or `Fn::If` to text.

        Raises:
            KeyError: the function is not supported, or a name is not in the template.
        """
        if isinstance(value, dict) and "Ref" in value:
            return self.values[value["Ref"]]
        if isinstance(value, dict) and "Fn::GetAtt" in value:
            return self.values[".".join(value["Fn::GetAtt"])]
        if isinstance(value, dict) and "Fn::Sub" in value:
            return re.sub(r"\$\{([^}]+)\}", lambda match: self.values[match[1]], value["Fn::Sub"])
        if isinstance(value, dict) and "Fn::Join" in value:
            separator, items = value["Fn::Join"]
            return str(separator).join(self.resolve(items).split(","))
        if isinstance(value, dict) and "Fn::If" in value:
            condition, then, otherwise = value["Fn::If"]
            return self.resolve(then if self.holds(condition) else otherwise)
        if isinstance(value, dict | list):
            raise KeyError(f"The sandbox cannot resolve {value}")
        return str(value)

    def holds(self, condition: str) -> bool:
        """Return whether one of the template's conditions is true.

        Raises:
            KeyError: as `resolve`.
        """
        return self._is_true(self.document["Conditions"][condition])

    def refusals(self) -> list[str]:
        """Return why CloudFormation would not deploy the template with these parameters; empty if it would.

        Raises:
            KeyError: as `resolve`.
        """
        return refused_values(self.document["Parameters"], self._given) or [
            assertion["AssertDescription"]
            for rule in self.document.get("Rules", {}).values()
            if "RuleCondition" not in rule or self._is_true(rule["RuleCondition"])
            for assertion in rule["Assertions"]
            if not self._is_true(assertion["Assert"])
        ]

    def _is_true(self, expression: Any) -> bool:
        match expression:
            case {"Fn::Equals": [left, right]}:
                return self.resolve(left) == self.resolve(right)
            case {"Fn::Not": [negated]}:
                return not self._is_true(negated)
            case {"Fn::EachMemberEquals": [list_parameter, text]}:
                return all(member == text for member in members(self.resolve(list_parameter)))
        raise KeyError(f"The sandbox cannot evaluate {expression}")

    def resolve_within(self, value: Any) -> Any:
        """Return a value with all functions in its lists and mappings resolved; other scalars are unchanged.

        Raises:
            KeyError: as `resolve`.
        """
        if isinstance(value, list):
            return [self.resolve_within(item) for item in value]
        if not isinstance(value, dict):
            return value
        if any(name == "Ref" or name.startswith("Fn::") for name in value):
            return self.resolve(value)
        return {name: self.resolve_within(item) for name, item in value.items()}

    def queue_mappings(self) -> list[QueueMapping]:
        """Return the event source mapping of every queue whose messages a function receives."""
        mappings = [
            resource["Properties"]
            for resource in self.document["Resources"].values()
            if resource["Type"] == "AWS::Lambda::EventSourceMapping"
        ]
        return [
            QueueMapping(
                function=self.resolve(mapping["FunctionName"]),
                url=self.values[mapping["EventSourceArn"]["Fn::GetAtt"][0]],
                arn=self.resolve(mapping["EventSourceArn"]),
                batch_size=int(self.resolve(mapping["BatchSize"])),
                concurrency=int(self.resolve(mapping["ScalingConfig"]["MaximumConcurrency"])),
            )
            for mapping in mappings
        ]

    def functions(self) -> list[Function]:
        """Return every function, with its environment variables resolved."""
        defaults = self.document["Globals"]["Function"]
        functions = []
        for name, resource in self.document["Resources"].items():
            if resource["Type"] != "AWS::Serverless::Function":
                continue
            properties = {**defaults, **resource["Properties"]}
            variables = {
                **defaults["Environment"]["Variables"],
                **resource["Properties"].get("Environment", {}).get("Variables", {}),
            }
            routes = [
                Route(event["Properties"]["Method"], event["Properties"]["Path"], name)
                for event in properties.get("Events", {}).values()
                if event["Type"] == "HttpApi"
            ]
            environment = {key: self.resolve(value) for key, value in variables.items()}
            timeout, memory = (int(self.resolve(properties[limit])) for limit in ("Timeout", "MemorySize"))
            runtime = self.resolve(properties["Runtime"])
            functions.append(Function(name, properties["Handler"], timeout, memory, environment, routes, runtime))
        return functions


def _values(name: str, resource_type: str, deployed_name: str, sqs_url: str) -> dict[str, str]:
    """Return what `Ref` and `Fn::GetAtt` return for a resource: `{name: …, "name.Attribute": …}`."""
    if resource_type in ("AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::Events::Rule"):
        return {name: deployed_name}
    if resource_type == "AWS::SQS::Queue":
        url = f"{sqs_url}/{ACCOUNT}/{deployed_name}"
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{deployed_name}"
        return {name: url, f"{name}.QueueUrl": url, f"{name}.QueueName": deployed_name, f"{name}.Arn": arn}
    if resource_type == "AWS::Serverless::Function":
        return {name: name}
    return {}
