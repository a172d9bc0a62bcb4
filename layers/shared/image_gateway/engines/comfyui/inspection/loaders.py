"""Finds the inputs of the model, of input images and of the mask."""

import re
from collections.abc import Iterable

from image_gateway.engines.comfyui.inspection.canvas import Canvas
from image_gateway.engines.comfyui.inspection.findings import Finding, Option, Problem, Spot
from image_gateway.engines.comfyui.inspection.graph import Graph, Link
from image_gateway.engines.comfyui.inspection.names import MODEL_NAMES, carries
from image_gateway.engines.comfyui.inspection.samplers import Makers
from image_gateway.engines.comfyui.inspection.texts import TextFinder
from image_gateway.engines.comfyui.inspection.walk import Walk, is_text

_MAIN_LOADERS = ("ckpt_name", "unet_name", "base_ckpt_name", "gguf_name")
_NUMBERED = re.compile(r"image_?(\d{1,3})$")
_SCALES = re.compile(r"scale|resize|crop|pad|upscale|grow|flip|rotate|invert|reroute", re.IGNORECASE)
_IGNORED = frozenset({"previews_image", "no_output"})


def find_model(walk: Walk, makers: Makers) -> Finding | None:
    """Return the input that names the model which the samplers use."""
    found: dict[Spot, str] = {}
    unsure = ""
    for sampler in [*makers.samplers, *makers.detailers]:
        for link in walk.sources_of(sampler, "model").found:
            spots, doubt = _model_spots(walk, link)
            unsure = unsure or doubt
            found |= {spot: f"{walk.graph.label(sampler)} uses it" for spot in spots if spot not in found}
    if not makers.samplers:
        for node_id in makers.generators:
            name = walk.known(node_id).inputs.get("model")
            if name and is_text(walk.graph.literals[node_id].get(name)):
                found[Spot(node_id, name)] = f"{walk.graph.label(node_id)} uses it"
    if found:
        return _models(walk.graph, found, unsure)
    loaders = [
        Spot(node_id, name)
        for node_id, literals in walk.graph.literals.items()
        for name in _MAIN_LOADERS
        if is_text(literals.get(name))
    ]
    options = [Option((spot,), "another loader") for spot in loaders[1:10]]
    why = "no sampler is linked to a loader"
    return Finding("model", loaders[:1], sure=False, why=why, options=options) if loaders else None


def _models(graph: Graph, found: dict[Spot, str], unsure: str) -> Finding:
    spots = list(found)
    names = {str(graph.literals[spot.node_id][spot.key]) for spot in spots}
    why = found[spots[0]]
    if len(names) == 1 and not unsure:
        return Finding("model", spots, sure=True, why=why)
    options = [Option((spot,), found[spot]) for spot in spots[1:]]
    unsure = unsure or "there are several models"
    return Finding("model", spots[:1], sure=False, why=f"{why}; {unsure}", options=options)


def _model_spots(walk: Walk, link: Link) -> tuple[list[Spot], str]:
    """Return the inputs of a loader that name the model, and why another one may be meant."""
    node_id = link.node_id
    literals, links = walk.graph.literals[node_id], walk.graph.links[node_id]
    named = walk.known(node_id).inputs.get("model")
    for name in (named,) if named else MODEL_NAMES:
        if is_text(literals.get(name)):
            return [Spot(node_id, name)], ""
        if name in links:
            texts = TextFinder(walk).at(node_id, name, "positive")
            return texts.spots[:1], texts.unsure
    return [], ""


class ImageFinder:
    """Finds the loaders of one workflow's input images and masks."""

    def __init__(self, walk: Walk, reach: set[str], canvas: Canvas) -> None:
        self._walk = walk
        self._graph = walk.graph
        self._canvas = canvas
        self._reached = reach
        self._reach = [node_id for node_id in self._graph.classes if node_id in reach]
        self.problems: list[Problem] = []

    def find(self) -> list[Finding]:
        """Return the findings for images and for the mask, as far as there are any."""
        images, masks = [], []
        for node_id in self._reach:
            role = self._loads(node_id)
            if role == "loads_elsewhere":
                label = self._graph.label(node_id)
                detail = f"{label} does not load an uploaded file: put LoadImage in its place, to edit images."
                self.problems.append(Problem("image_loader", detail, node_id))
            elif role == "loads_mask" or (role and self._is_mask(node_id)):
                masks.append(self._spot(node_id))
            elif role:
                images.append(self._spot(node_id))
        return [*self._images(images), *self._masks(masks)]

    def _images(self, spots: list[Spot]) -> list[Finding]:
        if not spots:
            return []
        if len(spots) == 1:
            return [Finding("image", spots, sure=True, why=f"{self._graph.label(spots[0].node_id)} loads an image")]
        first = set(self._canvas.loaders)
        spots.sort(key=lambda spot: spot.node_id not in first)
        orders = self._numbered_orders()
        for order in orders:
            if set(order) == {spot.node_id for spot in spots}:
                places = {node_id: place for place, node_id in enumerate(order)}
                spots.sort(key=lambda spot: places[spot.node_id])
                sure = all(other == order for other in orders)
                return [Finding("image", spots, sure, why="a node takes them as first, second and further image")]
        why = "which image is the first one depends on what each is for"
        return [Finding("image", spots, sure=False, why=why, options=[Option((spots[0],), "only one image")])]

    def _masks(self, spots: list[Spot]) -> list[Finding]:
        if not spots:
            return []
        sure = len(spots) == 1
        why = f"{self._graph.label(spots[0].node_id)} loads a mask" if sure else "there are several masks"
        options = [Option((spot,), "another mask") for spot in spots[1:]]
        return [Finding("mask", spots[:1], sure, why, options)]

    def _loads(self, node_id: str) -> str:
        """Return the role of a node that loads an image; empty for other nodes."""
        role = self._walk.known(node_id).role
        if role in ("loads_image", "loads_mask"):
            return role if is_text(self._graph.literals[node_id].get(self._key(node_id))) else ""
        if role:
            return role if role == "loads_elsewhere" else ""
        name = self._graph.classes[node_id].lower()
        if "load" not in name or "image" not in name or self._graph.links[node_id]:
            return ""
        if any(word in name for word in ("url", "base64", "folder", "path", "batch", "video")):
            return "loads_elsewhere"
        if not is_text(self._graph.literals[node_id].get("image")):
            return ""
        return "loads_mask" if "mask" in name else "loads_image"

    def _key(self, node_id: str) -> str:
        known = self._walk.known(node_id)
        return known.inputs.get("image") or known.inputs.get("mask") or "image"

    def _spot(self, node_id: str) -> Spot:
        return Spot(node_id, self._key(node_id))

    def _is_mask(self, node_id: str) -> bool:
        """Return whether an image is only used as a mask: by its alpha, or by a node that makes a mask of it."""
        waiting = [use for use in self._graph.uses[node_id] if use.node_id in self._reached]
        as_mask = any(use.slot == 1 for use in waiting)
        waiting = [use for use in waiting if use.slot == 0]
        seen: set[str] = set()
        for use in waiting:
            role = self._walk.known(use.node_id).role
            if use.node_id in seen or role in _IGNORED:
                continue
            seen.add(use.node_id)
            self._graph.step(use.node_id)
            if role == "converts_to_mask":
                as_mask = True
            elif carries(use.name, "image") and _SCALES.search(self._graph.classes[use.node_id]):
                waiting += [later for later in self._graph.uses[use.node_id] if later.slot == 0]
            else:
                return False
        return as_mask

    def _numbered_orders(self) -> list[list[str]]:
        """Return the orders in which nodes take several images, as `image1`, `image2` and so on."""
        orders = []
        for node_id in self._reach:
            links = self._graph.links[node_id]
            numbered = sorted((int(found[1]), name) for name in links if (found := _NUMBERED.match(name)))
            if len(numbered) > 1:
                orders.append(self._loaders_behind(links[name] for _, name in numbered))
        return [order for order in orders if len(order) > 1]

    def _loaders_behind(self, links: Iterable[Link]) -> list[str]:
        found = [source.node_id for link in links for source in self._walk.sources([link], "image").found]
        return [node_id for node_id in dict.fromkeys(found) if self._loads(node_id)]
