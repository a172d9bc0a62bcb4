"""What an inspection finds: proposals for the node map, and problems of the workflow."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from image_gateway.models.workflow import NodeType

ProblemCode = Literal[
    "not_json",
    "bom",
    "editor_format",
    "not_workflow",
    "wrapped",
    "invalid_node",
    "cycle",
    "too_complex",
    "no_output",
    "preview_only",
    "only_video",
    "animation",
    "no_prompt",
    "linked_input",
    "image_loader",
    "missing_input",
    "unknown_class",
    "unknown_input",
    "missing_model",
    "missing_choice",
    "out_of_range",
    "not_compared",
]


@dataclass(frozen=True, slots=True)
class Spot:
    """An input of a node that a value can fill, because no other node is linked to it."""

    node_id: str
    key: str


Blocked = tuple[str, str, str]
"""Node, input, and the node that makes the input's value."""


@dataclass(slots=True)
class Held:
    """Where a text or a number is held.

    Attributes:
        spots: the inputs that hold it, or parts of it.
        unsure: why it may be another one; empty if that is certain.
        blocked: inputs whose text or number no input holds, e.g. because it is calculated.
    """

    spots: list[Spot] = field(default_factory=list)
    unsure: str = ""
    blocked: list[Blocked] = field(default_factory=list)

    def add(self, other: "Held") -> None:
        """Add what another input or node holds."""
        self.spots += [spot for spot in other.spots if spot not in self.spots]
        self.unsure = self.unsure or other.unsure
        self.blocked += other.blocked


@dataclass(frozen=True, slots=True)
class Option:
    """Spots that could be meant instead of the proposed ones, and what speaks for them."""

    spots: tuple[Spot, ...]
    why: str


@dataclass(slots=True)
class Finding:
    """The spots of one type.

    Attributes:
        type: the type of the node map's entry.
        spots: all of them get the value.
        sure: whether there is no other reading of the workflow.
        why: how they were found.
        options: other readings.
    """

    type: NodeType
    spots: list[Spot]
    sure: bool
    why: str
    options: list[Option] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another input, or other nodes, that an entry of the node map could name."""

    key: str
    node_ids: tuple[str, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """An entry of a node map. There is one for each type and key."""

    type: NodeType
    key: str
    node_ids: tuple[str, ...]
    sure: bool
    why: str
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a workflow, or what the gateway cannot use of it.

    Attributes:
        code: see `docs/comfyui`.
        detail: one or two sentences: what is wrong, and what to do.
        node_id: the node with the problem; None if it is the whole workflow.
    """

    code: ProblemCode
    detail: str
    node_id: str | None = None


@dataclass(frozen=True, slots=True)
class Inspection:
    """The result of an inspection. `nodes` is empty for a text that is no workflow."""

    nodes: tuple[Proposal, ...] = ()
    problems: tuple[Problem, ...] = ()


_MAX_ALTERNATIVES = 10
"""How many alternatives of a type are named."""


def grouped(spots: Iterable[Spot]) -> dict[str, tuple[str, ...]]:
    """Return the node ids of spots by key, in order, each once."""
    by_key: dict[str, dict[str, None]] = {}
    for spot in spots:
        by_key.setdefault(spot.key, {})[spot.node_id] = None
    return {key: tuple(node_ids) for key, node_ids in by_key.items()}


def proposals(findings: Sequence[Finding]) -> tuple[Proposal, ...]:
    """Return one proposal for each type and key. Alternatives stand at the first one of a type."""
    result = []
    for finding in findings:
        alternatives = tuple(
            Alternative(key, node_ids, option.why)
            for option in finding.options
            for key, node_ids in grouped(option.spots).items()
        )[:_MAX_ALTERNATIVES]
        for key, node_ids in grouped(finding.spots).items():
            result.append(Proposal(finding.type, key, node_ids, finding.sure, finding.why, alternatives))
            alternatives = ()
    return tuple(result)
