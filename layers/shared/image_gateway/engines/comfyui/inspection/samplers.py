"""Finds the nodes that make the images: samplers, and nodes that do everything themselves."""

from collections.abc import Iterable
from dataclasses import dataclass

from image_gateway.engines.comfyui.inspection.graph import Graph
from image_gateway.engines.comfyui.inspection.names import carries, carries_all, role_of
from image_gateway.engines.comfyui.inspection.walk import Walk

MAX_SAMPLERS = 12
"""How many nodes of a kind are looked at, the first ones in the order of execution."""


@dataclass(frozen=True, slots=True)
class Makers:
    """The nodes that make the images, each list in the order of execution.

    Attributes:
        samplers: nodes that make an image from conditioning.
        detailers: nodes that draw parts of an image again, if there are samplers before them.
        generators: nodes that make an image from a text by themselves.
    """

    samplers: list[str]
    detailers: list[str]
    generators: list[str]


def find_makers(walk: Walk, node_ids: Iterable[str]) -> Makers:
    """Find the nodes among `node_ids` that make images."""
    ordered = sorted(node_ids, key=lambda node_id: walk.graph.order[node_id])
    samplers = [node_id for node_id in ordered if _is_sampler(walk, node_id)]
    detailers = [node_id for node_id in samplers if _is_detailer(walk, node_id)]
    main = [node_id for node_id in samplers if node_id not in detailers]
    generators = [node_id for node_id in ordered if walk.known(node_id).role == "generator"]
    if not main:
        main, detailers = detailers, []
    return Makers(main[:MAX_SAMPLERS], detailers[:MAX_SAMPLERS], generators[:MAX_SAMPLERS])


def _is_sampler(walk: Walk, node_id: str) -> bool:
    role = walk.known(node_id).role
    return role in ("sampler", "detailer") or (not role and _samples(walk.graph, node_id))


def _is_detailer(walk: Walk, node_id: str) -> bool:
    known, links = walk.known(node_id), walk.graph.links[node_id]
    if known.role:
        return known.role == "detailer"
    return not any(carries(name, "latent") for name in links) and any(carries(name, "image") for name in links)


def _samples(graph: Graph, node_id: str) -> bool:
    """Return whether a node of an unknown class samples, by its inputs."""
    links, literals = graph.links[node_id], graph.literals[node_id]
    names = links.keys() | literals.keys()
    numbers = bool(names & {"seed", "noise_seed", "steps"})
    latent = any(carries(name, "latent") for name in links)
    if "guider" in links:
        return latent or "sigmas" in links
    conditioned = any(carries(name, "conditioning") for name in links)
    both = {"positive", "negative"} <= {role_of(name) for name in links}
    modeled = any(carries(name, "model") for name in links)
    if conditioned and ((latent and (numbers or "sigmas" in links)) or (both and modeled and "steps" in names)):
        return True
    if "sampler" not in graph.classes[node_id].lower() or not numbers:
        return False
    return modeled or any(carries_all(name) for name in links)
