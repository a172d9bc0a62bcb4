"""Builds of the template, each made once for the tests of one process."""

import json
from pathlib import Path
from typing import Any

import awslambdaric
import pytest

from sandbox.template import ROOT
from tests.template.build_artifact import MACHINE, PYTHON, Artifact, build, run

# What Lambda's runtime has before a function and its layers: its runtime client and boto3, with their dependencies.
RUNTIME = (
    "awslambdaric",
    "boto3",
    "botocore",
    "dateutil",
    "jmespath",
    "runtime_client*.so",
    "s3transfer",
    "simplejson",
    "six.py",
    "snapshot_restore_py.py",
    "urllib3",
)


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The build for this machine and this interpreter."""
    runtime = tmp_path_factory.mktemp("runtime")
    packages = Path(awslambdaric.__file__).parent.parent
    for pattern in RUNTIME:
        (package,) = packages.glob(pattern)
        (runtime / package.name).symlink_to(package)
    return Artifact(build(tmp_path_factory.mktemp("artifact"), PYTHON, MACHINE), runtime)


@pytest.fixture(scope="session")
def arm64_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The build that is deployed by default."""
    if run("make", "--silent", "lambda-python").returncode:
        pytest.skip("Python 3.13 is not installed (make lambda-python), so the build for Lambda is not tested")
    return build(tmp_path_factory.mktemp("arm64"), "3.13", "arm64")


@pytest.fixture(scope="session")
def translated_resources(artifact: Artifact) -> dict[str, Any]:
    """The resources that SAM passes to CloudFormation for the built template."""
    python = ROOT / ".venv-template/bin/python"
    program = ROOT / "tests/template/sam_translation.py"
    done = run(str(python), str(program), str(artifact.folder / "template.yaml"))
    assert done.returncode == 0, done.stderr
    resources: dict[str, Any] = json.loads(done.stdout)["Resources"]
    return resources
