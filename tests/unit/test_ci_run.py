"""`.ci/run`, with a `make` that does nothing."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from sandbox.template import ROOT

# The check and the tests take until the deployment has ended, and that until they have begun, so that all three run at
# the same time or never end.
MAKE = """#!/bin/sh
echo "$*" >> calls
case "$*" in
    *environments) exit ${ENVIRONMENTS:-0} ;;
    *lambda-python) exit ${PYTHON313:-0} ;;
    deploy-local)
        while [ ! -e checking ] || [ ! -e testing ]; do sleep 0.01; done
        echo "deployed"; touch deployed; exit ${DEPLOY:-0} ;;
    check)
        touch checking
        while [ "${PYTHON313:-0}" = 0 ] && [ ! -e deployed ]; do sleep 0.01; done
        echo "checked"; exit ${CHECK:-0} ;;
    test)
        echo "collected"; touch testing
        while [ "${PYTHON313:-0}" = 0 ] && [ ! -e deployed ]; do sleep 0.01; done
        echo "1 passed"; exit ${TEST:-0} ;;
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


def test_check_tests_and_deployment_run_at_the_same_time(clone: Path) -> None:
    """The output is the check's, then the tests', then that of the deployment."""
    done = run(clone)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "checked\ncollected\n1 passed\ndeployed\n"
    calls = (clone / "calls").read_text().splitlines()
    assert "environments" in calls[0]
    assert sorted(calls[1:]) == ["--silent lambda-python", "check", "deploy-local", "test"]


@pytest.mark.parametrize("failing", ["CHECK", "TEST", "DEPLOY"])
def test_a_failure_of_any_fails_the_whole(clone: Path, failing: str) -> None:
    """The others go on to their ends."""
    done = run(clone, **{failing: "2"})

    assert done.returncode != 0
    assert done.stdout == "checked\ncollected\n1 passed\ndeployed\n"
    assert ("make check failed" in done.stderr) is (failing == "CHECK")


def test_the_deployment_is_skipped_with_a_reason_without_the_functions_python(clone: Path) -> None:
    """The last line says so, and the rest decides the status."""
    done = run(clone, PYTHON313="1")

    assert done.returncode == 0
    assert "make deploy-local is skipped: the functions' version of Python" in done.stdout.splitlines()[-1]
    assert "deploy-local" not in (clone / "calls").read_text().splitlines()


def test_nothing_runs_in_environments_that_could_not_be_set_up(clone: Path) -> None:
    """It ends with the status of the set-up."""
    done = run(clone, ENVIRONMENTS="2")

    assert (done.returncode, done.stdout) == (2, "")
    assert len((clone / "calls").read_text().splitlines()) == 1
