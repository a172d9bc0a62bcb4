"""What a ComfyUI server declares about its node classes, and where a workflow does not match it.

Facts: recorded `/object_info` of ComfyUI 0.3.64: a choice is `[[…], {}]`, and a number has `min` and `max`. Newer
servers are reported to have choices as `["COMBO", {"options": […]}]`.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from image_gateway.models.workflow import Workflow
from image_gateway.models.workflow_outputs import is_link

_SHOWN_CHOICES = 5
_CORE_MODULES = ("nodes", "comfy_extras.", "comfy_api_nodes.")
_MODEL_INPUT = re.compile(r"^(ckpt|unet|vae|clip|lora|control_net|model|style_model|diffusion|gguf|base_ckpt)_name\d*$")
_MODEL_FILE = re.compile(r"\.(safetensors|sft|ckpt|pth|pt|bin|gguf|onnx)$", re.IGNORECASE)

MismatchCode = Literal[
    "unknown_class", "missing_input", "unknown_input", "missing_model", "missing_choice", "out_of_range"
]

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

    def bounds(self, name: str) -> tuple[float | None, float | None]:
        """Return the smallest and the largest number that an input takes; None for no limit."""
        declared = self._declaration(name)
        if not isinstance(declared, list) or not declared or declared[0] not in ("INT", "FLOAT"):
            return None, None
        low, high = (self._options(declared).get(limit) for limit in ("min", "max"))
        return (low if is_number(low) else None), (high if is_number(high) else None)

    def has_fixed_inputs(self) -> bool:
        """Return whether the class takes no other inputs than those it declares. Extensions may take any."""
        module = self.declared.get("python_module")
        return isinstance(module, str) and module.startswith(_CORE_MODULES)

    def _declaration(self, name: str) -> Any:
        return self.inputs("required").get(name) or self.inputs("optional").get(name)

    @staticmethod
    def _options(declared: list[Any]) -> dict[str, Any]:
        return declared[1] if len(declared) > 1 and isinstance(declared[1], dict) else {}


def is_number(value: Any) -> bool:
    """Return whether a value of an input is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class Mismatch:
    """Why a server would refuse a workflow, or ignore an input of it.

    Attributes:
        code: what kind of mismatch it is.
        node_id: the node.
        name: the input; empty if it is the node's class.
        text: the mismatch, for people.
    """

    code: MismatchCode
    node_id: str
    name: str
    text: str


def mismatches(
    workflow: Workflow, classes: Mapping[str, NodeInfo | None], mapped: Collection[tuple[str, str]]
) -> Iterator[Mismatch]:
    """Yield why the server would refuse the workflow or ignore inputs of it.

    Args:
        workflow: the workflow, filled with what the configuration gives.
        classes: what the server declares about classes of the workflow; None for a class that it does not have. Nodes
            of other classes are not compared.
        mapped: node id and name of each input that takes a value of a request.
    """
    for node_id, node in workflow.items():
        class_type = node["class_type"]
        if class_type not in classes:
            continue
        info = classes[class_type]
        if info is None:
            text = f"node {node_id}: the server has no class {class_type}"
            yield Mismatch("unknown_class", node_id, "", text)
            continue
        names = {name for id_, name in mapped if id_ == node_id} if mapped else set()
        yield from _node_mismatches(node_id, node, info, names)


def _node_mismatches(node_id: str, node: dict[str, Any], info: NodeInfo, mapped: Collection[str]) -> Iterator[Mismatch]:
    inputs = node["inputs"]
    where = f"node {node_id} ({node['class_type']})"
    for name in info.inputs("required"):
        if name not in inputs:
            yield Mismatch("missing_input", node_id, name, f"{where}: the server needs its input {name!r}")
    known = info.inputs("required").keys() | info.inputs("optional").keys()
    for name, value in inputs.items():
        if name in mapped and name not in known and info.has_fixed_inputs():
            text = f"{where}: the server's class has no input {name!r}"
            yield Mismatch("unknown_input", node_id, name, text)
        if is_link(value) or isinstance(value, list | dict):
            continue
        choices = info.choices(name)
        if choices is not None and value not in choices:
            code: MismatchCode = "missing_model" if _is_model(name, value) else "missing_choice"
            text = f"{where}: {name} {value!r} is not on the server, which has {_shown(choices)}"
            yield Mismatch(code, node_id, name, text)
        elif problem := _range_problem(info, name, value):
            yield Mismatch("out_of_range", node_id, name, f"{where}: {name} {value!r} is {problem}")


def _range_problem(info: NodeInfo, name: str, value: Any) -> str | None:
    if not is_number(value):
        return None
    low, high = info.bounds(name)
    if low is not None and value < low:
        return f"below the server's minimum of {low}"
    return f"above the server's maximum of {high}" if high is not None and value > high else None


def _is_model(name: str, value: Any) -> bool:
    return bool(_MODEL_INPUT.search(name) or (isinstance(value, str) and _MODEL_FILE.search(value)))


def _shown(choices: list[Any]) -> str:
    some = ", ".join(map(repr, choices[:_SHOWN_CHOICES])) or "nothing"
    return f"{some} and {len(choices) - _SHOWN_CHOICES} more" if len(choices) > _SHOWN_CHOICES else some
