"""Finds the nodes whose images are the result, and problems of workflows that save none."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from image_gateway.engines.comfyui.inspection.findings import Finding, Option, Problem, Spot
from image_gateway.engines.comfyui.inspection.names import carries
from image_gateway.engines.comfyui.inspection.walk import Walk

_OTHER_WORDS = {"video": "a video", "webm": "a video", "mp4": "a video", "audio": "sound", "glb": "a 3D model"}
_PREVIEW_WORDS = ("preview", "compare", "show", "display", "view")
_SENT_WORDS = ("websocket", "s3", "upload", "http", "send")


@dataclass(slots=True)
class Outputs:
    """The nodes at which the work of a workflow ends.

    Attributes:
        savers: nodes that save an image.
        previews: nodes that save an image for a short time.
        possible: nodes of unknown classes that may save an image.
        others: nodes that save something else, with what it is.
    """

    savers: list[str] = field(default_factory=list)
    previews: list[str] = field(default_factory=list)
    possible: list[str] = field(default_factory=list)
    others: dict[str, str] = field(default_factory=dict)

    @property
    def images(self) -> list[str]:
        """The nodes whose images can be the result, in the order of the workflow."""
        return self.savers or self.previews or self.possible

    @property
    def all(self) -> list[str]:
        """The nodes to look back from."""
        return self.images or list(self.others)


def find_outputs(walk: Walk) -> Outputs:
    """Find the nodes at which the work of a workflow ends."""
    outputs = Outputs()
    for node_id in walk.graph.classes:
        kind = _kind(walk, node_id)
        if kind == "saves_image":
            outputs.savers.append(node_id)
        elif kind == "previews_image":
            outputs.previews.append(node_id)
        elif kind == "possible":
            outputs.possible.append(node_id)
        elif kind:
            outputs.others[node_id] = kind
    return outputs


def output_finding(walk: Walk, outputs: Outputs) -> Finding | None:
    """Return the node whose images are the result: the last one, if there are several."""
    nodes = sorted(outputs.images, key=lambda node_id: walk.graph.order[node_id])
    if not nodes:
        return None
    last = nodes[-1]
    label = walk.graph.label(last)
    why = f"{label} saves an image" if outputs.savers else f"{label} shows an image, and no node saves one"
    if not outputs.savers and not outputs.previews:
        why = f"{label} may save an image"
    if len(nodes) == 1:
        return Finding("output", [Spot(last, "")], sure=bool(outputs.savers or outputs.previews), why=why)
    options = [Option((Spot(node_id, ""),), f"{walk.graph.label(node_id)} has an image too") for node_id in nodes[:-1]]
    options.append(Option(tuple(Spot(node_id, "") for node_id in nodes), "all of them, as without an entry"))
    return Finding("output", [Spot(last, "")], sure=False, why=f"{why}; there are {len(nodes)}", options=options)


def output_problems(walk: Walk, outputs: Outputs) -> Sequence[Problem]:
    """Return what is wrong with the results of a workflow."""
    label = walk.graph.label
    if outputs.savers:
        return [_animation(walk, node_id) for node_id in outputs.savers if walk.known(node_id).makes]
    if outputs.previews:
        detail = "only shows an image, and the server deletes it soon: put SaveImage in its place."
        nodes = sorted(outputs.previews, key=lambda node_id: walk.graph.order[node_id])
        return [Problem("preview_only", f"{label(nodes[-1])} {detail}", nodes[-1])]
    if outputs.possible:
        return []
    if outputs.others:
        node_id, made = next(iter(outputs.others.items()))
        return [Problem("only_video", f"{label(node_id)} saves {made}, which is no image: add SaveImage.", node_id)]
    return [Problem("no_output", "No node saves an image: add SaveImage after the last node, and export again.")]


def _animation(walk: Walk, node_id: str) -> Problem:
    detail = f"{walk.graph.label(node_id)} saves one animation: leave n out of the map if it is the number of frames."
    return Problem("animation", detail, node_id)


def _kind(walk: Walk, node_id: str) -> str:
    """Return what a node saves: a role, `possible`, or what it is instead of an image; empty for nothing."""
    graph, known = walk.graph, walk.known(node_id)
    form = str(graph.literals[node_id].get("format", "")).lower()
    if known.role == "saves_other":
        return "saves_image" if form.startswith("image/") else known.makes
    if known.role == "saves_image":
        return "an EXR file" if form == "exr" else known.role
    if known.role == "previews_image":
        return known.role
    if known.role in ("no_output", "loads_image", "loads_mask"):
        return ""
    shown = str(graph.literals[node_id].get("image_output", "")).lower()
    if "save" in shown or "preview" in shown:
        return "saves_image" if "save" in shown else "previews_image"
    return _unknown_kind(walk, node_id)


def _unknown_kind(walk: Walk, node_id: str) -> str:
    graph = walk.graph
    name = graph.classes[node_id].lower()
    takes_image = any(carries(link, "image") for link in graph.links[node_id])
    saves = "save" in name or "combine" in name
    if saves and (made := next((made for word, made in _OTHER_WORDS.items() if word in name), "")):
        return made
    if not takes_image or any(word in name for word in _SENT_WORDS):
        return ""
    if "save" in name:
        return "saves_image"
    if graph.uses[node_id]:
        return ""
    if any(word in name for word in _PREVIEW_WORDS):
        return "previews_image"
    return "possible" if walk.known(node_id).role == "" and not _makes_images(walk, node_id) else ""


def _makes_images(walk: Walk, node_id: str) -> bool:
    """Return whether a last node of an unknown class is one that was forgotten to be saved, by its name."""
    words = ("scale", "resize", "crop", "decode", "encode", "sampler", "upscale", "invert", "detailer", "mask")
    return any(word in walk.graph.classes[node_id].lower() for word in words)
