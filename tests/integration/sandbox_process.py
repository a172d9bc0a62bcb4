"""`python -m sandbox` as a process."""

import os
import subprocess
import sys
from typing import IO, Any

import httpx

from sandbox.template import ROOT
from tests import web

MAX_WAIT_SECONDS = 60


class SandboxProcess:
    """A sandbox that has printed `ready`, and the lines that it printed before."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.process = process
        self.lines: list[str] = []
        for line in process.stdout:
            self.lines.append(line.rstrip("\n"))
            if line == "ready\n":
                return
        raise AssertionError(f"the sandbox did not become ready: {self.lines}")

    def printed(self, label: str) -> str:
        """Return the text after a label of the printed lines."""
        (found,) = [line.removeprefix(label).strip() for line in self.lines if line.startswith(label)]
        return found

    def request(self, method: str, path: str, role: str = "user", **options: Any) -> httpx.Response:
        """Send a request with the token of a role."""
        headers = {"Authorization": f"Bearer {self.printed(f'{role} token')}"}
        url = self.printed("gateway") + path
        return web.request(method, url, headers=headers, timeout=MAX_WAIT_SECONDS, trust_env=False, **options)

    def stop(self, number: int) -> int:
        """Send a signal and return the exit status."""
        self.process.send_signal(number)
        return self.process.wait(MAX_WAIT_SECONDS)


def environment(**variables: str) -> dict[str, str]:
    """Return the environment for a sandbox's process: these variables, and no tokens of the caller's."""
    return {**os.environ, "ADMIN_TOKEN": "", "USER_TOKEN": "", "PYTHONUNBUFFERED": "1", **variables}


def start(log: IO[bytes] | int, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """Start a sandbox's process; it and its functions log to `log`."""
    return subprocess.Popen(  # noqa: S603 - the sandbox
        [sys.executable, "-m", "sandbox", *arguments],
        cwd=ROOT,
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )


def start_with_piped_log(*arguments: str, **variables: str) -> subprocess.Popen[str]:
    """Start a sandbox's process with its log in a pipe, which holds the log of a few requests only."""
    return start(subprocess.PIPE, *arguments, **variables)
