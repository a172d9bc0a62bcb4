"""Fills a ComfyUI workflow by its node map, after checking that the two match. No I/O."""

import copy
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from image_gateway.engines.protocol import ImageRequest
from image_gateway.errors import NotConfigured
from image_gateway.models.config import ImagesConfig
from image_gateway.models.workflow import Workflow, WorkflowNode, missing_input, parse_workflow
from image_gateway.models.workflow_outputs import choice_problem, output_problem

MAX_SEED = 2**64 - 1
_FRESH_SEED_COUNT = 2**31
"""Upper bound of a fresh seed: some nodes accept no larger one."""


@dataclass(frozen=True, slots=True)
class WorkflowTemplate:
    """A workflow and its matching node map. `field` is the configuration field of the workflow."""

    workflow: Workflow
    nodes: Sequence[WorkflowNode]
    field: str

    @classmethod
    def load(cls, config: ImagesConfig, prefix: str) -> Self:
        """Read the fields `{prefix}_WORKFLOW` and `{prefix}_WORKFLOW_NODES`.

        Raises:
            NotConfigured: a field is not set or does not match; the error names the field and the problem.
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
        if problem := output_problem(self.workflow):
            raise NotConfigured(f"{self.field} {problem}", field=self.field)

    def _check_nodes(self) -> None:
        field = f"{self.field}_NODES"
        for node in self.nodes:
            for node_id in node.node_ids:
                if node_id not in self.workflow:
                    raise NotConfigured(f"{field} names node {node_id}, which {self.field} does not have", field=field)
        problem = missing_input(self.workflow, self.nodes) or choice_problem(self.workflow, sorted(self.output_nodes()))
        if problem:
            raise NotConfigured(f"{field} {problem}", field=field)

    def has(self, kind: str) -> bool:
        """Return whether the map names a node of type `kind`."""
        return any(node.node_ids for node in self.nodes if node.type == kind)

    def image_inputs(self) -> list[tuple[str, str]]:
        """Return node id and input name of each input for an image, in the map's order."""
        return [(node_id, node.input_name) for node in self.nodes if node.type == "image" for node_id in node.node_ids]

    def model_input(self) -> tuple[str, str] | None:
        """Return class and input name of the first node of type `model`."""
        for node in self.nodes:
            if node.type == "model" and node.node_ids:
                return self.workflow[node.node_ids[0]]["class_type"], node.input_name
        return None

    def output_nodes(self) -> frozenset[str]:
        """Return the ids of the nodes whose images are the answer; empty for all that save one."""
        return frozenset(node_id for node in self.nodes if node.type == "output" for node_id in node.node_ids)

    def seed_inputs(self) -> frozenset[tuple[str, str]]:
        """Return node id and name of each input that takes the seed."""
        return frozenset((id_, node.input_name) for node in self.nodes if node.type == "seed" for id_ in node.node_ids)

    def model_inputs(self) -> frozenset[tuple[str, str]]:
        """Return node id and input name of each input that takes the model."""
        return frozenset((id_, node.input_name) for node in self.nodes if node.type == "model" for id_ in node.node_ids)

    def filled_inputs(self) -> frozenset[tuple[str, str]]:
        """Return node id and name of each input that the map fills."""
        return frozenset((id_, node.input_name) for node in self.nodes for id_ in node.node_ids if node.input_name)

    def reads_alpha(self, node_id: str) -> bool:
        """Return whether the alpha of the image that node `node_id` loads is used; True if that cannot be known."""
        linked = [value for node in self.workflow.values() for value in node["inputs"].values()]
        return self.workflow[node_id]["class_type"] != "LoadImage" or [node_id, 1] in linked

    def fill(
        self,
        values: Mapping[str, Any],
        images: Sequence[str] = (),
        *,
        run: int = 0,
        max_seed: int = MAX_SEED,
    ) -> Workflow:
        """Return a copy of the workflow with every mapped input filled.

        Args:
            values: node type → value. For None, the map's constant for the node is used, else the workflow's own value.
                A seed node without a seed or constant, or with the constant -1, gets a fresh seed.
            images: names of the input images on the server. Further image nodes get the last one.
            run: added to the seed, so that several runs of one job differ.
            max_seed: the largest seed that the seed nodes accept; after it follows 0.
        """
        filled = copy.deepcopy(self.workflow)
        fresh = fresh_seed() % (max_seed + 1)
        for node in self.nodes:
            if node.type == "output":
                continue
            value = values.get(node.type) if node.type else None
            if value is None:
                value = node.value
            if node.type == "seed":
                is_seed = isinstance(value, int) and value >= 0
                value = (value + run) % (max_seed + 1) if is_seed else fresh
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
        """Return the seed of the first seed node of a filled workflow."""
        for node in self.nodes:
            if node.type == "seed" and node.node_ids:
                filled = workflow.get(node.node_ids[0])
                inputs = filled.get("inputs") if isinstance(filled, dict) else None
                seed = inputs.get(node.input_name) if isinstance(inputs, dict) else None
                return seed if isinstance(seed, int) else None
        return None

    def ignored(self, request: ImageRequest) -> list[str]:
        """Return one warning for each of the caller's fields that no node takes."""
        fields = {
            "prompt": (True, ["prompt"]),
            "model": (request.model is not None, ["model"]),
            "size": (request.size is not None, ["width", "height"]),
            "steps": (request.steps is not None, ["steps"]),
            "negative_prompt": (request.negative_prompt is not None, ["negative_prompt"]),
            "seed": (request.seed is not None, ["seed"]),
        }
        missing = {
            name: [kind for kind in kinds if not self.has(kind)]
            for name, (is_set, kinds) in fields.items()
            if is_set and (name == "prompt" or name in request.requested)
        }
        return [
            f"{name} was ignored: {self.field}_NODES names no node of type {' or '.join(kinds)}"
            for name, kinds in missing.items()
            if kinds
        ]


def request_values(request: ImageRequest) -> dict[str, Any]:
    """Return the request's values by node type; None for fields that are not set."""
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
    """Return a random seed, so that the server does not use its cache."""
    return secrets.randbelow(_FRESH_SEED_COUNT)
