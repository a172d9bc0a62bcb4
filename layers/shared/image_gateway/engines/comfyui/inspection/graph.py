"""A workflow as a graph: nodes, literals and links. Every walk through it counts its steps against one limit."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from image_gateway.models.workflow import Workflow
from image_gateway.models.workflow_outputs import is_link

MAX_STEPS = 200_000
"""How many inputs all walks of one inspection may look at: about a second of CPU."""


class TooComplexError(Exception):
    """The walks through a workflow have reached their limit."""


_SHOWN = 4
"""How many nodes a text names."""


@dataclass(frozen=True, slots=True)
class Link:
    """An output of a node: its id and the number of the output."""

    node_id: str
    slot: int


@dataclass(frozen=True, slots=True)
class Use:
    """An input that a node's output is linked to."""

    node_id: str
    name: str
    slot: int


class Graph:
    """The nodes of a workflow, which may have cycles and links to nodes that it does not have.

    Attributes:
        classes: node id → class.
        literals: node id → the inputs that are values.
        links: node id → the inputs that are linked to another node of the workflow.
        dangling: node id, input and missing node of each other link.
        uses: node id → the inputs that its outputs are linked to.
        order: node id → its place in the order of execution; nodes of a cycle come last.
        in_cycle: the first node that cannot be executed because of a cycle.
        steps: how many inputs the walks have looked at.
    """

    def __init__(self, workflow: Workflow, max_steps: int = MAX_STEPS) -> None:
        self.max_steps = max_steps
        self.steps = 0
        self.classes: dict[str, str] = {}
        self.literals: dict[str, dict[str, Any]] = {}
        self.links: dict[str, dict[str, Link]] = {}
        self.dangling: list[tuple[str, str, str]] = []
        self.uses: dict[str, list[Use]] = {node_id: [] for node_id in workflow}
        for node_id, node in workflow.items():
            self._add(node_id, node)
        self.order = self._execution_order()
        self.in_cycle = next((node_id for node_id in workflow if self.order[node_id] >= len(workflow)), None)

    def step(self, node_id: str) -> None:
        """Count a visit of a node.

        Raises:
            TooComplexError: the limit is reached.
        """
        self.steps += 1 + len(self.literals[node_id]) + len(self.links[node_id])
        if self.steps > self.max_steps:
            raise TooComplexError

    def before(self, node_ids: Iterable[str]) -> set[str]:
        """Return these nodes and all that they depend on."""
        seen = set(node_ids)
        waiting = list(seen)
        while waiting:
            node_id = waiting.pop()
            self.step(node_id)
            sources = {link.node_id for link in self.links[node_id].values()} - seen
            seen |= sources
            waiting += sources
        return seen

    def label(self, node_id: str) -> str:
        """Return a node's class and id for a text: `KSampler 3`."""
        return f"{self.classes[node_id]} {node_id}"

    def labels(self, node_ids: Iterable[str]) -> str:
        """Return classes and ids of some nodes for a text."""
        node_ids = list(node_ids)
        more = f" and {len(node_ids) - _SHOWN} more" if len(node_ids) > _SHOWN else ""
        return ", ".join(map(self.label, node_ids[:_SHOWN])) + more

    def _add(self, node_id: str, node: dict[str, Any]) -> None:
        self.classes[node_id] = node["class_type"]
        literals: dict[str, Any] = {}
        links: dict[str, Link] = {}
        for name, value in node["inputs"].items():
            if not is_link(value) or not isinstance(value[1], int):
                literals[name] = value
            elif value[0] in self.uses:
                links[name] = Link(value[0], value[1])
                self.uses[value[0]].append(Use(node_id, name, value[1]))
            else:
                self.dangling.append((node_id, name, value[0]))
        self.literals[node_id], self.links[node_id] = literals, links

    def _execution_order(self) -> dict[str, int]:
        missing = {node_id: len({link.node_id for link in links.values()}) for node_id, links in self.links.items()}
        ready = [node_id for node_id, count in missing.items() if not count]
        order: dict[str, int] = {}
        for node_id in ready:
            order[node_id] = len(order)
            for user in dict.fromkeys(use.node_id for use in self.uses[node_id]):
                missing[user] -= 1
                if not missing[user]:
                    ready.append(user)
        in_cycles = (node_id for node_id in self.classes if node_id not in order)
        return {**order, **{node_id: len(self.classes) + number for number, node_id in enumerate(in_cycles)}}
