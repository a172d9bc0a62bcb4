"""Processes of a sandbox, and its command line."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.__main__ import main
from tests.integration.sandbox_process import SandboxProcess, environment


def descendants(pid: int) -> set[int]:
    """Return the processes that a process has started, directly or indirectly, as Linux knows them."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):  # the process has ended
            continue
    found: set[int] = set()
    while more := {child for child, parent in parents.items() if parent in found | {pid}} - found:
        found |= more
    return found


def is_running(pid: int) -> bool:
    """Whether a process exists."""
    return Path(f"/proc/{pid}").exists()


StartProcess = Callable[..., subprocess.Popen[str]]


@dataclass(frozen=True)
class LoggedSandbox:
    """A sandbox, and its log at the time when it was ready."""

    sandbox: SandboxProcess
    log_when_ready: str


def command_line(monkeypatch: pytest.MonkeyPatch, *arguments: str, **variables: str) -> None:
    """Run `python -m sandbox` in this process, for commands that fail before anything is started."""
    monkeypatch.setattr("sys.argv", ["sandbox", *arguments])
    for name, value in environment(**variables).items():
        monkeypatch.setenv(name, value)
    main()
