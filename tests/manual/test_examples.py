"""Examples in JSON can be parsed, and diagrams can be drawn."""

import json
import re

import pytest

from tests.manual.pages import PAGES, Block, Page

JSON = [block for page in PAGES for block in page.blocks if block.language == "json"]
DIAGRAMS = [block for page in PAGES for block in page.blocks if block.language == "mermaid"]


def diagram_problems(text: str) -> list[str]:
    """What is wrong with a sequence diagram: its kind, or an arrow without text or declared ends."""
    kind, *lines = [line.strip() for line in text.splitlines()]
    declared = {line.split()[1] for line in lines if line.startswith("participant ")}
    arrows = [line for line in lines if ">>" in line]
    problems = [] if kind == "sequenceDiagram" else [f"{kind} is no sequenceDiagram"]
    problems += [] if arrows else ["no arrow"]
    for arrow in arrows:
        ends = re.match(r"(\w+)--?>>(\w+): \S", arrow)
        if ends is None or not {ends[1], ends[2]} <= declared:
            problems.append(arrow)
    return problems


@pytest.mark.parametrize("block", JSON, ids=str)
def test_a_json_example_can_be_parsed(block: Block) -> None:
    """What a reader copies is JSON."""
    json.loads(block.text)


@pytest.mark.parametrize("block", DIAGRAMS, ids=str)
def test_a_diagram_can_be_drawn(block: Block) -> None:
    """It is a sequence diagram, and each arrow is between participants that it declares."""
    assert diagram_problems(block.text) == []


def test_the_readme_shows_the_way_of_a_request() -> None:
    """It has one diagram."""
    assert [block.language for block in Page.read("README.md").blocks].count("mermaid") == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("flowchart TD\n  A --> B\n", "flowchart TD is no sequenceDiagram"),
        ("sequenceDiagram\n  participant A\n", "no arrow"),
        ("sequenceDiagram\n  participant A\n  A->>B: hello\n", "A->>B: hello"),
        ("sequenceDiagram\n  participant A\n  A->>A:\n", "A->>A:"),
        ("sequenceDiagram\n  participant A\n  A>>A: hello\n", "A>>A: hello"),
    ],
)
def test_a_diagram_that_cannot_be_drawn_is_found(text: str, problem: str) -> None:
    """Another kind, no arrows, an undeclared end and an arrow without text are reported."""
    assert problem in diagram_problems(text)
