"""A stack of the template, as `sam deploy` makes and updates it and `sam delete` removes it."""

import asyncio
import contextlib
import os
import shlex
import shutil
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3

from sandbox.template import ROOT, Template
from tests.deployment.emulator import without_aws

SAM = ROOT / ".venv-template/bin/sam"
_QUESTION = b"Deploy this changeset?"
_LONGEST_OUTPUT = 2**20
Confirm = Callable[[str], Awaitable[None]]


class DeploymentFailed(Exception):
    """A command of a deployment failed; the message has the end of its output."""


class Stack:
    """One stack, by its name.

    Args:
        name: the name; it need not exist yet.
        variables: environment variables that say where AWS is, and with which credentials it is used.
        log: the file to which the output of every command is added.

    It is deployed with `samconfig.toml.example`, whose region is that of the emulator.
    """

    def __init__(self, name: str, variables: Mapping[str, str], log: Path) -> None:
        self.name = name
        self._variables = {**without_aws(os.environ), **variables, "SAM_CLI_TELEMETRY": "0"}
        self._log = log

    async def deploy(self, build: Path, parameters: Mapping[str, str], confirm: Confirm | None = None) -> None:
        """Create or update the stack from what `make build` made.

        Args:
            build: the build.
            parameters: the template's parameters.
            confirm: if given, the SAM CLI asks before it changes anything: this is called with its list of changes, and
                the answer is yes unless it raises.

        Raises:
            DeploymentFailed: the stack was not created or updated.
        """
        # The SAM CLI reads no file that is called samconfig.toml.example.
        config = self._log.with_name("samconfig.toml")
        shutil.copyfile(ROOT / "samconfig.toml.example", config)
        overrides = [f"{name}={value}" for name, value in parameters.items()]
        command = (
            str(SAM), "deploy", "--config-file", str(config), "--template-file", str(build / "template.yaml"),
            "--stack-name", self.name, "--confirm-changeset" if confirm else "--no-confirm-changeset",
            "--no-progressbar", "--parameter-overrides", *overrides,
        )  # fmt: skip
        await self._run(command, {}, confirm)

    async def delete(self) -> None:
        """Remove the stack, as the manual says.

        Raises:
            DeploymentFailed: the stack is still there.
        """
        await self.run(str(SAM), "delete", "--stack-name", self.name, "--no-prompts")

    async def run(self, *command: str, **variables: str) -> str:
        """Run a command in the repository, with the stack's AWS and these variables; return what it wrote to stdout.

        Its processes are in a group of their own, which is killed if this is canceled.

        Raises:
            DeploymentFailed: its exit status is not 0.
        """
        return await self._run(command, variables)

    async def _run(self, command: Sequence[str], variables: Mapping[str, str], confirm: Confirm | None = None) -> str:
        """Run a command, which must ask its question if `confirm` is given."""
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=ROOT,
            env={**self._variables, **variables},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            limit=_LONGEST_OUTPUT,
        )
        assert process.stdout
        assert process.stderr
        before = b""
        try:
            if confirm:
                before = await process.stdout.readuntil(_QUESTION)
                await confirm(before.decode())
            output, errors = await process.communicate(b"y\n" if confirm else b"")
        except asyncio.IncompleteReadError as ended:
            said = (ended.partial + await process.stderr.read()).decode(errors="replace")
            raise DeploymentFailed(f"{shlex.join(command[:2])} did not ask: {said}") from ended
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        stdout, stderr = (before + output).decode(errors="replace"), errors.decode(errors="replace")
        with self._log.open("a") as log:
            log.write(f"$ {shlex.join(command)}\n{stdout}{stderr}\n")
        if process.returncode:
            lines = (stdout + stderr).rstrip().splitlines()
            raise DeploymentFailed("\n".join([f"{shlex.join(command[:2])} failed:", *lines[-30:]]))
        return stdout

    def outputs(self) -> dict[str, str]:
        """Return the stack's outputs by name."""
        return {item["OutputKey"]: item["OutputValue"] for item in self._description()["Outputs"]}

    def status(self) -> str:
        """Return the stack's status, as CloudFormation calls it."""
        return str(self._description()["StackStatus"])

    def resources(self) -> dict[str, str]:
        """Return the physical ids of the stack's resources by their names in the template."""
        pages = boto3.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=self.name)
        items = [item for page in pages for item in page["StackResourceSummaries"]]
        return {item["LogicalResourceId"]: item["PhysicalResourceId"] for item in items}

    def functions(self) -> dict[str, str]:
        """Return the names in the template of the stack's functions, by their names at Lambda."""
        resources = self.resources()
        return {resources[function.name]: function.name for function in Template().functions()}

    def _description(self) -> Any:
        return boto3.client("cloudformation").describe_stacks(StackName=self.name)["Stacks"][0]
