"""ComfyUI workflows of many kinds, in the shapes that people have them, and what is right for each.

Each file of `data/workflows` is one. Its first line is `# name`. A node is `id | class | inputs`, and `@node.output` is
a link. A line `= type inputs` says which inputs are right for a type, as `node.input`; `?` after them means that the
workflow has other readings, so that nothing must be sure. A type without a line is not proposed. `! code node` is a
problem.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "data" / "workflows"
_INPUT = re.compile(r'("[^"]*"|\S+?)=("(?:[^"\\]|\\.)*"|\{[^}]*\}|\S+)')


@dataclass(frozen=True)
class Sample:
    """A workflow with the right proposals for it.

    Attributes:
        name: what it does.
        workflow: in ComfyUI's API format.
        expected: type → inputs, and `?` if the proposal must not be sure.
        problems: `code` or `code node` of each problem.
    """

    name: str
    workflow: dict[str, dict[str, Any]]
    expected: dict[str, str]
    problems: list[str]


def samples() -> list[Sample]:
    """Return all samples, in the order of their names."""
    return [_sample(path.read_text("utf-8").splitlines()) for path in sorted(_FOLDER.glob("*.txt"))]


def sample(name: str) -> Sample:
    """Return the sample of this name."""
    return next(found for found in samples() if found.name == name)


def parse_nodes(lines: list[str]) -> dict[str, dict[str, Any]]:
    """Return the workflow whose nodes are written as lines."""
    workflow = {}
    for line in lines:
        node_id, class_type, inputs = line.split(" | ")
        found = {name.strip('"'): _value(value) for name, value in _INPUT.findall(inputs)}
        workflow[node_id] = {"class_type": class_type, "inputs": found}
    return workflow


def _sample(lines: list[str]) -> Sample:
    marked = {mark: [line[2:] for line in lines if line.startswith(f"{mark} ")] for mark in "#=!"}
    nodes = parse_nodes([line for line in lines if line[:2] not in ("# ", "= ", "! ")])
    expected = dict(line.split(" ", 1) for line in marked["="])
    return Sample(marked["#"][0], nodes, expected, marked["!"])


def _value(text: str) -> Any:
    if text.startswith("@"):
        node_id, _, slot = text[1:].rpartition(".")
        return [node_id, int(slot)]
    return json.loads(text)
