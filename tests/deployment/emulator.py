"""MiniStack as a process on a free port of 127.0.0.1, for the life of a block; nothing of it remains afterwards."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from sandbox.template import ROOT
from tests import web

PYTHON = ROOT / ".venv-ministack/bin/python"
REGION = "eu-central-1"
_START_SECONDS = 60.0
_POLL_SECONDS = 0.05


def without_aws(variables: Mapping[str, str]) -> dict[str, str]:
    """Return environment variables without those for AWS and the SAM CLI, such as an operator's profile or endpoint."""
    return {name: value for name, value in variables.items() if not name.startswith(("AWS_", "SAM_"))}


class MiniStack:
    """The emulator, with IAM enforced.

    Its temporary files, among them hundreds of megabytes of unpacked functions, are in a folder of their own, which is
    removed at the end. Its processes are in a group of their own, which is killed at the end.

    Args:
        log: the file for its output; the folder of temporary files is beside it.

    Attributes:
        url: its address.
        folder: its temporary files.
        variables: environment variables with which SDKs and the SAM CLI use it, as the root user of an account.
    """

    def __init__(self, log: Path) -> None:
        log.parent.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(prefix="ministack-", dir=log.parent.resolve()))
        self._decisions = self.folder / "decisions"
        self._decisions.touch()
        self._log = log
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        given = os.environ.get("no_proxy") or os.environ.get("NO_PROXY")
        no_proxy = f"{given},127.0.0.1" if given else "127.0.0.1"
        self.variables = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            # It is never reached by a proxy, which the build may need.
            "NO_PROXY": no_proxy,
            "no_proxy": no_proxy,
        }

    def __enter__(self) -> Self:
        """Start it, and wait until it is ready."""
        # Nothing of this process's environment: functions see MiniStack's variables.
        variables = {
            "AUTH": "true",
            # As in the sandbox: calls to AWS may take longer than in a deployment, because the computer may be busy.
            "AWS_TIME_LIMIT_FACTOR": "20",
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": str(self._port),
            "HOME": str(self.folder),
            "IOT_MTLS_ENABLED": "0",
            "LOG_LEVEL": "INFO",
            "MINISTACK_HOST": "127.0.0.1",
            "MINISTACK_REGION": REGION,
            "PATH": os.environ["PATH"],
            "PYTHONNOUSERSITE": "1",
            "SFTP_ENABLED": "0",
            "TMPDIR": str(self.folder),
        }
        command = [PYTHON, ROOT / "tests/deployment/environment/ministack_server.py", self._decisions]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                command,
                env=variables,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.folder,
            )
        try:
            self._wait()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Kill its processes and remove its folder."""
        self._stop()

    def api_url(self, api_id: str) -> str:
        """Return the base URL of an HTTP API. Not its host, at which MiniStack answers `/health` by itself."""
        return f"{self.url}/_aws/execute-api/{api_id}/$default"

    def decisions(self) -> list[dict[str, Any]]:
        """Return what functions were allowed (`function`, `sid`, `action`) and denied (`function`, `denied`) so far."""
        # A line that is being written has no end yet.
        return [json.loads(line) for line in self._decisions.read_text().splitlines(keepends=True) if line[-1] == "\n"]

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while True:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"MiniStack did not start: see {self._log}")
            with contextlib.suppress(httpx.TransportError):
                if web.get(f"{self.url}/_ministack/health", trust_env=False).is_success:
                    return
            time.sleep(_POLL_SECONDS)

    def _stop(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()
        # A process that was just killed may have created another file while the folder was removed.
        while self.folder.exists():
            shutil.rmtree(self.folder, ignore_errors=True)
