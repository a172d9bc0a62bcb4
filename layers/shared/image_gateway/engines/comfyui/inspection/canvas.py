"""Finds what the size and number of the images come from: the way of an image back to where it starts."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from image_gateway.engines.comfyui.inspection.graph import Link
from image_gateway.engines.comfyui.inspection.names import carries, carries_all
from image_gateway.engines.comfyui.inspection.walk import Walk

_SIZES = ("width", "height")
_ENLARGING = ("upscale", "scaleby", "scale_by", "latentupscaleby")
_REGROUPING = ("frombatch", "from batch", "grid", "tobatch", "imagebatch", "latentbatch", "batchmulti", "collage")
"""Words in the classes of nodes that take some images of a batch, add others, or make one image of several."""


@dataclass(slots=True)
class Canvas:
    """The nodes on the way of an image, from the last to the first.

    Attributes:
        starts: nodes that make an empty image of a size.
        resizers: nodes that give an image another size, in pixels.
        enlargers: nodes that multiply the size.
        repeaters: nodes that make several images of one.
        regroupers: nodes that take some images of several, add others, or make one of several.
        loaders: nodes that the way starts at and that have no size, e.g. because they load an image.
    """

    starts: list[str] = field(default_factory=list)
    resizers: list[str] = field(default_factory=list)
    enlargers: list[str] = field(default_factory=list)
    repeaters: list[str] = field(default_factory=list)
    regroupers: list[str] = field(default_factory=list)
    loaders: list[str] = field(default_factory=list)


def trace_canvas(walk: Walk, start: Iterable[Link]) -> Canvas:
    """Follow an image back to where it starts."""
    canvas = Canvas()
    waiting = list(start)
    seen: set[str] = set()
    for link in waiting:
        if link.node_id in seen:
            continue
        seen.add(link.node_id)
        walk.graph.step(link.node_id)
        before = canvas_inputs(walk, link.node_id, link.slot)
        if _is_sized(walk, link.node_id) and not _takes_image(walk, link.node_id):
            # What comes in by a bundle of values is no image that would have another size.
            before = []
        _note(walk, link.node_id, canvas, has_input=bool(before))
        waiting += before
    return canvas


def canvas_inputs(walk: Walk, node_id: str, slot: int | None = None) -> list[Link]:
    """Return the inputs of a node that its image was made from: a latent if there is one, else images."""
    links = walk.graph.links[node_id]
    if (chosen := walk.chosen(node_id)) is not None:
        return [links[chosen]] if chosen in links else []
    followed = walk.known(node_id).follow_at(slot)
    if followed is not None and any(carries(name, "latent") or carries(name, "image") for name in followed):
        return [links[name] for name in followed if name in links]
    names = [name for name in links if carries(name, "latent")] or [name for name in links if carries(name, "image")]
    names = names or [name for name in links if carries_all(name)]
    if names:
        return [links[name] for name in names]
    passed_on = walk.passed_on(node_id)
    return [passed_on] if passed_on else []


def _note(walk: Walk, node_id: str, canvas: Canvas, *, has_input: bool) -> None:
    graph, known = walk.graph, walk.known(node_id)
    class_type = graph.classes[node_id].lower()
    if "n" in known.inputs and has_input:
        canvas.repeaters.append(node_id)
    elif _is_sized(walk, node_id):
        (canvas.resizers if has_input else canvas.starts).append(node_id)
    elif not has_input:
        canvas.loaders.append(node_id)
    elif any(word in class_type for word in _ENLARGING):
        canvas.enlargers.append(node_id)
    elif any(word in class_type for word in _REGROUPING):
        canvas.regroupers.append(node_id)


def _is_sized(walk: Walk, node_id: str) -> bool:
    """Return whether a node has a width and a height."""
    inputs = walk.graph.literals[node_id].keys() | walk.graph.links[node_id].keys()
    named = walk.known(node_id).inputs
    return all(named.get(name, name) in inputs or f"empty_latent_{name}" in inputs for name in _SIZES)


def _takes_image(walk: Walk, node_id: str) -> bool:
    return any(carries(name, "latent") or carries(name, "image") for name in walk.graph.links[node_id])
