"""`.ci/run`, with a `make` that does nothing."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from sandbox.template import ROOT

# The check takes until the tests have ended, so that both run at the same time or never end.
MAKE = """#!/bin/sh
echo "$*" >> calls
case "$*" in
    *environments) exit ${ENVIRONMENTS:-0} ;;
    check) while [ ! -e tested ]; do sleep 0.01; done; echo "checked"; exit ${CHECK:-0} ;;
    test) echo "collected"; touch tested; echo "1 passed"; exit ${TEST:-0} ;;
esac
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with `.ci/run`, and with a `make` of ours in `bin`."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci")
    (tmp_path / "bin").mkdir()
    make = tmp_path / "bin/make"
    make.write_text(MAKE)
    make.chmod(0o755)
    return tmp_path


def run(clone: Path, **statuses: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{clone}/bin:{os.environ['PATH']}", **statuses}
    return subprocess.run(  # noqa: S603 - ours
        [clone / ".ci/run"], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_check_and_tests_run_at_the_same_time(clone: Path) -> None:
    """The output is the check's, then the tests', whose last line is the last one."""
    done = run(clone)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "checked\ncollected\n1 passed\n"
    assert sorted((clone / "calls").read_text().splitlines()[1:]) == ["check", "test"]


@pytest.mark.parametrize("failing", ["CHECK", "TEST"])
def test_a_failure_of_either_fails_the_whole(clone: Path, failing: str) -> None:
    """The other one goes on to its end, and the tests' last line is still the last one."""
    done = run(clone, **{failing: "2"})

    assert done.returncode != 0
    assert done.stdout == "checked\ncollected\n1 passed\n"
    assert ("make check failed" in done.stderr) is (failing == "CHECK")


def test_nothing_runs_in_environments_that_could_not_be_set_up(clone: Path) -> None:
    """It ends with the status of the set-up."""
    done = run(clone, ENVIRONMENTS="2")

    assert (done.returncode, done.stdout) == (2, "")
    assert len((clone / "calls").read_text().splitlines()) == 1
