"""Runs the graphs of the ComfyUI sandbox."""

import hashlib
import io
import json
import secrets
from collections.abc import Callable
from typing import Any

from PIL.PngImagePlugin import PngInfo

from sandbox.engines.comfyui_nodes import FILE_INPUTS, NODES, Spec

Prompt = dict[str, dict[str, Any]]
Files = dict[tuple[str, str, str], bytes]
"""(type, subfolder, filename) → bytes."""


class ExecutionError(Exception):
    """A node raised."""

    def __init__(self, node_id: str, cause: Exception) -> None:
        super().__init__(str(cause))
        self.node_id = node_id
        self.cause = cause


def locate(name: str, default: str = "input") -> tuple[str, str, str]:
    """The file that `sub/name.png [type]` stands for."""
    kind = default
    for known in ("output", "input", "temp"):
        if name.endswith(f" [{known}]"):
            name, kind = name.removesuffix(f" [{known}]"), known
    subfolder, _, filename = name.rpartition("/")
    return kind, subfolder, filename


def outputs_of(prompt: Prompt) -> list[str]:
    """Ids of the output nodes."""
    return [node_id for node_id, node in prompt.items() if NODES[node["class_type"]].run is None]


class Graph:
    """Runs prompts, one after the other.

    What the nodes of the last prompt gave is kept by what they were given: an identical node is not run again, and an
    identical output node writes no file.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        self._known: dict[str, Any] = {}
        self._kept: dict[str, Any] = {}
        self._prompt: Prompt = {}
        self._cached: list[str] = []

    def execute(self, prompt: Prompt, outputs: list[str], done: Callable[[str, dict[str, Any]], None]) -> list[str]:
        """Run the output nodes in order and call `done` with the id and outputs of each; gives ids of cached nodes.

        Raises:
            ExecutionError: a node raised. What was done before stays.
        """
        self._known, self._kept, self._prompt, self._cached = self._kept, {}, prompt, []
        for output in outputs:
            done(output, self._value(output))
        return self._cached

    def _value(self, node_id: str) -> Any:
        key = self._signature(node_id)
        if key not in self._kept:
            node = self._prompt[node_id]
            inputs = {
                name: self._value(value[0])[value[1]] if isinstance(value, list) else value
                for name, value in node["inputs"].items()
            }
            if key in self._known:
                self._cached.append(node_id)
                self._kept[key] = self._known[key]
            else:
                self._kept[key] = self._run(node_id, node["class_type"], inputs)
        return self._kept[key]

    def _signature(self, node_id: str) -> str:
        """The same for nodes of the same class with the same inputs, files included."""
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
        known = {
            name: _converted(spec, inputs[name])
            for name, spec in (declared.inputs | declared.optional).items()
            if name in inputs
        }
        try:
            if name := FILE_INPUTS.get(node_class):
                known[name] = self._files[locate(known[name])]
            return declared.run(**known) if declared.run else _save(self._prompt, known, self._files)
        except Exception as error:
            raise ExecutionError(node_id, error) from error


def _converted(spec: Spec, value: Any) -> Any:
    return {"INT": int, "FLOAT": float}.get(spec[0] if isinstance(spec[0], str) else "", lambda same: same)(value)


def _save(prompt: Prompt, inputs: dict[str, Any], files: Files) -> dict[str, Any]:
    """Keep images as files and say which: outputs are numbered, previews have a random name."""
    prefix, kind = inputs.get("filename_prefix"), "output"
    if prefix is None:
        prefix, kind = f"ComfyUI_temp_{secrets.token_hex(3)}", "temp"
    subfolder, _, stem = prefix.rpartition("/")
    taken = sum(name.startswith(f"{stem}_") for of, folder, name in files if (of, folder) == (kind, subfolder))
    metadata = PngInfo()
    metadata.add_text("prompt", json.dumps(prompt))
    images = []
    for number, image in enumerate(inputs["images"], taken + 1):
        out = io.BytesIO()
        image.save(out, "PNG", pnginfo=metadata)
        filename = f"{stem}_{number:05}_.png"
        files[kind, subfolder, filename] = out.getvalue()
        images.append({"filename": filename, "subfolder": subfolder, "type": kind})
    return {"images": images}
