"""`python -m sandbox` as a process of its own."""

import os
import subprocess
import sys
from typing import IO, Any

import httpx

from sandbox.template import ROOT

MAX_WAIT_SECONDS = 60


class SandboxProcess:
    """A sandbox that says `ready`, and the lines that it said before."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process = process
        self.lines: list[str] = []
        for line in process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line == "ready\n":
                return
        raise AssertionError(f"never ready: {self.lines}")

    def printed(self, label: str) -> str:
        """What stands after a label."""
        (found,) = [line.removeprefix(label).strip() for line in self.lines if line.startswith(label)]
        return found

    def request(self, method: str, path: str, role: str = "user", **options: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.said(f'{role} token')}"}
        url = self.printed("gateway") + path
        return httpx.request(method, url, headers=headers, timeout=MAX_WAIT_SECONDS, trust_env=False, **options)

    def end(self, number: int) -> int:
        """Send a signal and give the exit status."""
        self.process.send_signal(number)
        return self.process.wait(MAX_WAIT_SECONDS)


def environment(**variables: str) -> dict[str, str]:
    return {**os.environ, "ADMIN_TOKEN": "", "USER_TOKEN": "", "PYTHONUNBUFFERED": "1", **variables}


def start(log: IO[bytes] | int, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """Start it; what it and its functions log goes to `log`."""
    return subprocess.Popen(  # noqa: S603 - the sandbox
        [sys.executable, "-m", "sandbox", *arguments],
        cwd=ROOT,
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )


def spawn(*arguments: str, **variables: str) -> subprocess.Popen[str]:
    """Start it with its log in a pipe, which holds what few requests log and no more."""
    return start(subprocess.PIPE, *arguments, **variables)
