"""Builds of the template, each made once for the same sources."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from sandbox.template import ROOT
from tests.template.build_artifact import (
    LAMBDA_PYTHON,
    MACHINE,
    Artifact,
    cached_build,
    lambda_python,
    run,
    runtime_packages,
)


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The build for this machine and the functions' Python; where that is not installed, for this interpreter."""
    found = lambda_python()
    python, version = (
        (found, LAMBDA_PYTHON) if found else (sys.executable, f"{sys.version_info.major}.{sys.version_info.minor}")
    )
    runtime = runtime_packages(tmp_path_factory.mktemp("artifact"), python)
    return Artifact(cached_build(version, MACHINE), runtime, python, version)


@pytest.fixture(scope="session")
def arm64_build() -> Path:
    """The build that is deployed by default."""
    if not lambda_python():
        pytest.skip("Python 3.13 is not installed (make lambda-python), so the build for Lambda is not tested")
    return cached_build(LAMBDA_PYTHON, "arm64")


@pytest.fixture(scope="session")
def translated_resources(artifact: Artifact) -> dict[str, Any]:
    """The resources that SAM passes to CloudFormation for the built template."""
    python = ROOT / ".venv-template/bin/python"
    program = ROOT / "tests/template/sam_translation.py"
    done = run(str(python), str(program), str(artifact.folder / "template.yaml"))
    assert done.returncode == 0, done.stderr
    resources: dict[str, Any] = json.loads(done.stdout)["Resources"]
    return resources
