"""What a ComfyUI server declares about its node classes, and where a workflow does not match it.

Facts: recorded `/object_info` of ComfyUI 0.3.64: a choice is `[[…], {}]`, and a number has `min` and `max`. Newer
servers are reported to have choices as `["COMBO", {"options": […]}]`.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from image_gateway.models.workflow import Workflow
from image_gateway.models.workflow_outputs import is_link

_SHOWN_CHOICES = 5
_CORE_MODULES = ("nodes", "comfy_extras.", "comfy_api_nodes.")
_UPLOADS = ("image_upload", "video_upload", "audio_upload", "upload")


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """A node class, as `/object_info/{class}` describes it."""

    declared: Mapping[str, Any]

    def inputs(self, group: str) -> dict[str, Any]:
        """Return the declarations of the inputs of a group, `required` or `optional`, by their names."""
        groups = self.declared.get("input")
        inputs = groups.get(group) if isinstance(groups, dict) else None
        return inputs if isinstance(inputs, dict) else {}

    def choices(self, name: str) -> list[Any] | None:
        """Return the values that an input may have; None if the server does not list them."""
        declared = self._declaration(name)
        if not isinstance(declared, list) or not declared:
            return None
        choices, options = declared[0], self._options(declared)
        if choices == "COMBO":
            choices = options.get("options")
        if not isinstance(choices, list) or options.get("multiselect") or any(options.get(flag) for flag in _UPLOADS):
            return None
        return choices

    def has_fixed_inputs(self) -> bool:
        """Return whether the class takes no other inputs than those it declares. Extensions may take any."""
        module = self.declared.get("python_module")
        return isinstance(module, str) and module.startswith(_CORE_MODULES)

    def _declaration(self, name: str) -> Any:
        return self.inputs("required").get(name) or self.inputs("optional").get(name)

    @staticmethod
    def _options(declared: list[Any]) -> dict[str, Any]:
        return declared[1] if len(declared) > 1 and isinstance(declared[1], dict) else {}


def workflow_problems(
    workflow: Workflow, classes: Mapping[str, NodeInfo | None], mapped: Collection[tuple[str, str]]
) -> Iterator[str]:
    """Yield why the server would refuse the workflow or ignore inputs of it, one text for each problem.

    Args:
        workflow: the workflow, filled with what the configuration gives.
        classes: what the server declares about each class of the workflow; None for a class that it does not have.
        mapped: node id and name of each input that takes a value of a request.
    """
    for node_id, node in workflow.items():
        class_type, inputs = node["class_type"], node["inputs"]
        info = classes.get(class_type)
        if info is None:
            yield f"node {node_id}: the server has no class {class_type}"
            continue
        where = f"node {node_id} ({class_type})"
        for name in info.inputs("required"):
            if name not in inputs:
                yield f"{where}: the server needs its input {name!r}"
        known = info.inputs("required").keys() | info.inputs("optional").keys()
        for name, value in inputs.items():
            if (node_id, name) in mapped and name not in known and info.has_fixed_inputs():
                yield f"{where}: the server's class has no input {name!r}"
            choices = info.choices(name)
            if (
                choices is not None
                and not is_link(value)
                and not isinstance(value, list | dict)
                and value not in choices
            ):
                some = ", ".join(map(repr, choices[:_SHOWN_CHOICES])) or "nothing"
                more = f" and {len(choices) - _SHOWN_CHOICES} more" if len(choices) > _SHOWN_CHOICES else ""
                yield f"{where}: {name} {value!r} is not on the server, which has {some}{more}"
