"""`.ci/run`, with a `make` that does nothing, and how make itself runs targets at the same time."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from sandbox.template import ROOT

MAKE = """#!/bin/sh
echo "$*" >> calls
case "$*" in
    *lambda-python) exit ${PYTHON313:-0} ;;
    *) echo "made"; exit ${MADE:-0} ;;
esac
"""

# The targets end when all have begun, or after 30 seconds: then what they wait for has not begun at the same time.
MAKEFILE = """
until = for i in $$(seq 3000); do [ ! -e $(1) ] || break; sleep 0.01; done; [ -e $(1) ] || exit 1
check: lint
	@touch check-began; echo checked
lint:
	@$(call until,test-began); $(call until,deploy-local-began); echo linted; exit $(LINT)
test:
	@touch test-began; $(call until,$(BEFORE_THE_END)); echo tested
deploy-local:
	@touch deploy-local-began; $(call until,$(BEFORE_THE_END)); echo deployed
lambda-python:
	@echo python3.13
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with `.ci/run`."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/run", tmp_path / ".ci")
    (tmp_path / "Makefile").write_text(MAKEFILE)
    return tmp_path


@pytest.fixture
def idle_make(clone: Path) -> Path:
    """The file with the calls of a `make` of ours."""
    (clone / "bin").mkdir()
    make = clone / "bin/make"
    make.write_text(MAKE)
    make.chmod(0o755)
    return clone / "calls"


def run(clone: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{clone}/bin:{os.environ['PATH']}", **variables}
    return subprocess.run(  # noqa: S603 - ours
        [clone / ".ci/run"], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.mark.parametrize("status", ["0", "2"])
def test_the_status_is_that_of_all_targets(clone: Path, idle_make: Path, status: str) -> None:
    """They are the check, the tests and the deployment, in one call."""
    done = run(clone, MADE=status)

    assert (done.returncode, done.stdout, done.stderr) == (int(status), "made\n", "")
    _, call = idle_make.read_text().splitlines()
    assert call.endswith(" check test deploy-local")


def test_the_deployment_is_skipped_with_a_reason_without_the_functions_python(clone: Path, idle_make: Path) -> None:
    """The first line says so, and the rest decides the status."""
    done = run(clone, PYTHON313="1")

    assert done.returncode == 0
    assert done.stdout.startswith("make deploy-local is skipped: the functions' version of Python")
    assert idle_make.read_text().splitlines()[1].endswith(" check test")


def test_check_tests_and_deployment_run_at_the_same_time(clone: Path) -> None:
    """Each starts when what it needs is there, whatever the others do."""
    done = run(clone, LINT="0", BEFORE_THE_END="check-began")

    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(done.stdout.splitlines()) == ["checked", "deployed", "linted", "tested"]


def test_the_others_go_on_after_a_failure(clone: Path) -> None:
    """The status is that of the failure."""
    done = run(clone, LINT="1", BEFORE_THE_END="test-began")

    assert done.returncode == 2
    assert sorted(done.stdout.splitlines()) == ["deployed", "linted", "tested"]
    assert "[Makefile:6: lint] Error 1" in done.stderr
