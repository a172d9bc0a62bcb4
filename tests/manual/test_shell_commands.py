"""Commands of the manual that need nothing but a shell work."""

from pathlib import Path

import pytest

from tests.manual.pages import Block, blocks_that_run
from tests.manual.shell import run_in_bash


@pytest.mark.parametrize("block", blocks_that_run("bash"), ids=str)
def test_commands_succeed_in_a_shell(block: Block, folder: Path) -> None:
    """Every command ends with success."""
    done = run_in_bash(block, folder)

    assert done.returncode == 0, done.stderr


def test_a_command_that_fails_is_found(folder: Path) -> None:
    """A failure ends the block, and is its exit status."""
    block = Block("docs/example.md", 1, "```sh", "sh", "bash", "false\ntouch reached\n")

    assert run_in_bash(block, folder).returncode != 0
    assert not (folder / "reached").exists()
