"""Loads a template file with CloudFormation's short forms."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml


class _Loader(yaml.CSafeLoader):
    """Loads YAML with CloudFormation's short forms: `!Ref x` becomes `{"Ref": "x"}`."""


def _short_form(loader: yaml.CSafeLoader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)  # noqa: S101 - YAML has no fourth kind of node
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".")
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)


@cache
def load_document(path: Path) -> dict[str, Any]:
    """Return a template as it is written; it is read once, so callers must not change it."""
    document: dict[str, Any] = yaml.load(path.read_text(), _Loader)  # noqa: S506 - a safe loader
    return document
