"""Reads `template.yaml`: what is not in it does not exist in the sandbox either."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
STACK = "sandbox"


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms: `!Ref x` reads as `{"Ref": "x"}`."""


def _short_form(loader: yaml.SafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
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


@dataclass(frozen=True)
class Route:
    """A route of the HTTP API."""

    method: str
    path: str
    function: str

    def match(self, path: str) -> dict[str, str] | None:
        """The path parameters if `path` is this route's, else None."""
        pattern = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(self.path))
        found = re.fullmatch(pattern, path)
        return found.groupdict() if found else None


@dataclass(frozen=True)
class Function:
    """A function: its handler, its limits (seconds, MB) and its environment."""

    name: str
    handler: str
    timeout: int
    memory: int
    environment: dict[str, str]
    routes: list[Route] = field(default_factory=list)


class Template:
    """The template, with its parameters' defaults and sandbox names for its resources.

    Args:
        path: the file.
        parameters: values in place of the parameters' defaults.
    """

    def __init__(self, path: Path = ROOT / "template.yaml", parameters: Mapping[str, str] | None = None) -> None:
        self.document: dict[str, Any] = yaml.load(path.read_text(), _Loader)  # noqa: S506 - a safe loader
        defaults = {name: str(item.get("Default", "")) for name, item in self.document["Parameters"].items()}
        self.values = {
            **defaults,
            **(parameters or {}),
            "AWS::StackName": STACK,
            "AWS::Region": "eu-central-1",
            "AWS::AccountId": "123456789012",
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
        }
        for name, resource in self.document["Resources"].items():
            if resource["Type"] in ("AWS::S3::Bucket", "AWS::DynamoDB::Table"):
                self.values[name] = f"{STACK}-{name.lower()}"

    def resource(self, name: str) -> dict[str, Any]:
        """A resource's properties as they are written."""
        properties: dict[str, Any] = self.document["Resources"][name]["Properties"]
        return properties

    def resolve(self, value: Any) -> str:
        """The text that a scalar or one of `Ref` and `Fn::Sub` stands for.

        Raises:
            KeyError: it names what the template or the sandbox does not have.
        """
        if isinstance(value, dict) and "Ref" in value:
            return self.values[value["Ref"]]
        if isinstance(value, dict) and "Fn::Sub" in value:
            return re.sub(r"\$\{([^}]+)\}", lambda found: self.values[found[1]], value["Fn::Sub"])
        if isinstance(value, dict | list):
            raise KeyError(f"the sandbox does not know how to resolve {value}")
        return str(value)

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
            found.append(Function(name, own["Handler"], own["Timeout"], own["MemorySize"], environment, routes))
        return found
