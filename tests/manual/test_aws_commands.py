"""The manual's commands that need an AWS account cannot be run, but are well-formed."""

import itertools
import json
import os
import re
import shlex
import string
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore import xform_name

from sandbox.template import ROOT, Template
from tests.manual.pages import Block, blocks_that_run
from tests.manual.shell import run_in_bash

pytestmark = pytest.mark.xdist_group("manual-aws")

AWS_BLOCKS = blocks_that_run("aws")
SAM = ".venv-template/bin/sam"

NEEDS_AWS = {
    f"{SAM} deploy": "makes a stack in an AWS account",
    f"{SAM} delete": "removes a stack",
    f"{SAM} list stack-outputs": "describes a stack",
    "aws ssm get-parameter-history": "reads a deployment's parameter",
    "aws ssm get-parameter": "reads a deployment's parameter",
    "aws ssm put-parameter": "writes a deployment's parameter",
    "aws ssm delete-parameter": "removes a deployment's parameter",
    "aws sqs send-message": "sends to a deployment's queue",
    "aws events put-events": "puts an event on an account's bus",
    "aws s3api put-object": "writes a deployment's bucket",
    "aws s3api list-objects-v2": "lists a deployment's bucket",
    "aws s3api get-object": "reads a deployment's bucket",
}
"""Commands that no test can run, and why."""

BESIDE_AWS = ("umask", "rm")
"""Commands that may stand between them."""

AWS_CLI_OPTIONS = ("--query", "--output", "--region", "--profile")
"""Options that every command of the AWS CLI has."""

AWS_CLI_SERVICES = {"s3api": "s3"}
"""Services whose name in the AWS CLI is not botocore's."""


_HELP = """
import json, sys
from click.testing import CliRunner
from samcli.cli.main import cli

print(json.dumps([CliRunner().invoke(cli, [*words.split(), "--help"]).output for words in sys.argv[1:]]))
"""


def aws_problems(block: Block) -> list[str]:
    """What is wrong with a block's commands: unknown ones, unknown or missing options, impossible values."""
    problems = []
    variables: dict[str, str] = {}
    for line in block.statements():
        statement = string.Template(line).safe_substitute(variables)
        if assignment := re.match(r"([A-Z]+)=(.*)", statement):
            variables[assignment[1]] = assignment[2]
            continue
        if statement.split()[0] in BESIDE_AWS:
            continue
        command = _command(statement)
        if command is None:
            problems.append(f"{statement} is not in NEEDS_AWS")
            continue
        words = shlex.split(statement)[len(command.split()) :]
        problems += (_aws_problems if command.startswith("aws ") else _sam_problems)(command, words)
    return problems


def _command(statement: str) -> str | None:
    known = [command for command in NEEDS_AWS if f"{statement} ".startswith(f"{command} ")]
    return max(known, key=len, default=None)


def _aws_problems(command: str, words: list[str]) -> list[str]:
    """Compare with the service's own description, which comes with botocore."""
    shape = _input_shape(command)
    members = {f"--{xform_name(member, '-')}": member for member in shape.members}
    given = [word for word in words if word.startswith("--")]
    problems = [f"{command} has no option {option}" for option in given if option not in (*members, *AWS_CLI_OPTIONS)]
    required = [f"--{xform_name(member, '-')}" for member in shape.required_members]
    problems += [f"{command} needs {option}" for option in required if option not in given]
    for option, value in itertools.pairwise(words):
        allowed = getattr(shape.members[members[option]], "enum", []) if option in members else []
        if allowed and value not in allowed:
            problems.append(f"{option} cannot be {value}")
    return problems


@cache
def _input_shape(command: str) -> Any:
    _, service, operation = command.split()
    model = botocore.session.get_session().get_service_model(AWS_CLI_SERVICES.get(service, service))
    (name,) = [name for name in model.operation_names if xform_name(name, "-") == operation]
    return model.operation_model(name).input_shape


def _sam_problems(command: str, words: list[str]) -> list[str]:
    """Compare with SAM CLI's own help; overridden parameters are ones of the template, which accepts their values."""
    options = [word for word in words if word.startswith("--")]
    problems = [
        f"{command} has no option {option}"
        for option in options
        if not re.search(rf"(?<![\w-]){option}(?![\w-])", _sam_help()[command])
    ]
    given = dict(word.split("=", 1) for word in words if "=" in word and word not in options)
    return problems + Template(parameters=given).refusals()


@cache
def _sam_help() -> dict[str, str]:
    """What SAM CLI says to `--help`, by command. One process for all of them, since it starts slowly."""
    commands = [command for command in NEEDS_AWS if command.startswith(SAM)]
    done = subprocess.run(  # noqa: S603 - our own tool
        [(ROOT / SAM).with_name("python"), "-c", _HELP, *(command.removeprefix(SAM) for command in commands)],
        env={**os.environ, "SAM_CLI_TELEMETRY": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(zip(commands, json.loads(done.stdout), strict=True))


@pytest.mark.parametrize("block", AWS_BLOCKS, ids=str)
def test_aws_commands_are_well_formed(block: Block, folder: Path) -> None:
    """They are on the list of those that no test can run, bash can read them, and their options exist."""
    assert run_in_bash(block, folder, "-n").stderr == ""
    assert aws_problems(block) == []


def test_every_command_that_needs_aws_is_in_the_manual() -> None:
    """The list has no command that the manual does not use."""
    used = {_command(statement) for block in AWS_BLOCKS for statement in block.statements()}

    assert used - {None} == NEEDS_AWS.keys()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("aws iam create-user", "aws iam create-user is not in NEEDS_AWS"),
        ("curl https://example.com", "curl https://example.com is not in NEEDS_AWS"),
        ("aws ssm delete-parameter --name x --force", "aws ssm delete-parameter has no option --force"),
        ("aws ssm delete-parameter", "aws ssm delete-parameter needs --name"),
        ("aws ssm put-parameter --name x --value y --type Secret", "--type cannot be Secret"),
        (f"{SAM} deploy --nothing", f"{SAM} deploy has no option --nothing"),
        (f"{SAM} deploy --parameter-overrides Nothing=1", "The template has no parameter Nothing"),
        (f"{SAM} deploy --parameter-overrides FetchAllowedHosts=fd00::1", "FetchAllowedHosts must be hosts"),
        (f"{SAM} deploy --parameter-overrides FunctionUrl=true", "GenerateConcurrency"),
    ],
)
def test_an_aws_command_that_is_wrong_is_found(text: str, problem: str) -> None:
    """Unknown commands, options and parameters, missing options and refused values are reported."""
    problems = aws_problems(Block("docs/example.md", 1, "```sh", "sh", "aws", f"{text}\n"))

    assert any(problem in found for found in problems)


def test_a_block_that_bash_cannot_read_is_found(folder: Path) -> None:
    """A quote that is not closed is reported, also on a later line."""
    block = Block("docs/example.md", 1, "```sh", "sh", "aws", "rm x\naws ssm delete-parameter --name 'x\n")

    assert "unexpected EOF" in run_in_bash(block, folder, "-n").stderr
