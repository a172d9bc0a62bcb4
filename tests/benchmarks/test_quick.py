"""`make bench` works. How fast things are is for whoever runs it to see, not for a test."""

import json
import subprocess
from pathlib import Path

import pytest

from sandbox.template import ROOT

pytestmark = [pytest.mark.xdist_group("bench"), pytest.mark.timeout(900)]


def make(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--silent", *words],  # noqa: S607 - as a developer has it
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_benchmarks_measure_all_parts(tmp_path: Path) -> None:
    """`make bench QUICK=1` ends with figures of every part, a table of them, and a plot."""
    if make("lambda-python").returncode:
        pytest.skip("no Python 3.13 here (make lambda-python): what is measured runs under Lambda's Python")

    done = make("bench", "QUICK=1", f"RESULTS={tmp_path}")

    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert set(results["cold_start"]) == {"none", "generate", "config", "jobs"}
    assert set(results["warm"]) == {"gateway", "usual", "engine itself"}
    assert len(results["memory"]["growth"]) == 3
    assert {row["way"] for row in results["bill"]["rows"]} == {"inline", "queued"}
    assert results["stored"]["images"] > 0
    assert (tmp_path / "results.md").read_text() in done.stdout
    assert (tmp_path / "results.png").read_bytes().startswith(b"\x89PNG")
