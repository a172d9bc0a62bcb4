"""Finds the inputs of the size and of the number of images."""

from image_gateway.engines.comfyui.inspection.canvas import Canvas
from image_gateway.engines.comfyui.inspection.findings import Finding, Held, Option, Spot
from image_gateway.engines.comfyui.inspection.numbers import NumberFinder, NumberType
from image_gateway.engines.comfyui.inspection.samplers import MAX_SAMPLERS
from image_gateway.engines.comfyui.inspection.walk import Walk

_SIZES: tuple[NumberType, NumberType] = ("width", "height")


class SizeFinder:
    """Finds the size of one workflow's images, and their number."""

    def __init__(self, walk: Walk, canvas: Canvas, numbers: NumberFinder, reach: set[str]) -> None:
        self._walk = walk
        self._graph = walk.graph
        self._canvas = canvas
        self._numbers = numbers
        self._reach = reach
        self.blocked: dict[tuple[str, str, str], None] = {}

    def find(self) -> list[Finding]:
        """Return the findings for width, height and the number of images, as far as there are any."""
        sizes = [self._size(type_) for type_ in _SIZES]
        found = [*sizes, self._count()]
        return [finding for finding in found if finding]

    def _size(self, type_: NumberType) -> Finding | None:
        canvas = self._canvas
        main = canvas.starts or canvas.resizers[-1:]
        numbers = self._of(main, type_)
        if not numbers.spots:
            self.blocked.update(dict.fromkeys(numbers.blocked))
            return None
        why = (
            f"the image starts at {self._graph.labels(main)}"
            if canvas.starts
            else f"{self._graph.labels(main)} sets its size"
        )
        doubt = numbers.unsure or self._doubt(main)
        values = {self._graph.literals[spot.node_id][spot.key] for spot in numbers.spots}
        spots = numbers.spots if not doubt or len(values) == 1 else numbers.spots[:1]
        options = [Option((spot,), doubt) for spot in numbers.spots[len(spots) :]]
        for node_id in canvas.resizers[:MAX_SAMPLERS]:
            if node_id not in main:
                other = self._numbers.of_node(node_id, type_).spots
                options += [Option(tuple(other), f"{self._graph.label(node_id)} changes the size")] if other else []
        if not doubt:
            spots = spots + self._same_elsewhere(spots, type_)
        if canvas.enlargers:
            why += f"; {self._graph.labels(canvas.enlargers)} then multiplies it"
        return Finding(type_, spots, not doubt, f"{why}; {doubt}" if doubt else why, options)

    def _doubt(self, main: list[str]) -> str:
        canvas = self._canvas
        if len(canvas.starts) > 1:
            return "several nodes start an image"
        if canvas.starts and canvas.loaders:
            return f"{self._graph.labels(canvas.loaders)} gives an image, too"
        changed = [node_id for node_id in canvas.resizers if node_id not in main]
        if changed:
            return f"{self._graph.labels(changed)} changes the size afterwards"
        if not canvas.starts and not self._sets_exact_size(main[0]):
            return f"{self._graph.label(main[0])} may keep the image's proportions"
        return ""

    def _sets_exact_size(self, node_id: str) -> bool:
        known = self._walk.known(node_id)
        return known.inputs.get("width") == "width" and known.role != "has_presets"

    def _same_elsewhere(self, spots: list[Spot], type_: NumberType) -> list[Spot]:
        """Return the inputs of nodes that calculate something from the size, where they have the size's value."""
        values = [self._graph.literals[spot.node_id][spot.key] for spot in spots]
        return [
            spot
            for node_id in self._graph.classes
            if node_id in self._reach and self._walk.known(node_id).role == "takes_size"
            for spot in self._numbers.of_node(node_id, type_).spots
            if spot not in spots and self._graph.literals[spot.node_id][spot.key] in values
        ]

    def _count(self) -> Finding | None:
        canvas = self._canvas
        repeats, batches = self._of(canvas.repeaters, "n"), self._of(canvas.starts + canvas.loaders, "n")
        numbers, nodes = (
            (repeats, canvas.repeaters) if repeats.spots else (batches, [spot.node_id for spot in batches.spots])
        )
        if not numbers.spots:
            self.blocked.update(dict.fromkeys(numbers.blocked))
            return None
        options = [Option((spot,), "multiplies the number of images") for spot in batches.spots if repeats.spots]
        doubt = numbers.unsure or (
            "several nodes set the number of images" if options or len(numbers.spots) > 1 else self._regrouped()
        )
        why = f"{self._graph.labels(nodes)} makes so many images"
        return Finding("n", numbers.spots[:1], not doubt, f"{why}; {doubt}" if doubt else why, options)

    def _regrouped(self) -> str:
        nodes = self._canvas.regroupers
        return f"{self._graph.labels(nodes)} makes another number of them" if nodes else ""

    def _of(self, node_ids: list[str], type_: NumberType) -> Held:
        numbers = Held()
        for node_id in node_ids[:MAX_SAMPLERS]:
            numbers.add(self._numbers.of_node(node_id, type_))
        return numbers
