"""The manual's `make` commands are ones of the Makefile. They are not run here: each has tests of its own."""

import os
import re
import shlex
import subprocess
from functools import cache

import pytest

from sandbox.template import ROOT, Template
from tests.manual.pages import Block, Page, blocks_that_run, tables

MAKEFILE = (ROOT / "Makefile").read_text("utf-8")


def make_problems(block: Block) -> list[str]:
    """What is wrong with a block's `make` commands: targets, variables, or that `make -n` refuses them."""
    return [problem for statement in block.statements() for problem in _problems(statement)]


@cache
def _problems(statement: str) -> list[str]:
    words = shlex.split(statement, comments=True)
    before, after = words[: words.index("make")], words[words.index("make") + 1 :]
    targets = [word for word in after if "=" not in word]
    given = dict(word.split("=", 1) for word in after if "=" in word)
    # As the Makefile does it: `make run` passes these on to the sandbox.
    parameters = {name: value for name, value in given.items() if targets == ["run"] and not name.isupper()}
    variables = [name for name in (*(word.partition("=")[0] for word in before), *given) if name not in parameters]
    problems = [
        f"make {target} is not in the Makefile's list"
        for target in targets
        if not re.search(rf"^{re.escape(target)}:.*## ", MAKEFILE, re.MULTILINE)
    ]
    problems += [
        f"{name} means nothing to the Makefile" for name in variables if not re.search(rf"\b{name}\b", MAKEFILE)
    ]
    problems += Template(parameters=parameters).refusals()
    if problems:
        return problems
    done = subprocess.run(  # noqa: S603 - dry
        ["make", "-n", *after],  # noqa: S607 - it is what the reader types
        cwd=ROOT,
        env={**os.environ, **dict(word.split("=", 1) for word in before)},
        capture_output=True,
        text=True,
        check=False,
    )
    return [done.stderr] if done.returncode else []


@pytest.mark.parametrize("block", blocks_that_run("make"), ids=str)
def test_make_commands_are_in_the_makefile(block: Block) -> None:
    """The targets are in its list, it uses the variables, and `make -n` accepts both."""
    assert make_problems(block) == []


def test_the_table_of_targets_has_every_target() -> None:
    """The page on development lists what `make help` lists."""
    table = tables(Page.read("docs/development.md").section("Commands"))[0]

    targets = re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE)

    assert sorted(table.names()) == sorted(f"make {target}" for target in targets if target != "help")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("make nothing", "make nothing is not in the Makefile's list"),
        ("make lambda-python", "make lambda-python is not in the Makefile's list"),
        ("make test nothing", "make nothing is not in the Makefile's list"),
        ("make demo NOTHING=1", "NOTHING means nothing to the Makefile"),
        ("NOTHING=1 make demo", "NOTHING means nothing to the Makefile"),
        ("make demo UrlExpirySeconds=60", "UrlExpirySeconds means nothing to the Makefile"),
        ("make run Nothing=1", "The template has no parameter Nothing"),
        ("make run UrlExpirySeconds=1", "UrlExpirySeconds must not be less than 60"),
    ],
)
def test_a_make_command_that_does_not_exist_is_found(text: str, problem: str) -> None:
    """Targets that `make help` does not list, unused variables and refused template parameters are reported."""
    assert make_problems(Block("docs/example.md", 1, "```sh", "sh", "make", f"make demo\n{text}\n")) == [problem]
