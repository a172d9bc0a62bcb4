"""Nothing of MiniStack remains, however its user ends."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from sandbox.template import ROOT
from tests.deployment import emulator
from tests.deployment.emulator import MiniStack
from tests.polling import wait_until

pytestmark = [
    pytest.mark.xdist_group("ministack"),
    pytest.mark.skipif(
        not emulator.PYTHON.exists(), reason="MiniStack is not installed, because Python 3.13 is missing"
    ),
]

USER = """
import sys, time
from pathlib import Path
from tests.deployment.emulator import MiniStack
with MiniStack(Path(sys.argv[1])) as ministack:
    print(ministack.url, flush=True)
    time.sleep(600)
"""


def responds(url: str) -> bool:
    try:
        return httpx.get(f"{url}/_ministack/health").is_success
    except httpx.TransportError:
        return False


def test_nothing_remains_after_a_failure(tmp_path: Path) -> None:
    """Its processes and its folder are gone when the block has ended."""
    ministack = MiniStack(tmp_path / "log")

    with contextlib.suppress(KeyboardInterrupt), ministack:
        assert ministack.folder.is_dir()
        assert responds(ministack.url)
        raise KeyboardInterrupt

    assert not ministack.folder.exists()
    assert not responds(ministack.url)


def test_it_ends_with_its_parent(tmp_path: Path) -> None:
    """A parent that is killed cannot stop it, so it notices that by itself."""
    command = [sys.executable, "-c", USER, str(tmp_path / "log")]
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(  # noqa: S603 - the program above
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        assert parent.stdout
        url = parent.stdout.readline().strip()
        assert responds(url)
        parent.send_signal(signal.SIGKILL)

    wait_until(lambda: not responds(url))


def test_an_operator_s_own_aws_is_not_used() -> None:
    """A profile would not be found, and an endpoint would be that of another AWS."""
    variables = {"PATH": "/bin", "AWS_PROFILE": "work", "AWS_ENDPOINT_URL_S3": "https://s3", "SAM_TEMPLATE_FILE": "x"}

    assert emulator.without_aws(variables) == {"PATH": "/bin"}


def test_it_is_reached_without_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where others than it are exceptions, which the build may need."""
    monkeypatch.setenv("NO_PROXY", "packages.example")
    monkeypatch.delenv("no_proxy", raising=False)

    assert MiniStack(tmp_path / "log").variables["NO_PROXY"] == "packages.example,127.0.0.1"
