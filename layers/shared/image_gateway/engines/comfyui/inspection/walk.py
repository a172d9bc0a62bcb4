"""Walks back along the links of a workflow, from an input to the nodes where its value comes from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from image_gateway.engines.comfyui.inspection.graph import Graph, Link
from image_gateway.engines.comfyui.inspection.known_classes import UNKNOWN, NodeClass, known_classes
from image_gateway.engines.comfyui.inspection.names import Kind, Role, carries, carries_all, of_role, passes_on, role_of


@dataclass(slots=True)
class Sources:
    """Where a value comes from.

    Attributes:
        found: the outputs that it comes from, in the order of the inputs that lead to them.
        doubtful: a node whose outputs may stand for other inputs than assumed.
    """

    found: list[Link] = field(default_factory=list)
    doubtful: str | None = None


class Walk:
    """Walks through one workflow."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self._known = known_classes()

    def known(self, node_id: str) -> NodeClass:
        """Return what is known about a node's class."""
        return self._known.get(self.graph.classes[node_id], UNKNOWN)

    def sources_of(self, node_id: str, kind: Kind, role: Role = "positive") -> Sources:
        """Return where the values of a kind come from that go into a node."""
        return self._sources(self._inputs_for(_Visit(node_id, None, kind, role)), kind, role)

    def sources(self, links: Iterable[Link], kind: Kind) -> Sources:
        """Return where the value of a kind comes from that `links` lead to."""
        return self._sources([(link, False) for link in links], kind, "positive")

    def _sources(self, start: list[tuple[Link, bool]], kind: Kind, role: Role) -> Sources:
        sources = Sources()
        waiting = start[::-1]
        seen: set[Link] = set()
        while waiting:
            link, is_bundle = waiting.pop()
            if link in seen:
                continue
            seen.add(link)
            self.graph.step(link.node_id)
            visit = _Visit(link.node_id, link.slot, kind, role, is_bundle=is_bundle)
            inputs = self._inputs_for(visit)
            sources.doubtful = sources.doubtful or visit.doubtful
            if not inputs and not self._removes(link.node_id, kind):
                sources.found.append(link)
            waiting += inputs[::-1]
        return sources

    def chosen(self, node_id: str) -> str | None:
        """Return the input that a switch passes on, if the workflow itself says which."""
        choose, links = self.known(node_id).choose, self.graph.links[node_id]
        if not choose:
            return None
        if "first" in choose:
            return next((name for name in choose["first"] if name in links), None)
        name: str | None = choose["cases"].get(str(self._value(node_id, choose["by"])).lower())
        return name

    def _value(self, node_id: str, name: str) -> Any:
        """Return the value of an input, also if another node has nothing but this value."""
        link = self.graph.links[node_id].get(name)
        if link is None:
            return self.graph.literals[node_id].get(name)
        held = list(self.graph.literals[link.node_id].values())
        return held[0] if len(held) == 1 and not self.graph.links[link.node_id] else None

    def passed_on(self, node_id: str) -> Link | None:
        """Return the only input of a node that does nothing but pass it on, as a Reroute does."""
        links = self.graph.links[node_id]
        is_alone = len(links) == 1 and not self.graph.literals[node_id]
        return next((link for name, link in links.items() if passes_on(name)), None) if is_alone else None

    def texts_in(self, node_id: str, names: Iterable[str]) -> list[str]:
        """Return those of `names` that take a text in this node, as a value or by a link."""
        literals, links = self.graph.literals[node_id], self.graph.links[node_id]
        return [name for name in names if name in links or isinstance(literals.get(name), str)]

    def literal_texts(self, node_id: str) -> list[str]:
        """Return the inputs of a node that hold a text, by their names."""
        literals = self.graph.literals[node_id]
        return [name for name, value in literals.items() if isinstance(value, str) and carries(name, "text")]

    def _removes(self, node_id: str, kind: Kind) -> bool:
        return kind == "conditioning" and self.known(node_id).role == "removes_text"

    def _inputs_for(self, visit: "_Visit") -> list[tuple[Link, bool]]:
        """Return the inputs that a value comes from, and of each whether it takes many values as one.

        There are none if the node itself makes the value.
        """
        node_id, links = visit.node_id, self.graph.links[visit.node_id]
        names = self._declared_inputs(visit)
        if names is not None:
            return [(links[name], False) for name in names if name in links]
        names = [name for name in links if carries(name, visit.kind) and not carries_all(name)]
        if visit.kind == "conditioning":
            names = self._conditioning(visit, names)
        if names:
            return [(links[name], False) for name in names]
        if visit.kind == "conditioning" and visit.slot is not None and self.literal_texts(node_id):
            return []
        if bundles := [name for name in links if carries_all(name)]:
            return [(links[name], True) for name in bundles]
        passed_on = self.passed_on(node_id) if visit.slot is not None else None
        return [(passed_on, visit.is_bundle)] if passed_on else []

    def _declared_inputs(self, visit: "_Visit") -> Sequence[str] | None:
        """Return the inputs that the data file or a switch names; None if the names of inputs decide."""
        if (chosen := self.chosen(visit.node_id)) is not None:
            return [chosen]
        if visit.slot is None:
            return None
        known = self.known(visit.node_id)
        if (followed := known.follow_at(visit.slot)) is not None:
            return followed
        makes_conditioning = known.texts_at(visit.slot) is not None or known.role == "removes_text"
        makes_model = known.inputs.get("model") in self.graph.literals[visit.node_id]
        makes = makes_conditioning if visit.kind == "conditioning" else visit.kind == "model" and makes_model
        return [] if makes else None

    def _conditioning(self, visit: "_Visit", names: list[str]) -> list[str]:
        """Return the conditioning inputs for one of the two prompts.

        A node with both passes them on as two outputs, the positive one first. What samples, or bundles values for
        a sampler, has a negative prompt only if one of its inputs says so.
        """
        chosen = of_role(names, visit.role)
        negative = [name for name in chosen if role_of(name) == "negative"]
        if visit.slot is None or visit.is_bundle:
            return negative if visit.role == "negative" else [name for name in chosen if role_of(name) != "negative"]
        if len(chosen) < len(names) and self._outputs_may_be_swapped(visit):
            visit.doubtful = visit.node_id
        return negative or chosen if visit.role == "negative" else chosen

    def _outputs_may_be_swapped(self, visit: "_Visit") -> bool:
        uses = self.graph.uses[visit.node_id]
        for use in uses:
            self.graph.step(use.node_id)
        others = {use.slot for use in uses if role_of(use.name) not in (visit.role, None)}
        is_positive = visit.role == "positive"
        slot = visit.slot or 0
        if not others:
            return slot != (0 if is_positive else 1)
        return slot > min(others) if is_positive else slot < min(others)


@dataclass(slots=True)
class _Visit:
    """A node on a walk.

    Attributes:
        slot: the output by which the walk came; None at the node where it starts.
        is_bundle: whether that output has many values in one.
        doubtful: the node itself, if its outputs may stand for other inputs than assumed.
    """

    node_id: str
    slot: int | None
    kind: Kind
    role: Role
    is_bundle: bool = False
    doubtful: str | None = None


def is_text(value: Any) -> bool:
    """Return whether a value can be replaced by a text."""
    return isinstance(value, str)
