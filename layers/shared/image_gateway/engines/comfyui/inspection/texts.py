"""Finds the inputs that a prompt fills: behind the conditioning of a sampler, and behind the links of texts."""

from collections.abc import Sequence

from image_gateway.engines.comfyui.inspection.findings import Held, Spot
from image_gateway.engines.comfyui.inspection.graph import Link
from image_gateway.engines.comfyui.inspection.names import ENCODER_TEXTS, Role, carries, of_role, role_of
from image_gateway.engines.comfyui.inspection.walk import Walk, is_text


class TextFinder:
    """Finds the texts of one workflow."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._graph = walk.graph

    def encoded_at(self, link: Link, role: Role) -> Held:
        """Return the texts that an output of a text encoder, or of a node with one inside, was made from."""
        texts = Held()
        names = self._known_names(link.node_id, link.slot)
        if names is None:
            names = self._encoder_names(link.node_id, role, texts)
        for name in of_role(names, role):
            texts.add(self.at(link.node_id, name, role))
        return texts

    def at(self, node_id: str, name: str, role: Role) -> Held:
        """Return the texts that go into an input."""
        if is_text(self._graph.literals[node_id].get(name)):
            return Held([Spot(node_id, name)])
        link = self._graph.links[node_id].get(name)
        if link is None:
            return Held()
        texts = self._behind(link, role)
        if not texts.spots:
            texts.blocked.append((node_id, name, link.node_id))
        return texts

    def _behind(self, start: Link, role: Role) -> Held:
        """Return the texts that a link leads to."""
        texts = Held()
        waiting, seen = [start], set()
        while waiting:
            link = waiting.pop()
            if link in seen:
                continue
            seen.add(link)
            self._graph.step(link.node_id)
            names = self._source_names(link, role, texts)
            literals, links = self._graph.literals[link.node_id], self._graph.links[link.node_id]
            texts.spots += [Spot(link.node_id, name) for name in names if is_text(literals.get(name))]
            waiting += [links[name] for name in names[::-1] if name in links]
        texts.spots.sort(key=self._rank)
        return texts

    def _rank(self, spot: Spot) -> int:
        """Return how probably one of several texts is the prompt, the most probable first.

        A node that has nothing but a text is one to write in. What stands in a joining node itself is an addition.
        """
        known = self._walk.known(spot.node_id)
        if known.role == "joins_texts":
            return 2
        inputs = len(self._graph.literals[spot.node_id]) + len(self._graph.links[spot.node_id])
        return 0 if known.texts or inputs == 1 else 1

    def _known_names(self, node_id: str, slot: int | None) -> list[str] | None:
        known = self._walk.known(node_id)
        names = known.texts_at(slot)
        if names is None:
            return None
        literals = self._graph.literals[node_id]
        unused = {
            name for name, (other, values) in known.when.items() if other in literals and literals[other] not in values
        }
        return self._walk.texts_in(node_id, [name for name in names if name not in unused])

    def _encoder_names(self, node_id: str, role: Role, texts: Held) -> list[str]:
        """Return the inputs of an encoder of an unknown class that hold its text."""
        named = [*self._walk.literal_texts(node_id), *self._graph.links[node_id]]
        names = of_role([name for name in named if carries(name, "text")], role)
        usual = [name for name in names if role_of(name) == role] or [name for name in names if name in ENCODER_TEXTS]
        if len(names) > 1 and not usual:
            texts.unsure = f"{self._graph.label(node_id)} takes several texts"
        elif self._has_others(node_id, names, usual):
            texts.unsure = f"{self._graph.label(node_id)} takes other texts, too"
        return usual or names

    def _has_others(self, node_id: str, names: list[str], usual: list[str]) -> bool:
        """Return whether an encoder has texts besides the usual ones, which a request would leave as they are."""
        literals = self._graph.literals[node_id]
        others = [str(literals.get(name, "linked")) for name in names if name not in usual]
        return bool(usual) and any(text.strip() for text in others)

    def _source_names(self, link: Link, role: Role, texts: Held) -> Sequence[str]:
        """Return the inputs of a node on a text's way that the text consists of."""
        node_id, known = link.node_id, self._walk.known(link.node_id)
        links = self._graph.links[node_id]
        if (chosen := self._walk.chosen(node_id)) is not None:
            return [chosen]
        if known.role == "writes_text":
            texts.unsure = f"{self._graph.label(node_id)} writes the text itself"
            return [name for name in links if carries(name, "text")]
        names = self._known_names(node_id, link.slot)
        names = None if names is None else of_role(names, role)
        if names is None and (followed := known.follow_at(link.slot)) is not None:
            return self._walk.texts_in(node_id, followed)
        if names is None:
            names = self._unknown_names(node_id, role, texts)
        parts = self._filled(node_id, names)
        if len(parts) > 1:
            texts.unsure = f"{self._graph.label(node_id)} joins several texts"
        return parts

    def _unknown_names(self, node_id: str, role: Role, texts: Held) -> list[str]:
        """Return the texts of a node of an unknown class: a box for a text, or one that changes texts."""
        literals, links = self._graph.literals[node_id], self._graph.links[node_id]
        named = [*self._walk.literal_texts(node_id), *links]
        names = of_role([name for name in named if carries(name, "text")], role)
        if not names and (self._walk.passed_on(node_id) or len(literals) == 1):
            return self._walk.texts_in(node_id, [*links, *literals])
        if names and len(literals) + len(links) > 1:
            texts.unsure = f"{self._graph.label(node_id)} may change the text"
        return names

    def _filled(self, node_id: str, names: list[str]) -> list[str]:
        """Leave out empty texts where others are not empty: they add nothing."""
        literals = self._graph.literals[node_id]
        filled = [name for name in names if str(literals.get(name, "linked")).strip()]
        return filled or names
