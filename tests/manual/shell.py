"""Runs a block as a reader's shell would, except that it stops at the first failure."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.manual.pages import Block

TIMEOUT_SECONDS = 60


def run_in_bash(block: Block, folder: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a block in a folder, with further environment variables; the test is skipped where a program is missing."""
    programs = ["bash", *(name for name in ("curl", "jq") if re.search(rf"\b{name}\b", block.text))]
    missing = [name for name in programs if not shutil.which(name)]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}")
    return subprocess.run(  # noqa: S603 - our own manual
        ["bash", "-euo", "pipefail", *options, "-c", block.text],  # noqa: S607 - as the reader's is found
        cwd=folder,
        env={**os.environ, "NO_PROXY": "*", **variables},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
