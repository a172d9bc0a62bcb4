"""One run of `make deploy-local`: from the build to the removal of the stack."""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import boto3

from sandbox.engines import automatic1111, comfyui, openai
from sandbox.engines.state import Knobs, SandboxState
from sandbox.gateway import ENGINE_KEY
from sandbox.servers import HttpServer
from sandbox.template import ROOT
from tests.deployment import builds
from tests.deployment.controls import CONTROLS, fails_without
from tests.deployment.deployment import Deployment
from tests.deployment.emulator import MiniStack, without_aws
from tests.deployment.stack import DeploymentFailed, Stack
from tests.deployment.statements import Decisions, all_statements, unexplained, write_table
from tests.deployment.step import STEPS, body
from tests.deployment.steps import public_pages  # noqa: F401 - registers all steps
from tests.template.build_artifact import MACHINE

STACK = "image-gateway"
OUTPUT = ROOT / ".build/deploy-local"
"""Where the logs and the table of statements are written."""
PARAMETERS = {"Architecture": MACHINE, "ConfigTtlSeconds": "0"}
"""Functions run on this computer, and every function sees an update of the configuration at once."""

_MOST_FAILURES = 5
"""After so many failures, a broken deployment is not used any longer: each may wait for a minute."""


class Run:
    """Deploys a template, uses what is deployed, updates it and deletes it.

    Args:
        template: the template.
    """

    def __init__(self, template: Path) -> None:
        self._template = template
        self._parameters = dict(PARAMETERS)
        self._started = time.monotonic()
        self._failures = 0
        self._done: list[str] = []

    async def run(self) -> bool:
        """Do everything, and report it on stdout; return whether everything passed."""
        # A run that was killed could not remove its files.
        shutil.rmtree(OUTPUT, ignore_errors=True)
        OUTPUT.mkdir(parents=True)
        log = OUTPUT / "commands.log"
        log.write_text("")
        with tempfile.TemporaryDirectory(dir=OUTPUT) as folder, MiniStack(OUTPUT / "ministack.log") as emulator:
            # This process is nothing but the run: the operator's own profile or endpoint must not be used.
            for name in os.environ.keys() - without_aws(os.environ):
                del os.environ[name]
            os.environ.update(emulator.variables)
            # Whatever a command leaves behind when it is killed is removed with the emulator's folder.
            stack = Stack(STACK, {**emulator.variables, "TMPDIR": str(emulator.folder)}, log)
            self._say(f"MiniStack is ready, at {emulator.url}")
            if await self._attempt("the template is built and deployed", lambda: self._deploy(stack)):
                try:
                    await self._use(emulator, stack, Path(folder))
                except Exception as error:  # noqa: BLE001 - no token, or no output of a name: the stack is still deleted
                    self._fail(f"the deployment cannot be used: {type(error).__name__}: {error}")
                await self._attempt("the stack is deleted", lambda: self._delete(stack))
        seconds = time.monotonic() - self._started
        self._say(f"logs, and the table of statements, are in {OUTPUT.relative_to(ROOT)}")
        verdict = f"FAILED ({self._failures})" if self._failures else "passed"
        print(
            f"make deploy-local {verdict}: {', '.join(self._done) or 'nothing deployed'}; {seconds:.0f} s", flush=True
        )
        return not self._failures

    async def _deploy(self, stack: Stack) -> None:
        command = (".venv/bin/python", "-m", "tests.template.build_artifact", "--template", str(self._template))
        self._build = Path((await stack.run(*command)).strip())
        self._say("built")
        await stack.deploy(self._build, self._parameters)
        self._done.append(f"{len(stack.resources())} resources deployed")

    async def _use(self, emulator: MiniStack, stack: Stack, folder: Path) -> None:
        decisions = Decisions(emulator.decisions, stack.functions())
        async with _deployment(emulator, stack, decisions) as deployment:
            passed = await self._steps(deployment, decisions)
            # What follows needs a stack that works.
            if passed and await self._controls(deployment, decisions, stack.resources()):
                await self._attempt("the stack is updated", lambda: self._update(stack, deployment, folder))
                await self._attempt(
                    "a broken update is rolled back", lambda: self._roll_back(stack, deployment, folder)
                )

    async def _steps(self, deployment: Deployment, decisions: Decisions) -> bool:
        passed = 0
        for step in STEPS:
            if self._failures == _MOST_FAILURES:
                self._say("so many steps have failed that the others are not run")
                self._done.append(f"{passed} of {len(STEPS)} steps passed")
                return False
            decisions.begin()
            passed += await self._attempt(step.name, lambda: decisions.none_denied(step.run(deployment)))  # noqa: B023
            decisions.attribute(step.name)
        self._done.append(f"{passed} of {len(STEPS)} steps passed")
        problems = unexplained(decisions.used)
        for problem in problems:
            self._fail(problem)
        write_table(OUTPUT / "statements.md", decisions.used)
        statements = all_statements()
        self._done.append(f"{len(decisions.used)} of {len(statements)} statements used")
        return passed == len(STEPS) and not problems

    async def _controls(self, deployment: Deployment, decisions: Decisions, resources: dict[str, str]) -> bool:
        passed = 0
        for control in CONTROLS:
            check = fails_without(control, deployment, decisions, resources[f"{control.function}Role"])
            passed += await self._attempt(f"without {control.sid}, {control.function} fails", lambda: check)  # noqa: B023
        self._done.append(f"{passed} of {len(CONTROLS)} negative controls failed as they must")
        return passed == len(CONTROLS)

    async def _update(self, stack: Stack, deployment: Deployment, folder: Path) -> None:
        """Change a parameter and the configuration function, in place. Nothing changes while the SAM CLI asks."""
        self._parameters["UrlExpirySeconds"] = "601"

        async def confirm(changes: str) -> None:
            assert "ConfigFunction" in changes
            assert await _version(deployment) is None, "showing the changes has updated the function"

        await stack.deploy(builds.changed(self._build, folder, "second"), self._parameters, confirm)
        assert await _version(deployment) == "second", "the function was not updated"
        (image,) = await deployment.post("/api/v1/images/generations", {"prompt": "a fox after the update"})
        assert "X-Amz-Expires=601" in image["url"], "the parameter was not updated"
        self._done.append("updated")

    async def _roll_back(self, stack: Stack, deployment: Deployment, folder: Path) -> None:
        """Update to what cannot be deployed: afterwards, all is as before, and the operator's smoke test passes."""
        try:
            await stack.deploy(builds.broken(self._build, folder), self._parameters)
        except DeploymentFailed:
            assert stack.status() == "UPDATE_ROLLBACK_COMPLETE", stack.status()
        else:
            raise AssertionError("the broken update succeeded")
        assert await _version(deployment) == "second", "the function was not rolled back"
        await stack.run("make", "-s", "smoke", URL=deployment.url, ADMIN_TOKEN=deployment.admin_token)
        self._done.append("rolled back")

    async def _delete(self, stack: Stack) -> None:
        functions, outputs = stack.functions(), stack.outputs()
        await stack.delete()
        left = {item["FunctionName"] for item in boto3.client("lambda").list_functions()["Functions"]}
        assert not left & set(functions), left
        assert outputs["TableName"] not in boto3.client("dynamodb").list_tables()["TableNames"]
        # As the manual says, the bucket with the images is kept, and the configuration is removed by hand.
        boto3.client("s3").head_bucket(Bucket=outputs["BucketName"])
        boto3.client("ssm").delete_parameter(Name=outputs["ConfigParameterName"])
        self._done.append("deleted")

    async def _attempt(self, name: str, action: Callable[[], Awaitable[None]]) -> bool:
        """Report whether something passes; the run goes on in any case."""
        try:
            await action()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is reported, and the run cleans up
            self._fail(f"{name}: {type(error).__name__}: {error}")
            return False
        self._say(f"ok  {name}")
        return True

    def _fail(self, problem: str) -> None:
        self._failures += 1
        self._say(f"FAILED  {problem}")

    def _say(self, line: str) -> None:
        print(f"{time.monotonic() - self._started:5.1f} s  {line}", flush=True)


@asynccontextmanager
async def _deployment(emulator: MiniStack, stack: Stack, decisions: Decisions) -> AsyncIterator[Deployment]:
    """Start the engines, create the tokens as the manual says, and yield the deployment for the steps."""
    engine = SandboxState(Knobs(key=ENGINE_KEY))
    resources = stack.resources()
    commands = [
        stack.run("make", "-s", "token", STACK=STACK, ROLE=role, NAME=f"the {role}") for role in ("admin", "user")
    ]
    admin_token, user_token = [token.strip() for token in await asyncio.gather(*commands)]
    async with (
        HttpServer(openai.create_app(engine)) as fast,
        HttpServer(automatic1111.create_app(SandboxState())) as one_at_a_time,
        HttpServer(comfyui.create_app(SandboxState())) as comfy,
    ):
        yield Deployment(
            emulator.api_url(resources["Api"]),
            admin_token,
            user_token,
            outputs=stack.outputs(),
            resources=resources,
            engine=engine,
            engine_urls={"openai": fast.url, "automatic1111": one_at_a_time.url, "comfyui": comfy.url},
            decisions=decisions,
        )


async def _version(deployment: Deployment) -> str | None:
    """Return the version of the configuration function that responds; None for the original one."""
    response = await deployment.request("GET", "/api/v1/images/config")
    body(response)
    version: str | None = response.headers.get(builds.HEADER)
    return version
