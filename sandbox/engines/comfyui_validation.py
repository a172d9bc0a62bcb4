"""The ComfyUI sandbox's checks before a prompt is queued, with the error messages of ComfyUI 0.3.64."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from sandbox.engines.comfyui_files import Files, Prompt
from sandbox.engines.comfyui_graph import locate, outputs_of
from sandbox.engines.comfyui_more_nodes import NODES
from sandbox.engines.comfyui_nodes import FILE_INPUTS, Spec


@dataclass
class _Problem:
    """A problem of a node, as in `node_errors`."""

    node_id: str
    type: str
    message: str
    details: str
    extra_info: dict[str, Any]


class Validation:
    """The server's checks before it queues a prompt.

    Attributes:
        errors: the problems, by node id.
        valid_outputs: ids of the output nodes that can run.
    """

    def __init__(self, prompt: Prompt, files: Files) -> None:
        self._prompt = prompt
        self._files = files
        self.errors: dict[str, dict[str, Any]] = {}
        self.valid_outputs: list[str] = []
        for output in outputs_of(prompt):
            try:
                problems = list(self._problems(output, ()))
            except RecursionError:
                continue
            for problem in problems:
                self._add(problem, output)
            if not problems:
                self.valid_outputs.append(output)

    def _problems(self, node_id: str, above: tuple[str, ...]) -> Iterator[_Problem]:
        """Yield the problems of a node and of all nodes before it."""
        if node_id in above:
            raise RecursionError
        node = self._prompt[node_id]
        declared = NODES[node["class_type"]]
        for name, spec in (declared.inputs | declared.optional).items():
            if name not in node["inputs"]:
                if name in declared.inputs:
                    missing = {"input_name": name}
                    yield _Problem(node_id, "required_input_missing", "Required input is missing", name, missing)
            elif isinstance(value := node["inputs"][name], list):
                problem = self._bad_link(node_id, name, spec, value)
                yield from [problem] if problem else self._problems(value[0], (*above, node_id))
            elif problem := self._bad_value(node_id, name, spec, value):
                yield problem

    def _bad_link(self, node_id: str, name: str, spec: Spec, link: list[Any]) -> _Problem | None:
        extra: dict[str, Any] = {"input_name": name, "input_config": spec}
        if len(link) != 2:
            message = "Bad linked input, must be a length-2 list of [node_id, slot_index]"
            return _Problem(node_id, "bad_linked_input", message, name, extra | {"received_value": link})
        source, slot = link
        extra["linked_node"] = link
        where = node_id
        try:
            kind = NODES[self._prompt[source]["class_type"]].outputs[slot]
            where = source
            self._prompt[source]["inputs"]
        except (KeyError, IndexError) as error:
            extra |= {"exception_message": str(error), "exception_type": type(error).__name__}
            message = "Exception when validating inner node"
            return _Problem(where, "exception_during_inner_validation", message, str(error), extra)
        if kind == spec[0]:
            return None
        details = f"{name}, received_type({kind}) mismatch input_type({spec[0]})"
        message = "Return type mismatch between linked nodes"
        return _Problem(node_id, "return_type_mismatch", message, details, extra | {"received_type": kind})

    def _bad_value(self, node_id: str, name: str, spec: Spec, value: Any) -> _Problem | None:
        extra: dict[str, Any] = {"input_name": name, "input_config": spec, "received_value": value}
        if FILE_INPUTS.get(self._prompt[node_id]["class_type"]) == name:
            if locate(str(value)) in self._files:
                return None
            message, details = "Custom validation failed for node", f"{name} - Invalid image file: {value}"
            return _Problem(node_id, "custom_validation_failed", message, details, {"input_name": name})
        kind, options = spec
        if isinstance(kind, list):
            if value in kind:
                return None
            details = f"{name}: {value!r} not in {kind}"
            return _Problem(node_id, "value_not_in_list", "Value not in list", details, extra)
        if kind not in ("INT", "FLOAT"):
            return None
        try:
            number = int(value) if kind == "INT" else float(value)
        except (TypeError, ValueError) as error:
            message, details = f"Failed to convert an input value to a {kind} value", f"{name}, {value}, {error}"
            return _Problem(node_id, "invalid_input_type", message, details, extra | {"exception_message": str(error)})
        low, high = options["min"], options["max"]
        if number < low:
            message = f"Value {number} smaller than min of {low}"
            return _Problem(node_id, "value_smaller_than_min", message, name, extra)
        if number > high:
            return _Problem(node_id, "value_bigger_than_max", f"Value {number} bigger than max of {high}", name, extra)
        return None

    def _add(self, problem: _Problem, output: str) -> None:
        node_class = self._prompt[problem.node_id]["class_type"]
        empty = {"errors": [], "dependent_outputs": [], "class_type": node_class}
        entry = self.errors.setdefault(problem.node_id, empty)
        error = asdict(problem)
        del error["node_id"]
        if error not in entry["errors"]:
            entry["errors"].append(error)
        if output not in entry["dependent_outputs"]:
            entry["dependent_outputs"].append(output)
