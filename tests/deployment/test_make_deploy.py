"""The commands of `make deploy` and `make diff`, run by the real SAM CLI: which configuration they read and write."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import boto3
import pytest

from sandbox.template import ROOT
from tests.deployment.emulator import REGION, MiniStack, without_aws
from tests.deployment.stack import SAM

pytestmark = pytest.mark.xdist_group("ministack")

TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters: {ImageRetentionDays: {Type: Number, Default: 7}}
Resources: {Queue: {Type: AWS::SQS::Queue, Properties: {DelaySeconds: !Ref ImageRetentionDays}}}
"""

_OF_MAKE = frozenset({"MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS"})


class Checkout:
    """A folder with the Makefile, the SAM CLI and a small build."""

    def __init__(self, folder: Path, ministack: MiniStack) -> None:
        self.config = folder / "samconfig.toml"
        self._folder = folder
        # The tests may themselves be run by make, whose variables would change what this make does and prints.
        variables = {name: value for name, value in os.environ.items() if name not in _OF_MAKE}
        self._variables = {**without_aws(variables), **ministack.variables, "SAM_CLI_TELEMETRY": "0"}
        for name in ("Makefile", "uv.lock", "pyproject.toml"):
            shutil.copy(ROOT / name, folder)
        (folder / ".venv-template/bin").mkdir(parents=True)
        (folder / ".venv-template/bin/sam").symlink_to(SAM)
        (folder / ".aws-sam/build").mkdir(parents=True)
        (folder / ".aws-sam/build/template.yaml").write_text(TEMPLATE)

    def make(self, target: str, answers: str = "") -> str:
        """Run the last command of a target, which comes after the build, and answer its questions."""
        command = self._run("make", "-n", target).splitlines()[-1]
        return self._run("sh", "-c", command, answers=answers)

    def queues(self) -> list[str]:
        """The URLs of all queues: a deployment would make one."""
        names = {"aws_access_key_id": "AWS_ACCESS_KEY_ID", "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY"}
        keys: Any = {name: self._variables[variable] for name, variable in names.items()}
        sqs = boto3.Session(region_name=REGION, **keys).client("sqs", endpoint_url=self._variables["AWS_ENDPOINT_URL"])
        return list(sqs.list_queues().get("QueueUrls", []))

    def _run(self, *command: str, answers: str = "") -> str:
        done = subprocess.run(  # noqa: S603 - ours
            command, cwd=self._folder, env=self._variables, input=answers, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture
def checkout(tmp_path: Path, ministack: MiniStack) -> Checkout:
    return Checkout(tmp_path, ministack)


def deployed(output: str) -> tuple[str, dict[str, str]]:
    """The stack and the parameters that the SAM CLI says it deploys."""
    found = re.search(r"Stack name +: (.*)\n(?s:.*)Parameter overrides +: (.*)\n", output)
    assert found, output
    return found[1], json.loads(found[2])


# No change is executed, because the SAM CLI waits for half a minute until it looks whether a change is done.


def test_the_answers_of_the_first_deployment_are_remembered(checkout: Checkout) -> None:
    """They are in samconfig.toml, where the next deployment finds them, and `make diff` too, which changes nothing."""
    # Stack, region, parameter; show changes, create roles, no rollback; save, and where; do not make the changes.
    output = checkout.make("deploy", "guided\neu-central-1\n8\ny\ny\nn\ny\n\n\nn\n")
    assert deployed(output) == ("guided", {"ImageRetentionDays": "8"})

    for output in (checkout.make("deploy", "n\n"), checkout.make("diff")):
        assert deployed(output) == ("guided", {"ImageRetentionDays": "8"})
        assert re.search(r"\+ Add +Queue ", output)
    assert checkout.queues() == []


def test_the_example_configures_a_deployment(checkout: Checkout) -> None:
    """Copied without a change, it needs one answer."""
    shutil.copy(ROOT / "samconfig.toml.example", checkout.config)

    stack, parameters = deployed(checkout.make("deploy", "n\n"))

    assert (stack, parameters["ImageRetentionDays"]) == ("image-gateway", "30")
