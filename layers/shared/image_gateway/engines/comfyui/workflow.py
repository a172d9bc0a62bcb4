"""Fills a ComfyUI workflow by its node map, and checks before that the two fit each other. No I/O."""

import copy
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from image_gateway.engines.protocol import ImageRequest
from image_gateway.errors import NotConfigured
from image_gateway.models.config import ImagesConfig
from image_gateway.models.workflow import Workflow, WorkflowNode, parse_workflow

_SEEDS = 2**64
_FRESH_SEEDS = 2**31
"""A fresh seed stays below this: some nodes take no larger one."""

_MAKES_NO_FILE = frozenset(
    {
        "CLIPTextEncode",
        "CheckpointLoaderSimple",
        "EmptyImage",
        "EmptyLatentImage",
        "EmptySD3LatentImage",
        "ImageInvert",
        "ImageScale",
        "ImageScaleBy",
        "KSampler",
        "KSamplerAdvanced",
        "LatentUpscale",
        "LoadImage",
        "LoadImageMask",
        "SamplerCustomAdvanced",
        "UNETLoader",
        "VAEDecode",
        "VAEDecodeTiled",
        "VAEEncode",
    }
)
"""Core nodes that workflows stop at by mistake. Of a class that is not here only the server knows what it is."""


@dataclass(frozen=True, slots=True)
class Template:
    """A workflow and its node map, checked to fit each other. `field` is the configuration field of the workflow."""

    workflow: Workflow
    nodes: Sequence[WorkflowNode]
    field: str

    @classmethod
    def load(cls, config: ImagesConfig, prefix: str) -> Self:
        """The template of the fields `{prefix}_WORKFLOW` and `{prefix}_WORKFLOW_NODES`.

        Raises:
            NotConfigured: a field is not set, or does not fit; names the field and says what is wrong.
        """
        field = f"{prefix}_WORKFLOW"
        text: str = getattr(config, field)
        if not text.strip():
            raise NotConfigured(f"{field} is not set: export one with Workflow > Export (API)", field=field)
        try:
            workflow = parse_workflow(text)
        except ValueError as error:
            raise NotConfigured(f"{field} {error}", field=field) from None
        template = cls(workflow, getattr(config, f"{field}_NODES"), field)
        template._check_output()
        template._check_nodes()
        return template

    def _check_output(self) -> None:
        links = {value[0] for node in self.workflow.values() for value in node["inputs"].values() if _is_link(value)}
        ends = [node["class_type"] for node_id, node in self.workflow.items() if node_id not in links]
        if all(end in _MAKES_NO_FILE for end in ends):
            said = f"{self.field} has no output node, such as SaveImage: it ends in {', '.join(ends) or 'a circle'}"
            raise NotConfigured(said, field=self.field)

    def _check_nodes(self) -> None:
        field = f"{self.field}_NODES"
        for node in self.nodes:
            for node_id in node.node_ids:
                if node_id not in self.workflow:
                    raise NotConfigured(f"{field} names node {node_id}, which {self.field} does not have", field=field)
                inputs = self.workflow[node_id]["inputs"]
                if node.input_name and node.input_name not in inputs:
                    said = f"{field} names input {node.input_name!r} of node {node_id}, which has {', '.join(inputs)}"
                    raise NotConfigured(said, field=field)

    def has(self, kind: str) -> bool:
        """Whether the map names a node of type `kind`."""
        return any(node.node_ids for node in self.nodes if node.type == kind)

    def image_inputs(self) -> list[tuple[str, str]]:
        """Node id and input name of everything that takes an input image, in the map's order."""
        return [(node_id, node.input_name) for node in self.nodes if node.type == "image" for node_id in node.node_ids]

    def model_input(self) -> tuple[str, str] | None:
        """Class and input name of the first node of type `model`."""
        for node in self.nodes:
            if node.type == "model" and node.node_ids:
                return self.workflow[node.node_ids[0]]["class_type"], node.input_name
        return None

    def model_inputs(self) -> frozenset[tuple[str, str]]:
        """The inputs that take the model, each with its node's id."""
        return frozenset((id_, node.input_name) for node in self.nodes if node.type == "model" for id_ in node.node_ids)

    def reads_alpha(self, node_id: str) -> bool:
        """Whether the alpha of the image that node `node_id` loads has an effect, as far as one can see."""
        linked = [value for node in self.workflow.values() for value in node["inputs"].values()]
        return self.workflow[node_id]["class_type"] != "LoadImage" or [node_id, 1] in linked

    def fill(self, values: Mapping[str, Any], images: Sequence[str] = (), *, run: int = 0) -> Workflow:
        """A copy of the workflow with every named input filled.

        Args:
            values: node type → value; None means that nobody asked, so the node's constant holds, else the workflow's
                own value. A seed node is never left alone: without a seed or constant it gets a fresh one.
            images: names of the input images on the server; the last one also goes to the image nodes beyond them.
            run: added to the seed, so that several runs of one job differ.
        """
        filled = copy.deepcopy(self.workflow)
        fresh = fresh_seed()
        for node in self.nodes:
            value = values.get(node.type) if node.type else None
            if value is None:
                value = node.value
            if node.type == "seed":
                value = (value + run) % _SEEDS if isinstance(value, int) else fresh
            elif node.type == "n" and value is None:
                value = 1
            if value is not None:
                for node_id in node.node_ids:
                    filled[node_id]["inputs"][node.input_name] = value
        if images:
            for number, (node_id, name) in enumerate(self.image_inputs()):
                filled[node_id]["inputs"][name] = images[min(number, len(images) - 1)]
        return filled

    def seed_in(self, workflow: Workflow) -> int | None:
        """The seed that a filled workflow has in its first seed node."""
        for node in self.nodes:
            if node.type == "seed" and node.node_ids:
                seed = workflow.get(node.node_ids[0], {}).get("inputs", {}).get(node.input_name)
                return seed if isinstance(seed, int) else None
        return None

    def ignored(self, request: ImageRequest) -> list[str]:
        """One warning for each field of the caller's that no node takes."""
        requested = {
            "prompt": (True, ["prompt"]),
            "model": (request.model is not None, ["model"]),
            "size": (request.size is not None, ["width", "height"]),
            "steps": (request.steps is not None, ["steps"]),
            "negative_prompt": (request.negative_prompt is not None, ["negative_prompt"]),
            "seed": (request.seed is not None, ["seed"]),
        }
        return [
            f"{name} was ignored: {self.field}_NODES names no node of type {kind}"
            for name, (given, kinds) in requested.items()
            for kind in kinds
            if given and (name == "prompt" or name in request.requested) and not self.has(kind)
        ]


def request_values(request: ImageRequest) -> dict[str, Any]:
    """What a request asks for, by node type; None where nobody asked."""
    return {
        "model": request.model,
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "width": request.size.width if request.size else None,
        "height": request.size.height if request.size else None,
        "n": request.n if request.n > 1 or "n" in request.requested else None,
        "steps": request.steps,
        "seed": request.seed,
    }


def fresh_seed() -> int:
    """A seed that no run had before, so that the server does not answer from its cache."""
    return secrets.randbelow(_FRESH_SEEDS)


def _is_link(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and isinstance(value[0], str)
