"""Finds the inputs of the prompt and of the negative prompt."""

from dataclasses import dataclass

from image_gateway.engines.comfyui.inspection.findings import Blocked, Finding, Held, Option, Spot
from image_gateway.engines.comfyui.inspection.names import ENCODER_TEXTS, Role, role_of
from image_gateway.engines.comfyui.inspection.samplers import Makers
from image_gateway.engines.comfyui.inspection.texts import TextFinder
from image_gateway.engines.comfyui.inspection.walk import Walk
from image_gateway.models.workflow import NodeType

_TYPES: dict[Role, NodeType] = {"positive": "prompt", "negative": "negative_prompt"}


@dataclass(frozen=True, slots=True)
class _Reading:
    """The texts behind one conditioning of a sampler."""

    sampler: str
    encoder: str
    texts: Held


class PromptFinder:
    """Finds the prompts of one workflow."""

    def __init__(self, walk: Walk, makers: Makers) -> None:
        self._walk = walk
        self._graph = walk.graph
        self._makers = makers
        self._texts = TextFinder(walk)
        self.blocked: dict[Blocked, None] = {}

    def find(self) -> list[Finding]:
        """Return the findings for the prompt and for the negative prompt, as far as there are any."""
        if not self._makers.samplers:
            found = [self._of_generators(role) for role in _TYPES]
            return [finding for finding in found if finding] or self._of_encoders()
        positive = self._of_samplers("positive", ())
        negative = self._of_samplers("negative", positive.spots if positive else ())
        return [finding for finding in (positive, negative) if finding]

    def _of_samplers(self, role: Role, others: list[Spot] | tuple[()]) -> Finding | None:
        """Return what all samplers take as one of the prompts. `others` are the spots of the other prompt."""
        readings, doubts = [], []
        for sampler in self._makers.samplers:
            found, doubt = self._readings(sampler, role)
            found = [reading for reading in found if not set(reading.texts.spots) & set(others)]
            if len({tuple(reading.texts.spots) for reading in found}) > 1:
                doubt.append(f"{self._graph.label(sampler)} combines several texts")
            readings += found
            doubts += doubt
        distinct = list({tuple(reading.texts.spots): reading for reading in readings[::-1]}.values())[::-1]
        if not distinct:
            return None
        finding = self._combined(_TYPES[role], distinct)
        if doubts:
            finding.sure, finding.why = False, f"{finding.why}; {doubts[0]}"
            finding.spots, more = self._choice(distinct[0])[0], distinct[1:]
            finding.options = finding.options or [Option(tuple(other.texts.spots), self._why(other)) for other in more]
        if finding.sure:
            self._add_detailers(finding, role, others)
        return finding

    def _readings(self, sampler: str, role: Role) -> tuple[list[_Reading], list[str]]:
        if isinstance(self._graph.literals[sampler].get(role), str):
            return [_Reading(sampler, sampler, Held([Spot(sampler, role)]))], []
        sources = self._walk.sources_of(sampler, "conditioning", role)
        readings = []
        for link in sources.found:
            texts = self._texts.encoded_at(link, role)
            self.blocked.update(dict.fromkeys(texts.blocked))
            if texts.spots:
                readings.append(_Reading(sampler, link.node_id, texts))
        doubts = [f"{self._graph.label(sources.doubtful)} may swap the prompts"] if sources.doubtful else []
        return readings, doubts

    def _combined(self, type_: NodeType, readings: list[_Reading]) -> Finding:
        first = readings[0]
        why = self._why(first)
        spots, options = self._choice(first)
        if len(readings) == 1:
            return Finding(type_, spots, not first.texts.unsure, why, options)
        if self._same_texts(readings):
            spots = list(dict.fromkeys(spot for reading in readings for spot in self._choice(reading)[0]))
            unsure = any(reading.texts.unsure for reading in readings)
            others = self._graph.labels(reading.encoder for reading in readings[1:])
            return Finding(type_, spots, not unsure, f"{why}; {others} has the same text", options)
        options += [Option(tuple(self._choice(reading)[0]), self._why(reading)) for reading in readings[1:]]
        return Finding(type_, spots, sure=False, why=f"{why}; there are other texts", options=options)

    def _choice(self, reading: _Reading) -> tuple[list[Spot], list[Option]]:
        """Return the spots to fill, and other ones. Of a text that is joined from several, one is filled."""
        spots = reading.texts.spots
        if not reading.texts.unsure:
            return spots, []
        why = reading.texts.unsure
        return spots[:1], [Option((spot,), why) for spot in spots[1:]]

    def _same_texts(self, readings: list[_Reading]) -> bool:
        texts = {tuple(sorted({self._text(spot) for spot in reading.texts.spots})) for reading in readings}
        return len(texts) == 1

    def _text(self, spot: Spot) -> str:
        return str(self._graph.literals[spot.node_id][spot.key])

    def _add_detailers(self, finding: Finding, role: Role, others: list[Spot] | tuple[()]) -> None:
        """Add the texts of nodes that draw parts again where they are the prompt too."""
        prompt = {self._text(spot) for spot in finding.spots}
        for detailer in self._makers.detailers:
            for reading in self._readings(detailer, role)[0]:
                texts = {self._text(spot) for spot in reading.texts.spots}
                if not reading.texts.unsure and texts == prompt and not set(reading.texts.spots) & set(others):
                    finding.spots = list(dict.fromkeys([*finding.spots, *reading.texts.spots]))

    def _why(self, reading: _Reading) -> str:
        sampler, encoder = self._graph.label(reading.sampler), self._graph.label(reading.encoder)
        why = f"{sampler} is conditioned by it" if sampler == encoder else f"{sampler} is conditioned by {encoder}"
        boxes = dict.fromkeys(spot.node_id for spot in reading.texts.spots)
        boxes.pop(reading.encoder, None)
        why += f", whose text comes from {self._graph.labels(boxes)}" if boxes else ""
        return f"{why}; {reading.texts.unsure}" if reading.texts.unsure else why

    def _of_generators(self, role: Role) -> Finding | None:
        texts = Held()
        for node_id in self._makers.generators:
            name = self._walk.known(node_id).inputs.get(_TYPES[role])
            if name:
                texts.add(self._texts.at(node_id, name, role))
        self.blocked.update(dict.fromkeys(texts.blocked))
        if not texts.spots:
            return None
        made = self._graph.labels(self._makers.generators)
        several = len(self._makers.generators) > 1
        spots = texts.spots[:1] if several or texts.unsure else texts.spots
        options = [Option((spot,), f"{made} take several texts") for spot in texts.spots[len(spots) :]]
        return Finding(
            _TYPES[role], spots, not several and not texts.unsure, f"{made} makes the image from it", options
        )

    def _of_encoders(self) -> list[Finding]:
        """Return a guess where nothing is known to make the image: the texts of the workflow's text encoders."""
        spots = [
            Spot(node_id, name)
            for node_id in self._graph.classes
            for name in self._walk.literal_texts(node_id)
            if name in ENCODER_TEXTS or role_of(name) == "positive"
        ][:10]
        if not spots:
            return []
        options = [Option((spot,), "another text") for spot in spots[1:]]
        return [Finding("prompt", spots[:1], sure=False, why="no node is known to make the image", options=options)]
