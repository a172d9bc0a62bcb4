"""What is known about node classes that their links and input names do not say. The facts are in a data file."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Literal, get_args

Role = Literal[
    "sampler",  # makes an image from conditioning
    "detailer",  # draws parts of an image again
    "generator",  # makes an image from a text by itself, e.g. a paid partner node
    "saves_image",
    "previews_image",
    "saves_other",  # a video, sound, a 3D model: see `makes`
    "no_output",  # ends a branch and saves nothing that the server lists
    "loads_image",
    "loads_mask",
    "loads_elsewhere",  # loads an image that is no uploaded file: from a URL, from text, from a folder
    "converts_to_mask",
    "joins_texts",
    "writes_text",  # describes an image, or asks a language model
    "sets_size",  # a size whose numbers override the preset beside them
    "has_presets",  # a size that may come from a preset instead of the numbers beside it
    "takes_size",  # calculates something from the image's size, without making the image
    "sets_all_seeds",  # replaces the seeds of all nodes when a workflow starts
    "removes_text",  # conditioning without the text that went in
]

_ROLES = frozenset(get_args(Role))
_ANY = "*"


@dataclass(frozen=True, slots=True)
class NodeClass:
    """A node class.

    Attributes:
        role: what it does, where that matters.
        texts: output ("*": any) → the inputs whose text comes out there, encoded or not.
        follow: output ("*": any) → the inputs whose value comes out there.
        inputs: type of the node map → the input that takes it.
        when: an input of `texts` → another input, and the values of it with which the first one is used.
        choose: an input that chooses among others: `by`, and `cases`, value → input.
        makes: what a node with role `saves_other` saves.
    """

    role: str = ""
    texts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    follow: Mapping[str, Sequence[str]] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    when: Mapping[str, tuple[str, Sequence[Any]]] = field(default_factory=dict)
    choose: Mapping[str, Any] = field(default_factory=dict)
    makes: str = ""

    def texts_at(self, slot: int | None) -> Sequence[str] | None:
        """Return the inputs whose text comes out of an output; None if that is not known."""
        return self.texts.get(str(slot), self.texts.get(_ANY))

    def follow_at(self, slot: int | None) -> Sequence[str] | None:
        """Return the inputs whose value comes out of an output; None if that is not known."""
        return self.follow.get(str(slot), self.follow.get(_ANY))


UNKNOWN = NodeClass()
"""A class that is not in the data file: its links and input names say what it does."""


@cache
def known_classes() -> Mapping[str, NodeClass]:
    """Return the classes of the data file, by name. Its groups say where each fact comes from."""
    text = (files("image_gateway.engines.comfyui.inspection") / "known_classes.json").read_text("utf-8")
    groups = json.loads(text)
    return {name: _parsed(name, facts) for group in groups for name, facts in group["classes"].items()}


def _parsed(name: str, facts: dict[str, Any]) -> NodeClass:
    if facts.get("role", "saves_image") not in _ROLES:
        raise ValueError(f"{name} has an unknown role")
    return NodeClass(**facts)
