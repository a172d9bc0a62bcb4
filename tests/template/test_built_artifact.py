"""What `make build` makes is all that the functions need: they run from it alone, as on Lambda."""

import asyncio
import base64
import json
import platform
import re
import shutil
import subprocess
import sys
import uuid
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awslambdaric
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
from tests.template.test_template import ALLOWED, as_list

pytestmark = [pytest.mark.xdist_group("build"), pytest.mark.timeout(300)]

TEMPLATE = Template()
FUNCTIONS = [function.name for function in TEMPLATE.functions()]
LAYERS = [
    name for name, item in TEMPLATE.document["Resources"].items() if item["Type"] == "AWS::Serverless::LayerVersion"
]
UV = ".venv-uv/bin/uv"
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
MACHINE = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
ELF_MACHINES = {"x86_64": 0x3E, "arm64": 0xB7}
# What is there before a function and its layers are: Lambda's runtime client and boto3, with what these two need.
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


@dataclass(frozen=True)
class Artifact:
    """What a build made, and a folder that stands for what Lambda's runtime has already."""

    folder: Path
    runtime: Path

    @property
    def layer(self) -> Path:
        return self.folder / "SharedLayer"

    def layers(self, function: str) -> list[Path]:
        """The folders of a function's layers, in the order that modules are looked for."""
        names = [*TEMPLATE.document["Globals"]["Function"]["Layers"], *TEMPLATE.resource(function).get("Layers", [])]
        return [self.folder / name["Ref"] / "python" for name in names]

    def command(self, function: str, code: str) -> tuple[str, ...]:
        """Run `code` in an interpreter that sees the standard library and what Lambda would show the function."""
        visible = [str(path) for path in (self.folder / function, *self.layers(function), self.runtime)]
        return (sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {visible!r}\n{code}")


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)  # noqa: S603 - our own commands


def build(folder: Path, python: str, architecture: str) -> Path:
    """Build the template, for another Python if need be, into a folder outside of the repository."""
    text = re.sub(r"python3\.13\b", f"python{python}", (ROOT / "template.yaml").read_text())
    text = re.sub(r"((?:Code|Content)Uri): (?=\w)", rf"\1: {ROOT}/", text)
    # For SAM, Python 3.11 means Amazon Linux 2, whose C library is too old for Pillow's wheels: uv installs them then.
    by_sam = python != "3.11"
    if not by_sam:
        (folder / "nothing").mkdir()
        text = text.replace(f"{ROOT}/layers/imaging", str(folder / "nothing"))
    template = folder / "template.yaml"
    template.write_text(text)
    requirements = [f"{TEMPLATE.resource(layer)['ContentUri']}/requirements.txt" for layer in LAYERS]
    current = [option for path in (".venv-template/.ready", *requirements) for option in ("-o", path)]
    wanted = (f"TEMPLATE={template}", f"BUILD_DIR={folder / 'build'}", f"LAMBDA_PYTHON={python}")
    done = run("make", "-s", *current, "build", *wanted, f"ARCHITECTURE={architecture}")
    assert done.returncode == 0, done.stdout + done.stderr
    if not by_sam:
        target = folder / "build/ImagingLayer/python"
        options = ("--quiet", "--require-hashes", "--only-binary", ":all:", "--python", sys.executable)
        done = run(UV, "pip", "install", *options, "--target", str(target), "-r", "layers/imaging/requirements.txt")
        assert done.returncode == 0, done.stderr
        run(sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(target))
    return folder / "build"


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    """The build for this machine and this interpreter."""
    runtime = tmp_path_factory.mktemp("runtime")
    packages = Path(awslambdaric.__file__).parent.parent
    for pattern in RUNTIME:
        (package,) = packages.glob(pattern)
        (runtime / package.name).symlink_to(package)
    return Artifact(build(tmp_path_factory.mktemp("artifact"), HERE, MACHINE), runtime)


@pytest.fixture(scope="session")
def arm64_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The build as it is deployed by default."""
    if run("make", "--silent", "lambda-python").returncode:
        pytest.skip("no Python 3.13 here (make lambda-python): the build for Lambda itself is not tested")
    return build(tmp_path_factory.mktemp("arm64"), "3.13", "arm64")


@dataclass
class Deployed:
    """The built functions with AWS, and tokens of both roles."""

    artifact: Artifact
    template: Template
    variables: dict[str, str]
    log: Path
    tokens: dict[Role, str]
    _stack: AsyncExitStack

    async def start(self, name: str) -> Callable[..., Awaitable[Any]]:
        """Start a function; what comes back sends it a request and gives its answer."""
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
            answer = await environment.invoke(request_event(method, path, body, self.tokens[role] if role else ""))
            return answer["statusCode"], json.loads(answer["body"])

        return call


def request_event(method: str, path: str, body: Any, token: str) -> dict[str, Any]:
    """What API Gateway makes of a request with a JSON body."""
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
    template.values.update({"Bucket": name, "Table": name, "AWS::StackName": name})
    embedded_aws.deploy(template)
    registry = TokenRegistry(aws, Settings.from_environment(template.functions()[0].environment))
    tokens = {role: (await registry.create(role.name, role)).token for role in Role}
    async with AsyncExitStack() as stack:
        yield Deployed(artifact, template, embedded_aws.variables, tmp_path / "log", tokens, stack)


@pytest.mark.parametrize("module", ["moto", "sandbox", "PIL", "pytest", "functions.generate"])
def test_the_config_function_sees_nothing_else(artifact: Artifact, module: str) -> None:
    """The built config function can import neither what is only there for development nor another function."""
    command = artifact.command("ConfigFunction", f"import functions.config.app\nimport {module}")

    done = run(*command, cwd=artifact.folder)

    assert f"ModuleNotFoundError: No module named '{module}'" in done.stderr


@pytest.mark.parametrize("function", FUNCTIONS)
def test_pillow_is_only_where_its_layer_is(artifact: Artifact, function: str) -> None:
    """A function that reads pictures has Pillow and HEIC, any other starts without their weight."""
    module = next(item.handler for item in TEMPLATE.functions() if item.name == function).rpartition(".")[0]
    code = f"import {module}\nassert 'PIL' not in sys.modules\nimport PIL.Image, pi_heif"

    done = run(*artifact.command(function, code), cwd=artifact.folder)

    has_layer = {"Ref": "ImagingLayer"} in TEMPLATE.resource(function).get("Layers", [])
    assert (done.returncode == 0) is has_layer, done.stderr
    assert has_layer or "No module named 'PIL'" in done.stderr


@pytest.mark.anyio
async def test_the_built_config_function_is_healthy(deployed: Deployed) -> None:
    """The config function answers GET /health from what was built, without a token."""
    config = await deployed.start("ConfigFunction")

    status, body = await config("GET", "/health")

    assert (status, body["status"]) == (200, "ok"), deployed.log.read_text()


@pytest.mark.anyio
@pytest.mark.parametrize("name", FUNCTIONS)
async def test_a_built_function_answers(deployed: Deployed, name: str) -> None:
    """Each function, from what was built for it, checks the token of a request on each of its routes."""
    call = await deployed.start(name)
    (function,) = [function for function in deployed.template.functions() if function.name == name]

    answers = [await call(route.method, route.path) for route in function.routes if "/api/" in route.path]

    assert [(status, body["code"]) for status, body in answers] == [(401, "unauthorized")] * len(answers)


@pytest.mark.anyio
async def test_the_built_functions_generate(deployed: Deployed, serve: Callable[[ASGIApp], str]) -> None:
    """What is configured by the built config function is generated by the built generate function, and stored."""
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
    picture = await download(body[0]["url"])
    assert picture.startswith(b"\x89PNG")


@pytest.mark.anyio
async def test_the_built_functions_edit(deployed: Deployed, serve: Callable[[ASGIApp], str]) -> None:
    """The built edit function reads a picture with its own layer's Pillow, and stores what the engine makes of it."""
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
    picture = await download(body[0]["url"])
    assert picture.startswith(b"\x89PNG")


async def download(url: str) -> bytes:
    async with httpx.AsyncClient(trust_env=False) as client:
        return (await client.get(url)).raise_for_status().content


def test_the_layer_holds_the_package(artifact: Artifact) -> None:
    """The layer has the shared package, with its OpenAPI document, where Lambda looks for modules."""
    assert (artifact.layer / "python/image_gateway/openapi.json").is_file()


@pytest.mark.parametrize("package", ["boto3", "botocore", "PIL", "moto", "sandbox", "functions"])
def test_the_layer_leaves_out(artifact: Artifact, package: str) -> None:
    """The layer has neither what the runtime brings nor what only the sandbox needs."""
    assert not list((artifact.layer / "python").glob(f"{package}*"))


def test_each_function_holds_only_itself(artifact: Artifact) -> None:
    """A built function is its own folder, under the package it is imported from."""
    for function in FUNCTIONS:
        packages = {
            path.relative_to(artifact.folder / function).parent for path in artifact.folder.glob(f"{function}/**/*.py")
        }
        assert packages == {Path(TEMPLATE.resource(function)["CodeUri"])}


def test_the_layer_is_small(artifact: Artifact, tmp_path: Path) -> None:
    """The zipped layer has at most 8 MB, bytecode included: it is loaded at every cold start."""
    zipped = Path(shutil.make_archive(str(tmp_path / "layer"), "zip", artifact.layer))

    assert zipped.stat().st_size <= 8 * 2**20
    assert zipfile.is_zipfile(zipped)


def test_every_module_is_compiled(artifact: Artifact) -> None:
    """Each module has bytecode that counts whatever the time of its source, since Lambda can keep none."""
    for source in artifact.folder.rglob("*.py"):
        (compiled,) = source.parent.glob(f"__pycache__/{source.stem}.{sys.implementation.cache_tag}.pyc")
        unchecked_hash = 0b01
        assert int.from_bytes(compiled.read_bytes()[4:8], "little") == unchecked_hash, source


def libraries(layer: Path) -> Iterator[tuple[str, int]]:
    """The compiled libraries of a layer, and the machine that each is for."""
    for path in [*layer.rglob("*.so"), *layer.rglob("*.so.*")]:
        yield path.name, int.from_bytes(path.read_bytes()[18:20], "little")


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_is_for_this_machine(artifact: Artifact, layer: str) -> None:
    """Wheels in a layer are of the architecture that was asked for."""
    found = dict(libraries(artifact.folder / layer))

    assert found
    assert set(found.values()) == {ELF_MACHINES[MACHINE]}


@pytest.mark.parametrize("layer", LAYERS)
def test_the_default_build_is_for_arm64(arm64_build: Path, layer: str) -> None:
    """The build for Lambda's Python on arm64 has wheels for just that, wherever it is made."""
    found = dict(libraries(arm64_build / layer))

    assert found
    assert set(found.values()) == {ELF_MACHINES["arm64"]}
    assert all("cpython-313-aarch64" in name for name in found if "cpython" in name)


@pytest.fixture(scope="session")
def deployed_resources(artifact: Artifact) -> dict[str, Any]:
    """The resources that CloudFormation gets of the built template, once SAM has translated it."""
    python = ROOT / ".venv-template/bin/python"
    done = run(str(python), str(ROOT / "tests/template/translation.py"), str(artifact.folder / "template.yaml"))
    assert done.returncode == 0, done.stderr
    resources: dict[str, Any] = json.loads(done.stdout)["Resources"]
    return resources


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_built_function_may_do_exactly_this(deployed_resources: dict[str, Any], function: str) -> None:
    """A function has a role of its own, which may do action by action what is allowed, and use an operator's key."""
    role = deployed_resources[f"{function}Role"]["Properties"]
    policy, key_policy, *network = role["Policies"]
    found = {
        statement["Sid"]: (as_list(statement["Action"]), statement["Resource"], statement.get("Condition"))
        for statement in policy["PolicyDocument"]["Statement"]
    }

    assert deployed_resources[function]["Properties"]["Role"] == {"Fn::GetAtt": [f"{function}Role", "Arn"]}
    assert found == ALLOWED[function]
    assert {statement["Effect"] for statement in policy["PolicyDocument"]["Statement"]} == {"Allow"}
    condition, with_key, without = key_policy["Fn::If"]
    assert (condition, without) == ("HasKmsKey", {"Ref": "AWS::NoValue"})
    assert {one["Resource"]["Ref"] for one in with_key["PolicyDocument"]["Statement"]} == {"KmsKeyArn"}
    assert [one["Fn::If"][0] for one in network] == ["InVpc"] * ("VpcConfig" in TEMPLATE.resource(function))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_sam_adds_nothing_to_a_role(deployed_resources: dict[str, Any], function: str) -> None:
    """SAM has no policies of AWS's put beside those that are written out, which let any log group be written to."""
    role = deployed_resources[f"{function}Role"]["Properties"]

    assert set(role) == {"AssumeRolePolicyDocument", "Policies"}
    assert deployed_resources[function]["Properties"]["TracingConfig"] == {"Mode": "Active"}


def test_there_are_no_other_roles_and_policies(deployed_resources: dict[str, Any]) -> None:
    """Each function has one role and there is no further one; beside them, three resources say who may use them."""
    kinds = {name: resource["Type"] for name, resource in deployed_resources.items()}
    identities = {name for name, kind in kinds.items() if kind.startswith("AWS::IAM::")}
    policies = {name for name, kind in kinds.items() if kind.endswith("Policy")}

    assert identities == {f"{function}Role" for function in FUNCTIONS}
    assert policies == {"BucketPolicy", "JobQueuePolicy", "DeadLettersPolicy"}


def test_only_the_config_function_can_write_the_configuration(deployed_resources: dict[str, Any]) -> None:
    """Of all roles, one may replace the parameter, and none may remove it or read another."""
    actions = {
        (name, action)
        for name, resource in deployed_resources.items()
        if resource["Type"] == "AWS::IAM::Role"
        for statement in resource["Properties"]["Policies"][0]["PolicyDocument"]["Statement"]
        for action in as_list(statement["Action"])
        if action.startswith("ssm:")
    }

    assert {name for name, action in actions if action != "ssm:GetParameter"} == {"ConfigFunctionRole"}
    assert {action for _, action in actions} == {"ssm:GetParameter", "ssm:PutParameter"}


def test_strangers_reach_functions_only_through_their_routes(deployed_resources: dict[str, Any]) -> None:
    """API Gateway may invoke each function for its own routes; anybody may by a function URL, if that is deployed."""
    permissions = {
        name: resource for name, resource in deployed_resources.items() if resource["Type"] == "AWS::Lambda::Permission"
    }
    routes = {
        f"/{route.method}" + re.sub(r"\{\w+\}", "*", route.path)
        for function in TEMPLATE.functions()
        for route in function.routes
    }
    by_api = {
        resource["Properties"]["SourceArn"]["Fn::Sub"][0].partition("${__Stage__}")[2]
        for resource in permissions.values()
        if resource["Properties"]["Principal"] == "apigateway.amazonaws.com"
    }
    by_anybody = {name for name, resource in permissions.items() if resource["Properties"]["Principal"] == "*"}

    assert by_api == routes
    assert by_anybody == {
        f"{name}{part}" for name in ("Generate", "Edit") for part in ("UrlPermission", "UrlInvokePermission")
    }
    assert {deployed_resources[name]["Condition"] for name in by_anybody} == {"HasFunctionUrl"}


def test_the_built_api_is_closed_to_pages(deployed_resources: dict[str, Any]) -> None:
    """In the API that CloudFormation gets, CORS is there only under the condition that origins are named."""
    condition, cors, without = deployed_resources["Api"]["Properties"]["Body"]["x-amazon-apigateway-cors"]["Fn::If"]

    assert (condition, without) == ("HasCorsOrigins", {"Ref": "AWS::NoValue"})
    assert cors["allowOrigins"] == {"Fn::Split": [",", ""]}
    assert "authorization" in cors["allowHeaders"]
