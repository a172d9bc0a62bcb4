"""The built functions handle requests with what `make build` made and Lambda's runtime, and nothing else."""

import asyncio
import base64
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.types import ASGIApp

from image_gateway.access.principals import Role
from image_gateway.access.token_registry import TokenRegistry
from image_gateway.aws import Aws
from image_gateway.settings import Settings
from sandbox.embedded_aws import EmbeddedAws
from sandbox.engines.openai import create_app as create_openai
from sandbox.engines.painter import paint
from sandbox.engines.state import SandboxState
from sandbox.front import http_event
from sandbox.lambda_environment import Environment
from sandbox.template import ROOT, Template
from tests import web
from tests.template.build_artifact import FUNCTIONS, Artifact

pytestmark = [pytest.mark.xdist_group("build"), pytest.mark.timeout(300)]


@dataclass
class Deployed:
    """The built functions with an embedded AWS, and a token of each role."""

    artifact: Artifact
    template: Template
    variables: dict[str, str]
    log: Path
    tokens: dict[Role, str]
    _stack: AsyncExitStack

    async def start(self, name: str) -> Callable[..., Awaitable[Any]]:
        """Start a function; the result sends it a request and returns the status and the body of the response."""
        (function,) = [function for function in self.template.functions() if function.name == name]
        with self.log.open("ab") as log:
            environment = Environment(
                function,
                self.variables,
                log.fileno(),
                command=self.artifact.command(name, "from awslambdaric.__main__ import main; main(sys.argv)"),
                cwd=self.artifact.folder / name,
            )
            self._stack.push_async_callback(environment.stop)
            await environment.start()

        async def call(method: str, path: str, body: Any = None, role: Role | None = None) -> Any:
            response = await environment.invoke(request_event(method, path, body, self.tokens[role] if role else ""))
            return response["statusCode"], json.loads(response["body"])

        return call


def request_event(method: str, path: str, body: Any, token: str) -> dict[str, Any]:
    """The event that API Gateway sends for a request with a JSON body."""
    headers = {b"content-type": b"application/json", b"host": b"gateway.example"}
    if token:
        headers[b"authorization"] = f"Bearer {token}".encode()
    scope = {"type": "http", "method": method, "path": path, "query_string": b"", "headers": [*headers.items()]}
    content = b"" if body is None else json.dumps(body).encode()
    return http_event(Request({**scope, "server": ("gateway.example", 443)}), content, {}, f"{method} {path}")


@pytest.fixture
async def deployed(artifact: Artifact, embedded_aws: EmbeddedAws, aws: Aws, tmp_path: Path) -> AsyncIterator[Deployed]:
    name = f"built-{uuid.uuid4().hex[:12]}"
    template = Template(parameters={"ConfigTtlSeconds": "0"})
    template.values.update({"Bucket": name, "Table": name, "UsageTable": f"{name}-usage", "AWS::StackName": name})
    embedded_aws.deploy(template)
    registry = TokenRegistry(aws, Settings.from_environment(template.functions()[0].environment))
    tokens = {role: (await registry.create(role.name, role)).token for role in Role}
    async with AsyncExitStack() as stack:
        yield Deployed(artifact, template, embedded_aws.variables, tmp_path / "log", tokens, stack)


@pytest.mark.anyio
async def test_the_built_config_function_is_healthy(deployed: Deployed) -> None:
    """The built config function responds to GET /health without a token."""
    config = await deployed.start("ConfigFunction")

    status, body = await config("GET", "/health")

    assert (status, body["status"]) == (200, "ok"), deployed.log.read_text()


@pytest.mark.anyio
@pytest.mark.parametrize("name", FUNCTIONS)
async def test_a_built_function_requires_a_token(deployed: Deployed, name: str) -> None:
    """Each built function responds with 401 to a request without a token, on each of its routes under /api/."""
    call = await deployed.start(name)
    (function,) = [function for function in deployed.template.functions() if function.name == name]

    responses = [await call(route.method, route.path) for route in function.routes if "/api/" in route.path]

    assert [(status, body["code"]) for status, body in responses] == [(401, "unauthorized")] * len(responses)


def test_the_built_console_function_has_its_files(artifact: Artifact) -> None:
    """The page, its modules and its styles are in the function's package, and nothing that only developers need."""
    built, source = (folder / "functions/console/static" for folder in (artifact.folder / "ConsoleFunction", ROOT))

    files = {path.relative_to(built).as_posix() for path in built.rglob("*") if path.is_file()}
    assert files == {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    assert {"index.html", "main.js", "style.css", "vendor/preact.mjs"} <= files
    assert not list((artifact.folder / "ConsoleFunction").rglob("node_modules"))


@pytest.mark.anyio
async def test_the_built_functions_generate(deployed: Deployed, serve: Callable[[ASGIApp], str]) -> None:
    """The built generate function uses the configuration of the built config function, and stores its image."""
    config, generate = await asyncio.gather(deployed.start("ConfigFunction"), deployed.start("GenerateFunction"))
    fields = {
        "ENABLE_IMAGE_GENERATION": True,
        "IMAGE_ENGINE_TIMEOUT": 20,
        "IMAGE_GENERATION_ENGINE": "openai",
        "IMAGE_GENERATION_MODEL": "gpt-image-2",
        "IMAGES_OPENAI_API_BASE_URL": serve(create_openai(SandboxState())) + "/v1",
        "IMAGES_OPENAI_API_KEY": "sandbox-key",
    }
    status, body = await config("POST", "/api/v1/images/config/update", fields, Role.ADMIN)
    assert status == 200, body

    form = {"prompt": "a red fox", "size": "1024x1024"}
    status, body = await generate("POST", "/api/v1/images/generations", form, Role.USER)

    assert status == 200, (body, deployed.log.read_text())
    image = await download(body[0]["url"])
    assert image.startswith(b"\x89PNG")


@pytest.mark.anyio
async def test_the_built_functions_edit(deployed: Deployed, serve: Callable[[ASGIApp], str]) -> None:
    """The built edit function reads an input image with Pillow from its layer, and stores the output image."""
    config, edit = await asyncio.gather(deployed.start("ConfigFunction"), deployed.start("EditFunction"))
    fields = {
        "ENABLE_IMAGE_EDIT": True,
        "IMAGE_ENGINE_TIMEOUT": 20,
        "IMAGE_EDIT_ENGINE": "openai",
        "IMAGE_EDIT_MODEL": "gpt-image-2",
        "IMAGES_EDIT_OPENAI_API_BASE_URL": "",
        "IMAGES_OPENAI_API_BASE_URL": serve(create_openai(SandboxState())) + "/v1",
        "IMAGES_OPENAI_API_KEY": "sandbox-key",
    }
    status, body = await config("POST", "/api/v1/images/config/update", fields, Role.ADMIN)
    assert status == 200, body

    photo = paint("a red fox", 512, 512, format="JPEG")
    form = {"prompt": "at night", "image": base64.b64encode(photo).decode(), "size": "1024x1024"}
    status, body = await edit("POST", "/api/v1/images/edit", form, Role.USER)

    assert status == 200, (body, deployed.log.read_text())
    image = await download(body[0]["url"])
    assert image.startswith(b"\x89PNG")


async def download(url: str) -> bytes:
    async with httpx.AsyncClient(verify=web.TLS, trust_env=False) as client:
        return (await client.get(url)).raise_for_status().content
