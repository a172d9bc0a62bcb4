"""The README keeps its word: its commands work, its links lead somewhere, its tables say what the product says.

A comment before each block of commands says how it is tested:

    <!-- runs: sandbox -->  run by bash against a running `python -m sandbox run`, with URL, ADMIN_TOKEN and USER_TOKEN
    <!-- runs: bash -->     run by bash
    <!-- runs: make -->     targets and variables are in the Makefile, and `make -n` accepts them
    <!-- runs: aws -->      needs an AWS account: the command is in `NEEDS_AWS`, and its options exist
"""

import base64
import itertools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import botocore.session
import httpx
import pytest
from botocore import xform_name
from PIL import Image

from image_gateway.errors import GatewayError
from image_gateway.models.config import MASK, SECRETS, ImagesConfig
from image_gateway.models.forms import CreateImageForm, EditImageForm
from image_gateway.models.images import ImageInfo
from sandbox.template import ROOT, Template

pytestmark = pytest.mark.xdist_group("readme")

README = (ROOT / "README.md").read_text("utf-8")
SAM = ".venv-template/bin/sam"
MAX_WAIT_SECONDS = 60

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
"""What may stand between them."""

AWS_CLI_OPTIONS = ("--query", "--output", "--region", "--profile")
"""Options that every command of the AWS CLI has."""

AWS_CLI_SERVICES = {"s3api": "s3"}
"""Services that the AWS CLI calls otherwise than botocore."""

SANDBOX_KEY = "sandbox-key"
"""What `sandbox.gateway` configures as every engine's key; the API answers it masked."""


@dataclass(frozen=True)
class Block:
    """A fenced block, the line it starts at, and how its comment says that it is tested."""

    line: int
    language: str
    runs: str | None
    text: str


def blocks() -> list[Block]:
    found = []
    pattern = re.compile(r"(?:^<!-- runs: (\w+) -->\n)?^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    for match in pattern.finditer(README):
        line = README.count("\n", 0, match.start(2)) + 1
        found.append(Block(line, match[2], match[1], match[3]))
    return found


BLOCKS = blocks()


def commands_that(runs: str) -> list[Any]:
    return [pytest.param(block, id=f"line {block.line}") for block in BLOCKS if block.runs == runs]


def statements(block: Block) -> list[str]:
    """The lines of a block, with continued ones joined."""
    return [line for line in block.text.replace("\\\n", " ").splitlines() if line.strip()]


@dataclass(frozen=True)
class Running:
    """A sandbox that is ready, and its configuration as it was then."""

    url: str
    admin_token: str
    user_token: str
    config: dict[str, Any]

    def admin(self, method: str, path: str, **options: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.admin_token}"}
        answer = httpx.request(
            method, self.url + path, headers=headers, timeout=MAX_WAIT_SECONDS, trust_env=False, **options
        )
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """`python -m sandbox run` on a free port."""
    tokens = {"ADMIN_TOKEN": "readme-admin", "USER_TOKEN": "readme-user"}
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "sandbox", "run", "--port", "0"],
            cwd=ROOT,
            env={**os.environ, **tokens, "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
        try:
            assert process.stdout is not None
            lines = list(itertools.takewhile(lambda line: line != "ready\n", process.stdout))
            assert process.poll() is None, f"the sandbox ended: {lines}"
            said = dict(line.partition(" ")[::2] for line in lines)
            started = Running(said["gateway"].strip(), tokens["ADMIN_TOKEN"], tokens["USER_TOKEN"], {})
            yield Running(
                started.url, started.admin_token, started.user_token, started.admin("GET", "/api/v1/images/config")
            )
        finally:
            process.terminate()
            process.communicate(timeout=MAX_WAIT_SECONDS)


@pytest.fixture
def sandbox(running: Running) -> Iterator[Running]:
    """The sandbox; its configuration is put back afterwards, so that no block depends on another."""
    yield running
    keys = {name: SANDBOX_KEY for name in SECRETS if running.config[name] == MASK}
    running.admin("POST", "/api/v1/images/config/update", json=running.config | keys)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What a reader has before them: the repository, set up, with a photo in it."""
    (tmp_path / "sandbox").symlink_to(ROOT / "sandbox")
    (tmp_path / ".venv").symlink_to(sys.prefix)
    Image.effect_noise((900, 700), 60).convert("RGB").save(tmp_path / "photo.jpg")
    return tmp_path


def bash(block: Block, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a block as a reader's shell would, but for stopping at the first failure."""
    program = shutil.which("bash")
    missing = [name for name in ("bash", "curl", "jq") if name in f"bash {block.text}" and not shutil.which(name)]
    if program is None or missing:
        pytest.skip(f"needs {', '.join(missing)}")
    return subprocess.run(  # noqa: S603 - our own README
        [program, "-euo", "pipefail", "-c", block.text],
        cwd=folder,
        env={**os.environ, "NO_PROXY": "*", **variables},
        capture_output=True,
        text=True,
        timeout=MAX_WAIT_SECONDS,
        check=False,
    )


def test_every_block_of_commands_says_how_it_is_tested() -> None:
    """A new block has to be tagged, and then is tested; no other kind of block is known."""
    for block in BLOCKS:
        if block.language == "sh":
            assert block.runs in ("sandbox", "bash", "make", "aws"), f"line {block.line} has no <!-- runs: … -->"
        elif block.language == "python":
            assert block.runs == "python", f"line {block.line} has no <!-- runs: python -->"
        else:
            assert block.language in ("json", "mermaid"), f"line {block.line}: what is {block.language!r}?"
            assert block.runs is None, f"line {block.line} is nothing to run"
    assert README.count("```") == 2 * len(BLOCKS)
    assert README.count("<!-- runs:") == len([block for block in BLOCKS if block.runs])


@pytest.mark.parametrize("block", commands_that("sandbox"))
def test_a_command_works_against_the_sandbox(block: Block, sandbox: Running, folder: Path) -> None:
    """Every call ends with success; those that configure leave what they say in the configuration."""
    done = bash(block, folder, URL=sandbox.url, ADMIN_TOKEN=sandbox.admin_token, USER_TOKEN=sandbox.user_token)
    assert done.returncode == 0, done.stdout + done.stderr
    stored = sandbox.admin("GET", "/api/v1/images/config")
    if "config/update" in block.text:
        for name, literal in re.findall(
            r'^ +"([A-Z][A-Z0-9_]+)": (".*"|-?\d+|true|false|null|\{.*\}),?$', block.text, re.MULTILINE
        ):
            value = json.loads(literal)
            assert stored[name] == (MASK if name in SECRETS and value else value)


@pytest.mark.parametrize("block", commands_that("python"))
def test_a_program_works_against_the_sandbox(block: Block, sandbox: Running) -> None:
    """It runs as it stands there, but for the sandbox's address and token."""
    text = block.text.replace("http://127.0.0.1:8123", sandbox.url).replace("user-secret", sandbox.user_token)
    exec(compile(text, f"README.md line {block.line}", "exec"), {})  # noqa: S102 - our own README


def test_the_flux_example_makes_images(sandbox: Running, folder: Path) -> None:
    """The node map of the page fits the workflow: everything asked for reaches a node."""
    (block,) = [block for block in BLOCKS if "flux.json" in block.text]
    text = block.text.replace("http://10.0.1.20:8188", sandbox.config["COMFYUI_BASE_URL"])
    variables = {"URL": sandbox.url, "ADMIN_TOKEN": sandbox.admin_token}
    assert bash(replace(block, text=text), folder, **variables).returncode == 0
    requested = {"prompt": "a heron", "size": "640x384", "n": 2, "steps": 4, "seed": 7}
    images = sandbox.admin("POST", "/api/v1/images/generations", json=requested)
    reported = [(image["width"], image["height"], image.get("warnings")) for image in images]
    assert reported == [(640, 384, None)] * 2


def test_the_comfyui_edit_example_edits(sandbox: Running, folder: Path) -> None:
    """With the empty URL of the example, edits go to the server that generates."""
    (block,) = [block for block in BLOCKS if "edit.json" in block.text]
    assert bash(block, folder, URL=sandbox.url, ADMIN_TOKEN=sandbox.admin_token).returncode == 0
    image = base64.b64encode((folder / "photo.jpg").read_bytes()).decode()
    (image,) = sandbox.admin("POST", "/api/v1/images/edit", json={"image": image, "prompt": "make it night"})
    assert (image["width"], image["height"]) == (900, 700)


@pytest.mark.parametrize("block", commands_that("bash"))
def test_a_command_works_by_itself(block: Block, folder: Path) -> None:
    """It needs nothing but a shell."""
    done = bash(block, folder)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", commands_that("make"))
def test_a_make_command_is_one_of_the_makefile(block: Block) -> None:
    """The target is there, uses the variables, and `make -n` accepts both."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for statement in statements(block):
        words = shlex.split(statement)
        before, (target, *after) = words[: words.index("make")], words[words.index("make") + 1 :]
        assert re.search(rf"^{target}:.*## ", makefile, re.MULTILINE), f"make {target} is not in the Makefile's list"
        for name in (word.partition("=")[0] for word in (*before, *after)):
            assert re.search(rf"\b{name}\b", makefile), f"{name} means nothing to the Makefile"
        environment = {**os.environ, **dict(word.split("=", 1) for word in before)}
        done = subprocess.run(  # noqa: S603 - dry
            ["make", "-n", target, *after],  # noqa: S607 - it is what the reader types
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", commands_that("aws"))
def test_a_command_that_needs_aws_is_well_formed(block: Block, folder: Path) -> None:
    """It is on the list of those that no test can run, bash can read it, and its options exist."""
    dry = Block(block.line, block.language, block.runs, f"return 0 2>/dev/null || exit 0\n{block.text}")
    assert bash(dry, folder).returncode == 0
    for statement in statements(block):
        if re.match(r"[A-Z]+=", statement) or statement.split()[0] in BESIDE_AWS:
            continue
        known = [command for command in NEEDS_AWS if f"{statement} ".startswith(f"{command} ")]
        assert known, f"line {block.line}: {statement} is not among NEEDS_AWS"
        words = shlex.split(statement)[len(max(known, key=len).split()) :]
        (_check_aws if statement.startswith("aws ") else _check_sam)(max(known, key=len), words)


def _check_aws(command: str, words: list[str]) -> None:
    """Look the options up in the service's own description, with which botocore comes."""
    _, service, operation = command.split()
    model = botocore.session.get_session().get_service_model(AWS_CLI_SERVICES.get(service, service))
    (name,) = [name for name in model.operation_names if xform_name(name, "-") == operation]
    shape = model.operation_model(name).input_shape
    assert shape is not None
    members = {f"--{xform_name(member, '-')}": member for member in shape.members}
    given = [word for word in words if word.startswith("--")]
    for option in given:
        assert option in (*members, *AWS_CLI_OPTIONS), f"{command} has no option {option}"
    for member in shape.required_members:
        assert f"--{xform_name(member, '-')}" in given, f"{command} needs {member}"
    for option, value in itertools.pairwise(words):
        allowed = getattr(shape.members[members[option]], "enum", []) if option in members else []
        assert not allowed or value in allowed, f"{option} cannot be {value}"


def _check_sam(command: str, words: list[str]) -> None:
    """Ask SAM CLI itself; overridden parameters are ones of the template, which it takes."""
    help_ = subprocess.run(  # noqa: S603 - our own tool
        [ROOT / SAM, *command.split()[1:], "--help"],
        env={**os.environ, "SAM_CLI_TELEMETRY": "0"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    given = dict(word.split("=", 1) for word in words if "=" in word)
    assert Template(parameters=given).refusals() == []
    for word in words:
        if word.startswith("--"):
            assert re.search(rf"(?<![\w-]){word}\b", help_), f"{command} has no option {word}"
        elif "=" in word:
            assert word.partition("=")[0] in parameters(), f"the template has no parameter {word}"


def parameters() -> set[str]:
    text = (ROOT / "template.yaml").read_text("utf-8")
    return set(
        re.findall(r"^  (\w+):$", text.partition("\nParameters:\n")[2].partition("\nConditions:")[0], re.MULTILINE)
    )


def test_json_examples_are_json() -> None:
    """What a reader copies can be parsed."""
    for block in BLOCKS:
        if block.language == "json":
            json.loads(block.text)


def test_the_image_of_a_request_is_mermaid() -> None:
    """There is one, and each arrow is between participants that it declares."""
    (image,) = [block.text.splitlines() for block in BLOCKS if block.language == "mermaid"]
    assert image[0] == "sequenceDiagram"
    declared = {line.split()[1] for line in image if line.strip().startswith("participant")}
    arrows = [line.strip() for line in image if "->>" in line]
    assert arrows
    for arrow in arrows:
        ends = re.match(r"(\w+)--?>>(\w+): \S", arrow)
        assert ends, arrow
        assert {ends[1], ends[2]} <= declared, arrow


def test_every_link_leads_somewhere() -> None:
    """Files are there and headings exist; there are no links elsewhere that could rot."""
    prose = re.sub(r"^```.*?^```$", "", README, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    targets = re.findall(r"\]\(([^)]+)\)", prose)
    assert targets
    for target in targets:
        if target.startswith("#"):
            assert target[1:] in anchors, f"no heading {target}"
        else:
            assert (ROOT / target).exists(), f"no file {target}"


def section(heading: str) -> str:
    """The text under a heading, up to the next of the same or a higher level."""
    level = re.search(rf"^(#+) {re.escape(heading)}$", README, re.MULTILINE)
    assert level, heading
    return re.split(rf"^#{{1,{len(level[1])}}} ", README[level.end() :], maxsplit=1, flags=re.MULTILINE)[0]


def first_column(text: str) -> set[str]:
    """Everything in backticks in the first column of a section's tables."""
    return {name for row in re.findall(r"^\| (`[^|]*)\|", text, re.MULTILINE) for name in re.findall(r"`([^`]+)`", row)}


def test_the_api_table_has_every_route() -> None:
    """The template's routes, no more and no fewer."""
    routes = {
        f"{route.method} {route.path.replace('+}', '}')}"
        for function in Template().functions()
        for route in function.routes
    }
    assert first_column(section("API").partition("### ")[0]) == routes


def test_the_request_table_has_every_field_of_the_forms() -> None:
    """Each field of a generation and of an edit, in the right columns."""
    rows = re.findall(r"^\| (`.+?) \| (.*?) ?\| (.*?) ?\|", section("Request fields"), re.MULTILINE)
    for form, column in ((CreateImageForm, 1), (EditImageForm, 2)):
        named = {name for row in rows if row[column] for name in re.findall(r"`(\w+)`", row[0])}
        assert named == set(form.model_fields)


def test_the_answer_table_has_every_field_of_an_image() -> None:
    """No more and no fewer."""
    assert first_column(section("Answer fields")) == set(ImageInfo.model_fields)


def test_the_error_table_has_every_error() -> None:
    """Each code of the error tree with its status, and the codes that only HTTP has."""

    def tree(kind: type[GatewayError]) -> Iterator[type[GatewayError]]:
        yield kind
        for child in kind.__subclasses__():
            if child.__module__ == GatewayError.__module__:
                yield from tree(child)

    rows = re.findall(r"^\| (\d{3}) \| (`[^|]+) \|", section("Errors"), re.MULTILINE)
    reported = {(int(status), code) for status, codes in rows for code in re.findall(r"`(\w+)`", codes)}
    known = {(kind.status, kind.code) for kind in tree(GatewayError)}
    assert reported == known | {(405, "method_not_allowed")}


def test_the_deployment_table_has_every_parameter() -> None:
    """The template's parameters, no more and no fewer."""
    assert first_column(section("Deploying")) == parameters()


def test_every_configuration_field_that_is_named_exists() -> None:
    """Whole names only: those that are cut short with an ellipsis stand beside one in full."""
    prefixes = ("IMAGE_", "IMAGES_", "ENABLE_", "COMFYUI_", "AUTOMATIC1111_")
    named = {name for name in re.findall(r"[\"`{]([A-Z][A-Z0-9_]+)[\"`}]", README) if name.startswith(prefixes)}
    assert named <= set(ImagesConfig.model_fields)
