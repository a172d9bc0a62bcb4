"""`make bench` works. Its figures are not tested."""

import json
import subprocess
from pathlib import Path

import pytest

from sandbox.template import ROOT

pytestmark = [pytest.mark.xdist_group("bench"), pytest.mark.timeout(900)]


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["make", "--silent", *arguments],  # noqa: S607 - the developer's make
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_quick_benchmark_writes_all_results(tmp_path: Path) -> None:
    """`make bench QUICK=1` writes the figures of every part, prints them as tables, and writes a chart."""
    if make("lambda-python").returncode:
        pytest.skip("The benchmark needs Lambda's Python 3.13 (make lambda-python)")

    process = make("bench", "QUICK=1", f"RESULTS={tmp_path}")

    assert process.returncode == 0, process.stdout + process.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert {event: len(handlers) for event, handlers in results["cold_start"].items()} == {
        "none": 1,
        "generate": 4,
        "config": 2,
        "jobs": 2,
    }
    assert set(results["warm"]) == {"gateway", "usual", "engine itself"}
    assert len(results["memory"]["growth"]) == 3
    assert {row["mode"] for row in results["costs"]["rows"]} == {"inline", "queued"}
    assert results["stored"]["images"] > 0
    assert (tmp_path / "results.md").read_text() in process.stdout
    assert (tmp_path / "results.png").read_bytes().startswith(b"\x89PNG")
