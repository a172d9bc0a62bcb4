"""Reads `template.yaml`: what is not in it does not exist in the sandbox either."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

ROOT = Path(__file__).resolve().parent.parent
STACK = "sandbox"
REGION: Final = "eu-central-1"
ACCOUNT: Final = "123456789012"


class _Loader(yaml.CSafeLoader):
    """YAML with CloudFormation's short forms: `!Ref x` reads as `{"Ref": "x"}`."""


def _short_form(loader: yaml.CSafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)  # noqa: S101 - the third kind of three
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".")
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


@cache
def _document(path: Path) -> dict[str, Any]:
    """A template as it is written, read once; nobody changes it."""
    document: dict[str, Any] = yaml.load(path.read_text(), _Loader)  # noqa: S506 - a safe loader
    return document


@dataclass(frozen=True)
class Route:
    """A route of the HTTP API."""

    method: str
    path: str
    function: str

    def match(self, path: str) -> dict[str, str] | None:
        """The path parameters if `path` is this route's, else None."""
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(self.path))
        pattern = re.sub(r"\\\{(\w+)\\\+\\\}", r"(?P<\1>.+)", pattern)
        found = re.fullmatch(pattern, path, re.DOTALL)
        return found.groupdict() if found else None


@dataclass(frozen=True)
class QueueMapping:
    """An event source mapping: a queue, and the function that gets its messages.

    Attributes:
        function: its name.
        url: the queue's URL.
        arn: the queue's ARN.
        batch_size: the most messages in one event.
        concurrency: the most events at once.
    """

    function: str
    url: str
    arn: str
    batch_size: int
    concurrency: int


@dataclass(frozen=True)
class Function:
    """A function: its handler, its limits (seconds, MB), its environment, its routes and its runtime's identifier."""

    name: str
    handler: str
    timeout: int
    memory: int
    environment: dict[str, str]
    routes: list[Route] = field(default_factory=list)
    runtime: str = "python3.13"


class Template:
    """The template, with its parameters' defaults and sandbox names for its resources.

    Args:
        path: the file.
        parameters: values in place of the parameters' defaults.
        stack: the name that it is deployed under.
        sqs_url: what queues' URLs begin with.
    """

    def __init__(
        self,
        path: Path = ROOT / "template.yaml",
        parameters: Mapping[str, str] | None = None,
        *,
        stack: str = STACK,
        sqs_url: str = f"https://sqs.{REGION}.amazonaws.com",
    ) -> None:
        self.document = _document(path)
        defaults = {name: str(item.get("Default", "")) for name, item in self.document["Parameters"].items()}
        self.values = {
            **defaults,
            **(parameters or {}),
            "AWS::StackName": stack,
            "AWS::Region": REGION,
            "AWS::AccountId": ACCOUNT,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
        }
        for name, resource in self.document["Resources"].items():
            self.values |= _values(name, resource["Type"], f"{stack}-{name.lower()}", sqs_url)

    def resource(self, name: str) -> dict[str, Any]:
        """A resource's properties as they are written."""
        properties: dict[str, Any] = self.document["Resources"][name]["Properties"]
        return properties

    def resolve(self, value: Any) -> str:
        """The text that a scalar or one of `Ref`, `Fn::GetAtt`, `Fn::Sub`, `Fn::Join` and `Fn::If` stands for.

        Raises:
            KeyError: it names what the template or the sandbox does not have.
        """
        if isinstance(value, dict) and "Ref" in value:
            return self.values[value["Ref"]]
        if isinstance(value, dict) and "Fn::GetAtt" in value:
            return self.values[".".join(value["Fn::GetAtt"])]
        if isinstance(value, dict) and "Fn::Sub" in value:
            return re.sub(r"\$\{([^}]+)\}", lambda found: self.values[found[1]], value["Fn::Sub"])
        if isinstance(value, dict) and "Fn::Join" in value:
            separator, joined = value["Fn::Join"]
            return str(separator).join(self.resolve(joined).split(","))
        if isinstance(value, dict) and "Fn::If" in value:
            condition, then, otherwise = value["Fn::If"]
            return self.resolve(then if self.holds(condition) else otherwise)
        if isinstance(value, dict | list):
            raise KeyError(f"the sandbox does not know how to resolve {value}")
        return str(value)

    def holds(self, condition: str) -> bool:
        """Whether one of the template's conditions is met.

        Raises:
            KeyError: as `resolve`.
        """
        return self._is_true(self.document["Conditions"][condition])

    def refusals(self) -> list[str]:
        """Why CloudFormation would not deploy the template with these parameters: what its rules demand in vain.

        Raises:
            KeyError: as `resolve`.
        """
        return [
            assertion["AssertDescription"]
            for rule in self.document.get("Rules", {}).values()
            if self._is_true(rule["RuleCondition"])
            for assertion in rule["Assertions"]
            if not self._is_true(assertion["Assert"])
        ]

    def _is_true(self, expression: Any) -> bool:
        match expression:
            case {"Fn::Equals": [one, other]}:
                return self.resolve(one) == self.resolve(other)
            case {"Fn::Not": [contrary]}:
                return not self._is_true(contrary)
        raise KeyError(f"the sandbox does not know how to decide {expression}")

    def resolve_within(self, value: Any) -> Any:
        """Lists and mappings with everything in them resolved that stands for something else.

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
        """Every queue whose messages a function gets."""
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
        """Every function, with the environment that the template gives it."""
        shared = self.document["Globals"]["Function"]
        found = []
        for name, resource in self.document["Resources"].items():
            if resource["Type"] != "AWS::Serverless::Function":
                continue
            own = {**shared, **resource["Properties"]}
            variables = {
                **shared["Environment"]["Variables"],
                **resource["Properties"].get("Environment", {}).get("Variables", {}),
            }
            routes = [
                Route(event["Properties"]["Method"], event["Properties"]["Path"], name)
                for event in own.get("Events", {}).values()
                if event["Type"] == "HttpApi"
            ]
            environment = {key: self.resolve(value) for key, value in variables.items()}
            timeout, memory = (int(self.resolve(own[limit])) for limit in ("Timeout", "MemorySize"))
            runtime = self.resolve(own["Runtime"])
            found.append(Function(name, own["Handler"], timeout, memory, environment, routes, runtime))
        return found


def _values(name: str, kind: str, deployed: str, sqs_url: str) -> dict[str, str]:
    """What `Ref` and `Fn::GetAtt` give of a resource that is named `deployed`."""
    if kind in ("AWS::S3::Bucket", "AWS::DynamoDB::Table", "AWS::Events::Rule"):
        return {name: deployed}
    if kind == "AWS::SQS::Queue":
        url = f"{sqs_url}/{ACCOUNT}/{deployed}"
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{deployed}"
        return {name: url, f"{name}.QueueUrl": url, f"{name}.QueueName": deployed, f"{name}.Arn": arn}
    if kind == "AWS::Serverless::Function":
        return {name: name}
    return {}
