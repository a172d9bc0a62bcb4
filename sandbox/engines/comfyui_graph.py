"""Executes the workflows of the ComfyUI sandbox."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

from sandbox.engines.comfyui_files import Files, Prompt, save_outputs
from sandbox.engines.comfyui_more_nodes import NODES
from sandbox.engines.comfyui_nodes import FILE_INPUTS, Spec


class ExecutionError(Exception):
    """A node raised an exception."""

    def __init__(self, node_id: str, cause: Exception) -> None:
        super().__init__(str(cause))
        self.node_id = node_id
        self.cause = cause


def locate(name: str, default: str = "input") -> tuple[str, str, str]:
    """Return the key of the file `sub/name.png [type]`."""
    kind = default
    for known in ("output", "input", "temp"):
        if name.endswith(f" [{known}]"):
            name, kind = name.removesuffix(f" [{known}]"), known
    subfolder, _, filename = name.rpartition("/")
    return kind, subfolder, filename


def outputs_of(prompt: Prompt) -> list[str]:
    """Return the ids of the output nodes."""
    return [node_id for node_id, node in prompt.items() if NODES[node["class_type"]].run is None]


class Graph:
    """Executes prompts, one after the other.

    The outputs of the last prompt's nodes are cached by class and inputs: an identical node is not run again, and an
    identical output node writes no file.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._previous: dict[str, Any] = {}
        self._current: dict[str, Any] = {}
        self._prompt: Prompt = {}
        self._cached: list[str] = []

    def execute(self, prompt: Prompt, outputs: list[str], done: Callable[[str, dict[str, Any]], None]) -> list[str]:
        """Run the output nodes in order and return the ids of cached nodes. `done` gets the id and files of each.

        Raises:
            ExecutionError: a node raised an exception. Earlier outputs are kept.
        """
        self._previous, self._current, self._prompt, self._cached = self._current, {}, prompt, []
        for output in outputs:
            done(output, self._value(output))
        return self._cached

    def _value(self, node_id: str) -> Any:
        key = self._signature(node_id)
        if key not in self._current:
            node = self._prompt[node_id]
            inputs = {
                name: self._value(value[0])[value[1]] if isinstance(value, list) else value
                for name, value in node["inputs"].items()
            }
            if key in self._previous:
                self._cached.append(node_id)
                self._current[key] = self._previous[key]
            else:
                self._current[key] = self._run(node_id, node["class_type"], inputs)
        return self._current[key]

    def _signature(self, node_id: str) -> str:
        """Return a hash of the node's class and inputs, including the content of files."""
        node = self._prompt[node_id]
        inputs = {
            name: [self._signature(value[0]), value[1]] if isinstance(value, list) else value
            for name, value in node["inputs"].items()
        }
        content = ""
        if name := FILE_INPUTS.get(node["class_type"]):
            content = hashlib.sha256(self._files.get(locate(node["inputs"][name]), b"")).hexdigest()
        return hashlib.sha256(json.dumps([node["class_type"], inputs, content]).encode()).hexdigest()

    def _run(self, node_id: str, node_class: str, inputs: dict[str, Any]) -> Any:
        declared = NODES[node_class]
        values = {
            name: _convert(spec, inputs[name])
            for name, spec in (declared.inputs | declared.optional).items()
            if name in inputs
        }
        try:
            if name := FILE_INPUTS.get(node_class):
                values[name] = self._files[locate(values[name])]
            return (
                declared.run(**values) if declared.run else save_outputs(node_class, self._prompt, values, self._files)
            )
        except Exception as error:  # whatever a node raises is a failed run, as in ComfyUI
            raise ExecutionError(node_id, error) from error


def _convert(spec: Spec, value: Any) -> Any:
    return {"INT": int, "FLOAT": float}.get(spec[0] if isinstance(spec[0], str) else "", lambda same: same)(value)
