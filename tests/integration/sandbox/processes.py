"""Processes of a sandbox, and its command line."""

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.__main__ import main
from tests.integration.sandbox_process import SandboxProcess, environment


def descendants(pid: int) -> set[int]:
    """The processes that a process has started, and those that they have, as Linux knows them."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):  # it ended meanwhile
            continue
    found: set[int] = set()
    while more := {child for child, parent in parents.items() if parent in found | {pid}} - found:
        found |= more
    return found


def running(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.02)


Spawn = Callable[..., subprocess.Popen[str]]


@dataclass(frozen=True)
class Logging:
    """A sandbox, and what had been logged when it was ready."""

    sandbox: SandboxProcess
    logged: str


def command_line(monkeypatch: pytest.MonkeyPatch, *arguments: str, **variables: str) -> None:
    """Run `python -m sandbox` in this process, for what ends before anything is started."""
    monkeypatch.setattr("sys.argv", ["sandbox", *arguments])
    for name, value in environment(**variables).items():
        monkeypatch.setenv(name, value)
    main()
