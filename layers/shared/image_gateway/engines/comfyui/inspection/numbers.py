"""Finds the inputs that hold a number: seeds, steps, sizes, the number of images."""

import re
from collections.abc import Iterable, Sequence
from typing import Literal

from image_gateway.engines.comfyui.inspection.findings import Held, Spot
from image_gateway.engines.comfyui.inspection.graph import Link
from image_gateway.engines.comfyui.inspection.names import NUMBER_NAMES, carries_all
from image_gateway.engines.comfyui.inspection.walk import Walk
from image_gateway.engines.comfyui.node_classes import is_number

NumberType = Literal["seed", "steps", "width", "height", "n"]

_HELPERS: dict[str, tuple[str, ...]] = {"seed": ("noise",), "steps": ("sigmas",)}
"""Inputs of samplers whose nodes hold a number in their place, as RandomNoise and BasicScheduler do."""

_BESIDE_VALUES = frozenset({"control_after_generate", "control_before_generate"})
"""Inputs of primitives that have no effect on the server."""

_CHANGES = re.compile(r"swap|multipl|factor|scale_by")
"""Inputs beside a size by which a node makes another size of it, unless their value is neutral."""

_PRESETS = ("ratio", "preset", "resolution", "dimensions")


class NumberFinder:
    """Finds the numbers of one workflow."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._graph = walk.graph

    def of_node(self, node_id: str, type_: NumberType) -> Held:
        """Return where a node's own number of a type is held: in it, or behind its input's link."""
        for name in self._names(node_id, type_):
            if is_number(self._graph.literals[node_id].get(name)):
                return Held([Spot(node_id, name)], self._doubt(node_id, type_))
            if name in self._graph.links[node_id]:
                return self._behind(node_id, name, type_)
        return Held()

    def of_sampler(self, node_id: str, type_: NumberType) -> Held:
        """Return where a sampler's number is held: in it, or in the nodes that prepare its work."""
        own = self.of_node(node_id, type_)
        if own.spots or own.blocked:
            return own
        helpers = _HELPERS.get(type_, ())
        links = self._graph.links[node_id]
        waiting = [links[name] for name in helpers if name in links]
        waiting = waiting or [link for name, link in links.items() if carries_all(name)]
        return self._nearest(waiting, type_, helpers)

    def _nearest(self, waiting: Sequence[Link], type_: NumberType, helpers: Iterable[str]) -> Held:
        waiting, seen = list(waiting), set()
        for link in waiting:
            if link.node_id in seen:
                continue
            seen.add(link.node_id)
            self._graph.step(link.node_id)
            numbers = self.of_node(link.node_id, type_)
            if numbers.spots or numbers.blocked:
                return numbers
            names = [name for name in self._graph.links[link.node_id] if name in helpers or carries_all(name)]
            waiting += [self._graph.links[link.node_id][name] for name in names]
            if passed_on := self._walk.passed_on(link.node_id):
                waiting.append(passed_on)
        return Held()

    def _behind(self, node_id: str, name: str, type_: NumberType) -> Held:
        """Return where the number is held that an input's link leads to."""
        link: Link | None = self._graph.links[node_id][name]
        seen: set[Link] = set()
        while link and link not in seen:
            seen.add(link)
            self._graph.step(link.node_id)
            spot = self._held(link.node_id, type_)
            if spot:
                return Held([spot], self._doubt(link.node_id, type_) or self._shared(spot, type_))
            link = self._passed_on(link)
        return Held(blocked=[(node_id, name, self._graph.links[node_id][name].node_id)])

    def _held(self, node_id: str, type_: NumberType) -> Spot | None:
        """Return the input of a node that holds the number it passes on."""
        literals, links = self._graph.literals[node_id], self._graph.links[node_id]
        if self._walk.chosen(node_id) is not None:
            return None
        for name in self._names(node_id, type_):
            if is_number(literals.get(name)):
                return Spot(node_id, name)
        values = [name for name in literals if name not in _BESIDE_VALUES]
        return Spot(node_id, values[0]) if len(values) == 1 and is_number(literals[values[0]]) and not links else None

    def _passed_on(self, link: Link) -> Link | None:
        links = self._graph.links[link.node_id]
        if (chosen := self._walk.chosen(link.node_id)) is not None:
            return links.get(chosen)
        followed = self._walk.known(link.node_id).follow_at(link.slot)
        if followed is not None:
            return next((links[name] for name in followed if name in links), None)
        return self._walk.passed_on(link.node_id)

    def _names(self, node_id: str, type_: NumberType) -> tuple[str, ...]:
        named = self._walk.known(node_id).inputs.get(type_)
        return (named,) if named else NUMBER_NAMES[type_]

    def _doubt(self, node_id: str, type_: NumberType) -> str:
        """Return why a node may not use the number that it holds."""
        if type_ not in ("width", "height"):
            return ""
        if self._walk.known(node_id).role == "sets_size":
            return ""
        literals, links = self._graph.literals[node_id], self._graph.links[node_id]
        changes = [name for name in (*literals, *links) if _CHANGES.search(name.lower())]
        if any(not _is_neutral(literals.get(name)) for name in changes):
            return f"{self._graph.label(node_id)} may change the size by its {changes[0]}"
        texts = {name: value for name, value in literals.items() if isinstance(value, str)}
        chosen = [name for name, value in texts.items() if "custom" not in value.lower()]
        presets = any(word in name.lower() for name in chosen for word in _PRESETS)
        if self._walk.known(node_id).role == "has_presets" or presets:
            return f"{self._graph.label(node_id)} may take the size from a preset"
        return ""

    def _shared(self, spot: Spot, type_: NumberType) -> str:
        """Return why a node that feeds others may hold more than this number."""
        if spot.key in NUMBER_NAMES[type_]:
            return ""
        names = set()
        for use in self._graph.uses[spot.node_id]:
            self._graph.step(use.node_id)
            names.add(use.name)
        kinds = {kind for kind, usual in NUMBER_NAMES.items() if names & set(usual)}
        return (
            f"{self._graph.label(spot.node_id)} also gives {', '.join(sorted(kinds - {type_}))}"
            if len(kinds) > 1
            else ""
        )


def _is_neutral(value: object) -> bool:
    """Return whether a value that swaps or multiplies sizes changes nothing."""
    return value in (False, 1, "false", "off", "Off", "disabled", "none", "None")
