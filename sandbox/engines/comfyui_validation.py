"""The checks of the ComfyUI sandbox before a prompt is queued, with the words of ComfyUI 0.3.64."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from sandbox.engines.comfyui_graph import Files, Prompt, locate, outputs_of
from sandbox.engines.comfyui_nodes import FILE_INPUTS, NODES, Spec


@dataclass
class _Finding:
    """What is wrong at a node, as `node_errors` has it."""

    node_id: str
    type: str
    message: str
    details: str
    extra_info: dict[str, Any]


class Validation:
    """The checks that a server makes before it queues a prompt.

    `errors` holds what is wrong, by node; `good` the output nodes that can run.
    """

    def __init__(self, prompt: Prompt, files: Files) -> None:
        self._prompt = prompt
        self._files = files
        self.errors: dict[str, dict[str, Any]] = {}
        self.good: list[str] = []
        for output in outputs_of(prompt):
            try:
                found = list(self._findings(output, ()))
            except RecursionError:
                continue
            for finding in found:
                self._add(finding, output)
            if not found:
                self.good.append(output)

    def _findings(self, node_id: str, above: tuple[str, ...]) -> Iterator[_Finding]:
        """What is wrong at a node and at all before it."""
        if node_id in above:
            raise RecursionError
        node = self._prompt[node_id]
        declared = NODES[node["class_type"]]
        for name, spec in (declared.inputs | declared.optional).items():
            if name not in node["inputs"]:
                if name in declared.inputs:
                    missing = {"input_name": name}
                    yield _Finding(node_id, "required_input_missing", "Required input is missing", name, missing)
            elif isinstance(value := node["inputs"][name], list):
                finding = self._bad_link(node_id, name, spec, value)
                yield from [finding] if finding else self._findings(value[0], (*above, node_id))
            elif finding := self._bad_value(node_id, name, spec, value):
                yield finding

    def _bad_link(self, node_id: str, name: str, spec: Spec, link: list[Any]) -> _Finding | None:
        extra: dict[str, Any] = {"input_name": name, "input_config": spec}
        if len(link) != 2:
            said = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
            return _Finding(node_id, "bad_linked_input", said, name, extra | {"received_value": link})
        source, slot = link
        extra["linked_node"] = link
        where = node_id
        try:
            kind = NODES[self._prompt[source]["class_type"]].outputs[slot]
            where = source
            self._prompt[source]["inputs"]
        except (KeyError, IndexError) as error:
            extra |= {"exception_message": str(error), "exception_type": type(error).__name__}
            said = "Exception when validating inner node"
            return _Finding(where, "exception_during_inner_validation", said, str(error), extra)
        if kind == spec[0]:
            return None
        details = f"{name}, received_type({kind}) mismatch input_type({spec[0]})"
        said = "Return type mismatch between linked nodes"
        return _Finding(node_id, "return_type_mismatch", said, details, extra | {"received_type": kind})

    def _bad_value(self, node_id: str, name: str, spec: Spec, value: Any) -> _Finding | None:
        extra: dict[str, Any] = {"input_name": name, "input_config": spec, "received_value": value}
        if FILE_INPUTS.get(self._prompt[node_id]["class_type"]) == name:
            if locate(str(value)) in self._files:
                return None
            said, details = "Custom validation failed for node", f"{name} - Invalid image file: {value}"
            return _Finding(node_id, "custom_validation_failed", said, details, {"input_name": name})
        kind, options = spec
        if isinstance(kind, list):
            if value in kind:
                return None
            details = f"{name}: {value!r} not in {kind}"
            return _Finding(node_id, "value_not_in_list", "Value not in list", details, extra)
        if kind not in ("INT", "FLOAT"):
            return None
        try:
            number = int(value) if kind == "INT" else float(value)
        except (TypeError, ValueError) as error:
            said, details = f"Failed to convert an input value to a {kind} value", f"{name}, {value}, {error}"
            return _Finding(node_id, "invalid_input_type", said, details, extra | {"exception_message": str(error)})
        low, high = options["min"], options["max"]
        if number < low:
            said = f"Value {number} smaller than min of {low}"
            return _Finding(node_id, "value_smaller_than_min", said, name, extra)
        if number > high:
            return _Finding(node_id, "value_bigger_than_max", f"Value {number} bigger than max of {high}", name, extra)
        return None

    def _add(self, finding: _Finding, output: str) -> None:
        node_class = self._prompt[finding.node_id]["class_type"]
        empty = {"errors": [], "dependent_outputs": [], "class_type": node_class}
        entry = self.errors.setdefault(finding.node_id, empty)
        error = asdict(finding)
        del error["node_id"]
        if error not in entry["errors"]:
            entry["errors"].append(error)
        if output not in entry["dependent_outputs"]:
            entry["dependent_outputs"].append(output)
