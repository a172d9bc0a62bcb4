"""Every block of the manual says how it is tested.

A comment right above a block of commands names the way:

    <!-- runs: sandbox -->  by bash against a running `python -m sandbox run`, with URL, ADMIN_TOKEN and USER_TOKEN
    <!-- runs: python -->   as a Python program against the same sandbox
    <!-- runs: bash -->     by bash, without a sandbox
    <!-- runs: make -->     targets and variables are in the Makefile, and `make -n` accepts them
    <!-- runs: aws -->      needs an AWS account: the command is in `NEEDS_AWS`, and its options exist
"""

import re

import pytest

from tests.manual.pages import PAGES, Page, blocks_that_run

COMMANDS = {"sh": ("sandbox", "bash", "make", "aws"), "python": ("python",)}
"""The languages of blocks that are run, and the ways to run them."""

DATA = ("json", "mermaid")
"""The languages of blocks that are read."""


def untested_blocks(page: Page) -> list[str]:
    """What is wrong with a page's blocks and the comments above them, with the line."""
    problems = []
    for block in page.blocks:
        if not block.closed or not block.fence.startswith("```") or block.fence.startswith("````"):
            problems.append(f"{block}: a block begins and ends with ``` at the start of a line")
        elif block.language in COMMANDS:
            if block.runs not in COMMANDS[block.language]:
                ways = " or ".join(COMMANDS[block.language])
                problems.append(f"{block}: a comment <!-- runs: {ways} --> is missing above the block")
        elif block.language not in DATA:
            problems.append(f"{block}: no test knows the language {block.language!r}")
        elif block.runs:
            problems.append(f"{block}: a block of {block.language} is not run")
    comments = [line for line in page.text.splitlines() if line.lstrip().startswith("<!-- runs:")]
    if len(comments) != sum(block.runs is not None for block in page.blocks):
        problems.append(f"{page}: a comment <!-- runs: … --> is not right above a block")
    if page.text.count("```") != 2 * len(page.blocks):
        problems.append(f"{page}: ``` in the middle of a line, or an odd number of them")
    indented = re.findall(r"^\n(?: {4}|\t).*", f"\n{page.prose}", re.MULTILINE)
    problems += [f"{page}: {line.strip()} is an indented block, which has no language" for line in indented]
    return problems


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_block_says_how_it_is_tested(page: Page) -> None:
    """An unmarked block of commands fails here; a marked one is run by the test of its kind."""
    assert untested_blocks(page) == []


@pytest.mark.parametrize("how", ["sandbox", "python", "bash", "make", "aws"])
def test_the_manual_has_blocks_of_every_kind(how: str) -> None:
    """The tests of blocks have something to run."""
    assert blocks_that_run(how)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("```sh\nrm -r x\n```\n", "is missing above"),
        ("```python\nprint()\n```\n", "is missing above"),
        ("<!-- runs: python -->\n```sh\nls\n```\n", "is missing above"),
        ("<!-- runs: later -->\n```sh\nls\n```\n", "is missing above"),
        ("<!-- runs: bash -->\n\n```sh\nls\n```\n", "is missing above"),
        ("```bash\nls\n```\n", "no test knows the language 'bash'"),
        ("```\nls\n```\n", "no test knows the language ''"),
        ("<!-- runs: bash -->\n```json\n{}\n```\n", "is not run"),
        ("<!-- runs: bash -->\nls\n", "is not right above a block"),
        ("- ls:\n\n  ```sh\n  ls\n  ```\n", "at the start of a line"),
        ("<!-- runs: bash -->\n~~~sh\nls\n~~~\n", "begins and ends with ```"),
        ("<!-- runs: bash -->\n```sh\nls\n", "begins and ends with ```"),
        ("Type ```ls```.\n", "in the middle of a line"),
        ("Type:\n\n    ls\n", "ls is an indented block"),
    ],
)
def test_a_block_that_is_not_tested_is_found(text: str, problem: str) -> None:
    """Each way to leave a block out of the tests is reported."""
    assert any(problem in found for found in untested_blocks(Page("docs/example.md", text)))


def test_a_marked_block_passes() -> None:
    """A page with a marked block of commands and an example in JSON has no problem."""
    page = Page("docs/example.md", "# A page\n\n<!-- runs: bash -->\n```sh\nls\n```\n\n```json\n{}\n```\n")

    assert untested_blocks(page) == []
    assert [(str(block), block.runs, block.text) for block in page.blocks] == [
        ("docs/example.md:4", "bash", "ls\n"),
        ("docs/example.md:8", None, "{}\n"),
    ]
