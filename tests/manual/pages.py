"""The manual's pages, and what tests read from one: its blocks, headings, links, sections and tables."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from sandbox.template import ROOT

_FENCE = re.compile(r"(?P<indent>\s*)(?P<marks>`{3,}|~{3,})(?P<language>.*)")
_RUNS = re.compile(r"<!-- runs: (\w+) -->")
_HEADING = re.compile(r"^(#{1,6}) (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: the path of its page.
        line: the number of the line with its opening fence.
        fence: that line.
        language: the word after the fence; may be empty.
        runs: how the comment above says that the block is tested; None without such a comment.
        text: what is between the fences.
        closed: whether there is a closing fence.
    """

    page: str
    line: int
    fence: str
    language: str
    runs: str | None
    text: str
    closed: bool = True

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    def statements(self) -> list[str]:
        """Its lines, blank ones left out and continued ones joined."""
        return [line for line in self.text.replace("\\\n", " ").splitlines() if line.strip()]


@dataclass(frozen=True)
class Table:
    """A table: the cells of its header and of each row."""

    header: list[str]
    rows: list[list[str]]

    def names(self) -> list[str]:
        """Everything in backticks in the first column, of the rows whose first cell begins with one."""
        return [name for row in self.rows if row[0].startswith("`") for name in re.findall(r"`([^`]+)`", row[0])]


@dataclass(frozen=True)
class Page:
    """A page: its path relative to the repository's root, and its text."""

    path: str
    text: str

    @classmethod
    def read(cls, path: str) -> "Page":
        return cls(path, (ROOT / path).read_text("utf-8"))

    def __str__(self) -> str:
        return self.path

    @cached_property
    def blocks(self) -> list[Block]:
        """All fenced blocks, those that are indented or never closed among them."""
        return list(self._find_blocks())

    @cached_property
    def prose(self) -> str:
        """The text with every line of a block left empty, so that line numbers stay."""
        lines = self.text.splitlines()
        for block in self.blocks:
            length = block.text.count("\n") + 1 + block.closed
            lines[block.line - 1 : block.line - 1 + length] = [""] * length
        return "\n".join(lines)

    @cached_property
    def anchors(self) -> set[str]:
        """The fragments by which GitHub addresses the headings."""
        found: set[str] = set()
        for _, heading in _HEADING.findall(self.prose):
            text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
            anchor = re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")
            repeated = (f"{anchor}-{number}" for number in range(1, len(found) + 2))
            found.add(anchor if anchor not in found else next(name for name in repeated if name not in found))
        return found

    @cached_property
    def links(self) -> list[str]:
        """The targets of inline links and images, as they are written."""
        return re.findall(r"\]\(([^)]*)\)", self.prose)

    def introduction(self) -> str:
        """The prose before the first heading of level two."""
        return re.split(r"^## ", self.prose, maxsplit=1, flags=re.MULTILINE)[0]

    def section(self, heading: str) -> str:
        """The prose under a heading, up to the next heading of the same or a higher level."""
        (start,) = [match for match in _HEADING.finditer(self.prose) if match[2] == heading]
        return re.split(rf"^#{{1,{len(start[1])}}} ", self.prose[start.end() :], maxsplit=1, flags=re.MULTILINE)[0]

    def _find_blocks(self) -> Iterator[Block]:
        lines = self.text.splitlines()
        numbered = iter(enumerate(lines, start=1))
        for number, line in numbered:
            opening = _FENCE.fullmatch(line)
            if opening is None:
                continue
            comment = _RUNS.fullmatch(lines[number - 2]) if number > 1 else None
            inside = []
            closed = False
            for _, inner in numbered:
                closed = inner.strip() == opening["marks"]
                if closed:
                    break
                inside.append(f"{inner}\n")
            runs = comment[1] if comment else None
            yield Block(self.path, number, line, opening["language"].strip(), runs, "".join(inside), closed)


def tables(text: str) -> list[Table]:
    """All tables of a text."""
    found = []
    for lines in re.findall(r"(?:^\|.*(?:\n|\Z))+", text, re.MULTILINE):
        header, _, *rows = [
            [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))] for line in lines.splitlines()
        ]
        found.append(Table(header, rows))
    return found


def manual() -> list[Page]:
    """The README and every page under `docs/`."""
    paths = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [Page.read(str(path.relative_to(ROOT))) for path in paths]


PAGES = manual()


def blocks_that_run(how: str) -> list[Block]:
    """The blocks of all pages that are tested in one way."""
    return [block for page in PAGES for block in page.blocks if block.runs == how]
