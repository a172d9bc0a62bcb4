"""The command that creates a token directly in the deployment's table."""

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path

import boto3
import pytest
from botocore.exceptions import ClientError

from image_gateway.access import issue_token
from image_gateway.access.principals import Role
from image_gateway.access.tokens import TokenAuthenticator
from image_gateway.aws import Aws
from image_gateway.event_loop import run
from image_gateway.settings import Settings
from sandbox.template import ROOT


def create_stack(outputs: dict[str, str]) -> str:
    """Create a stack with these outputs, and return its name."""
    name = f"stack-{uuid.uuid4().hex[:12]}"
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {}}},
        "Outputs": {key: {"Value": value} for key, value in outputs.items()},
    }
    boto3.client("cloudformation").create_stack(StackName=name, TemplateBody=json.dumps(template))
    return name


@pytest.fixture
def stack(settings: Settings) -> str:
    """A stack with the template's outputs, for a deployment on embedded AWS."""
    return create_stack(
        {
            "TableName": settings.table,
            "BucketName": settings.bucket,
            "ConfigParameterName": settings.config_parameter,
        }
    )


@pytest.mark.parametrize("role", Role)
def test_an_issued_token_authenticates(stack: str, aws: Aws, settings: Settings, role: Role) -> None:
    """The token that is issued for a stack authenticates there at once, with the given role and name."""
    token = issue_token.issue(stack, role, "my laptop")

    principal = run(TokenAuthenticator(aws, settings).authenticate(token))
    assert principal is not None
    assert (principal.role, principal.name) == (role, "my laptop")


@pytest.mark.usefixtures("settings")
def test_an_unknown_stack_is_an_error() -> None:
    """A stack that does not exist is AWS's error, which names the stack."""
    with pytest.raises(ClientError, match="no-such-stack"):
        issue_token.issue("no-such-stack", Role.ADMIN, "x")


@pytest.mark.usefixtures("settings")
def test_a_stack_that_is_no_deployment_is_an_error() -> None:
    """A stack without the outputs of the template is an error that says so."""
    name = create_stack({})

    with pytest.raises(LookupError, match=f"{name} has no output TableName"):
        issue_token.issue(name, Role.ADMIN, "x")


def test_the_command_prints_the_token(
    stack: str, aws: Aws, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command prints only the token, which without `--role` is an administrator's."""
    monkeypatch.setattr(sys, "argv", ["issue_token", "--stack", stack])

    issue_token.main()

    principal = run(TokenAuthenticator(aws, settings).authenticate(capsys.readouterr().out.strip()))
    assert principal is not None
    assert principal.role is Role.ADMIN


def test_the_command_limits_the_token(
    stack: str, aws: Aws, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command takes names of engines, models, connections and routes."""
    limits = ["--routes", "poster", "draft", "--connections", "gpu-1"]
    monkeypatch.setattr(sys, "argv", ["issue_token", "--stack", stack, "--role", "user", *limits])

    issue_token.main()

    principal = run(TokenAuthenticator(aws, settings).authenticate(capsys.readouterr().out.strip()))
    assert principal is not None
    assert (principal.engines, principal.models) == (None, None)
    assert (principal.routes, principal.connections) == (frozenset({"poster", "draft"}), frozenset({"gpu-1"}))


def test_the_command_requires_a_stack(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the name of a stack, the error shows how to pass it."""
    monkeypatch.setattr(sys, "argv", ["issue_token", "--stack", ""])

    with pytest.raises(SystemExit, match="2"):
        issue_token.main()

    assert "make token STACK=image-gateway" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "role", "name"),
    [
        ((), "admin", "admin"),
        (("ROLE=user",), "user", "user"),
        (("ROLE=user", 'NAME=Ann\'s "laptop"'), "user", 'Ann\'s "laptop"'),
    ],
)
def test_make_passes_arguments_to_the_command(tmp_path: Path, arguments: tuple[str, ...], role: str, name: str) -> None:
    """`make token` passes stack, role and name unchanged; the default name is the role's."""
    recorder = tmp_path / "python"
    recorder.write_text(f"#!{sys.executable}\nimport json, sys\nprint(json.dumps(sys.argv[1:]))\n")
    recorder.chmod(0o755)
    command = [
        "/usr/bin/env",
        "make",
        "-s",
        "-o",
        ".venv/.sandbox",
        f"PY={recorder}",
        "token",
        "STACK=gateway",
        *arguments,
    ]
    environ = {key: os.environ[key] for key in ("PATH",)}

    process = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=True)  # noqa: S603 - make

    assert json.loads(process.stdout) == [
        *("-m", "image_gateway.access.issue_token"),
        *("--stack", "gateway"),
        *("--role", role),
        *("--name", name),
    ]
