"""Inspects a workflow: proposes its node map, and reports its problems."""

from collections.abc import Iterable
from typing import Any

from image_gateway.engines.comfyui.inspection.canvas import canvas_inputs, trace_canvas
from image_gateway.engines.comfyui.inspection.findings import (
    Blocked,
    Finding,
    Held,
    Inspection,
    Option,
    Problem,
    Spot,
    proposals,
)
from image_gateway.engines.comfyui.inspection.graph import MAX_STEPS, Graph, TooComplexError
from image_gateway.engines.comfyui.inspection.loaders import ImageFinder, find_model
from image_gateway.engines.comfyui.inspection.numbers import NumberFinder, NumberType
from image_gateway.engines.comfyui.inspection.outputs import Outputs, find_outputs, output_finding, output_problems
from image_gateway.engines.comfyui.inspection.prompts import PromptFinder
from image_gateway.engines.comfyui.inspection.reading import read_workflow
from image_gateway.engines.comfyui.inspection.samplers import Makers, find_makers
from image_gateway.engines.comfyui.inspection.sizes import SizeFinder
from image_gateway.engines.comfyui.inspection.walk import Walk
from image_gateway.engines.comfyui.node_classes import is_number

_MAX_PROBLEMS = 20
"""How many problems of one kind are reported."""

_ALL_STEPS = 1000
"""An `end_at_step` of so many or more is the end: nobody samples in so many steps."""

_ORDER = ("model", "prompt", "negative_prompt", "width", "height", "n", "steps", "seed", "image", "mask", "output")


def inspect_workflow(given: str | dict[str, Any], *, max_steps: int = MAX_STEPS) -> Inspection:
    """Inspect a workflow, as text or as an object. Anything may be given: what is wrong with it is in the result."""
    reading = read_workflow(given)
    if reading.workflow is None:
        return Inspection(problems=reading.problems)
    inspection = inspect_graph(Graph(reading.workflow, max_steps))
    return Inspection(inspection.nodes, (*reading.problems, *inspection.problems))


def inspect_graph(graph: Graph) -> Inspection:
    """Inspect a workflow that could be read."""
    problems = list(_structure_problems(graph))
    try:
        findings, found = _Inspection(graph).run()
    except TooComplexError:
        detail = "The workflow has too many links to follow all of them: write its node map by hand."
        return Inspection(problems=(*problems, Problem("too_complex", detail)))
    findings.sort(key=lambda finding: _ORDER.index(finding.type))
    return Inspection(proposals(_checked(graph, findings)), (*problems, *found))


class _Inspection:
    """One inspection of a workflow."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._walk = Walk(graph)
        self._numbers = NumberFinder(self._walk)
        self._blocked: dict[Blocked, None] = {}

    def run(self) -> tuple[list[Finding], list[Problem]]:
        """Return what was found, and the problems."""
        outputs = find_outputs(self._walk)
        reach = self._graph.before(outputs.all) if outputs.all else set(self._graph.classes)
        makers = find_makers(self._walk, reach)
        canvas = trace_canvas(self._walk, self._canvas_start(outputs, makers))
        prompts = PromptFinder(self._walk, makers)
        sizes = SizeFinder(self._walk, canvas, self._numbers, reach)
        images = ImageFinder(self._walk, reach, canvas)
        texts = prompts.find()
        measures = sizes.find() if makers.samplers or not makers.generators else self._of_generators(makers)
        found = [find_model(self._walk, makers), self._steps(makers), self._seed(makers)]
        self._doubt_frames(measures, outputs)
        if makers.samplers and makers.generators:
            self._doubt_generators([*texts, *measures, *found], makers)
        found += [*texts, *measures, *images.find(), output_finding(self._walk, outputs)]
        self._blocked |= prompts.blocked | sizes.blocked
        problems = [*output_problems(self._walk, outputs), *self._linked_inputs(), *images.problems]
        if not any(finding.type == "prompt" for finding in texts):
            detail = "No input for a prompt was found: every request would get the same image."
            problems.append(Problem("no_prompt", detail))
        return [finding for finding in found if finding], problems

    def _canvas_start(self, outputs: Outputs, makers: Makers) -> list[Any]:
        nodes = outputs.all or makers.samplers
        return [link for node_id in nodes for link in canvas_inputs(self._walk, node_id)]

    def _doubt_frames(self, findings: list[Finding], outputs: Outputs) -> None:
        """Do not be sure about the number of images where it may be that of an animation's frames.

        A request has one image by default, and an animation would have one frame.
        """
        animates = any(self._walk.known(node_id).makes for node_id in outputs.savers) or not outputs.images
        for finding in findings:
            if finding.type == "n" and outputs.all and animates:
                finding.sure, finding.why = False, f"{finding.why}; it may be the number of frames"

    def _doubt_generators(self, findings: list[Finding | None], makers: Makers) -> None:
        """Do not be sure about the samplers' inputs where other nodes make images by themselves, too."""
        for finding in findings:
            if finding:
                finding.sure = False
                finding.why = f"{finding.why}; {self._graph.labels(makers.generators)} makes an image, too"
                for node_id in makers.generators:
                    name = self._walk.known(node_id).inputs.get(finding.type, "")
                    if name in self._graph.literals[node_id] and Spot(node_id, name) not in finding.spots:
                        finding.options.append(Option((Spot(node_id, name),), "the other node's"))

    def _steps(self, makers: Makers) -> Finding | None:
        finding = self._number("steps", makers.samplers, "the samplers work in so many steps")
        if finding is None:
            return None
        values = {self._graph.literals[spot.node_id][spot.key] for spot in finding.spots}
        parts = any(map(self._has_part_of_the_steps, makers.samplers))
        if len(values) > 1 or parts:
            finding.sure = False
            reason = "the samplers share the steps" if parts else "the samplers work in different numbers of steps"
            finding.why = f"{finding.why}; {reason}"
        if len(finding.spots) > 1 and not finding.sure:
            finding.options.append(Option((finding.spots[0],), "only the first sampler"))
        return finding

    def _seed(self, makers: Makers) -> Finding | None:
        samplers = [*makers.samplers, *makers.detailers]
        finding = self._number("seed", samplers, "the samplers start from this noise")
        setters = [node for node in self._graph.classes if self._walk.known(node).role == "sets_all_seeds"]
        if finding and setters:
            finding.sure = False
            finding.why = f"{finding.why}; {self._graph.labels(setters)} replaces all seeds"
            spots = [spot for node in setters for spot in self._numbers.of_node(node, "seed").spots]
            finding.options += [Option(tuple(spots), "the node that replaces all seeds")] if spots else []
        return finding

    def _number(self, type_: NumberType, nodes: list[str], why: str) -> Finding | None:
        numbers = Held()
        for node_id in nodes:
            numbers.add(self._numbers.of_sampler(node_id, type_))
        self._blocked.update(dict.fromkeys(numbers.blocked))
        if not numbers.spots:
            return None
        why = f"{why}; {numbers.unsure}" if numbers.unsure else why
        return Finding(type_, numbers.spots, not numbers.unsure, why)

    def _of_generators(self, makers: Makers) -> list[Finding]:
        """Return the numbers of nodes that make an image by themselves."""
        findings = []
        types: tuple[NumberType, ...] = ("width", "height", "n", "steps", "seed")
        for type_ in types:
            nodes = [node_id for node_id in makers.generators if type_ in self._walk.known(node_id).inputs]
            if finding := self._number(type_, nodes, "the node that makes the image takes it"):
                finding.sure = finding.sure and (type_ == "seed" or len(finding.spots) == 1)
                findings.append(finding)
        return findings

    def _has_part_of_the_steps(self, node_id: str) -> bool:
        """Return whether a sampler works from one step to another, which stand in the workflow too."""
        literals, links = self._graph.literals[node_id], self._graph.links[node_id]
        first, last = literals.get("start_at_step", 0), literals.get("end_at_step", _ALL_STEPS)
        linked = not links.keys().isdisjoint(("start_at_step", "end_at_step"))
        return linked or first != 0 or (is_number(last) and last < _ALL_STEPS)

    def _linked_inputs(self) -> Iterable[Problem]:
        for node_id, name, source in list(self._blocked)[:_MAX_PROBLEMS]:
            detail = (
                f"The input {name} of {self._graph.label(node_id)} is linked to {self._graph.label(source)}, which "
                "makes the value itself: if requests are to set it, remove the link in the editor and export again."
            )
            yield Problem("linked_input", detail, node_id)


def _structure_problems(graph: Graph) -> Iterable[Problem]:
    for node_id, name, missing in graph.dangling[:_MAX_PROBLEMS]:
        detail = f"The input {name} of {graph.label(node_id)} is linked to node {missing}, which the workflow lacks."
        yield Problem("missing_input", detail, node_id)
    if graph.in_cycle is not None:
        detail = f"{graph.label(graph.in_cycle)} depends on its own output, so ComfyUI cannot run the workflow."
        yield Problem("cycle", detail, graph.in_cycle)


def _checked(graph: Graph, findings: list[Finding]) -> list[Finding]:
    """Keep what a node map can name: inputs that nodes have and that are not linked. No input has two meanings."""
    taken: dict[Spot, Finding] = {}
    for finding in findings:
        finding.spots = [
            spot for spot in finding.spots if finding.type == "output" or spot.key in graph.literals[spot.node_id]
        ]
        for spot in finding.spots:
            if finding.type != "output" and (other := taken.setdefault(spot, finding)) is not finding:
                for doubtful in (finding, other):
                    doubtful.sure, doubtful.why = False, f"{doubtful.why}; the same input is also {other.type}"
        if graph.in_cycle is not None:
            finding.sure = False
    return [finding for finding in findings if finding.spots]
