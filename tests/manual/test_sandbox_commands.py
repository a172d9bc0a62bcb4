"""Commands and programs of the manual work against a running sandbox."""

import base64
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from image_gateway.models.config import MASK, SECRETS
from tests.manual.conftest import PHOTO_SIZE
from tests.manual.pages import Block, blocks_that_run
from tests.manual.sandbox_process import ADMIN_TOKEN, USER_TOKEN, SandboxProcess
from tests.manual.shell import run_in_bash

pytestmark = pytest.mark.xdist_group("manual")

SANDBOX_BLOCKS = blocks_that_run("sandbox")

EXAMPLE_URL = "http://127.0.0.1:8123"
EXAMPLE_TOKEN = "user-secret"
"""The address and the token that the manual's programs have in them."""

COMFYUI_URL = "http://10.0.1.20:8188"
"""The server of the manual's ComfyUI example."""


def run(block: Block, sandbox: SandboxProcess, folder: Path) -> None:
    """Run a block, which must end with success."""
    variables = {"URL": sandbox.url, "ADMIN_TOKEN": ADMIN_TOKEN, "USER_TOKEN": USER_TOKEN}
    done = run_in_bash(block, folder, **variables)
    assert done.returncode == 0, done.stdout + done.stderr


def block_with(text: str) -> Block:
    """The only sandbox block with a text in it."""
    (block,) = [block for block in SANDBOX_BLOCKS if text in block.text]
    return block


@pytest.mark.parametrize("block", SANDBOX_BLOCKS, ids=str)
def test_commands_succeed_against_the_sandbox(block: Block, sandbox: SandboxProcess, folder: Path) -> None:
    """Every call ends with success; those that configure leave what they say in the configuration."""
    run(block, sandbox, folder)

    if "config/update" in block.text:
        stored = sandbox.current_config()
        fields = r'^ +"([A-Z][A-Z0-9_]+)": (".*"|-?\d+|true|false|null|\{.*\}),?$'
        for name, literal in re.findall(fields, block.text, re.MULTILINE):
            value = json.loads(literal)
            assert stored[name] == (MASK if name in SECRETS and value else value)


@pytest.mark.parametrize("block", blocks_that_run("python"), ids=str)
def test_a_python_program_succeeds_against_the_sandbox(block: Block, sandbox: SandboxProcess) -> None:
    """It runs as it is written, except for the sandbox's address and token."""
    assert EXAMPLE_URL in block.text
    text = block.text.replace(EXAMPLE_URL, sandbox.url).replace(EXAMPLE_TOKEN, USER_TOKEN)

    exec(compile(text, str(block), "exec"), {})  # noqa: S102 - our own manual


def test_the_flux_example_makes_images(sandbox: SandboxProcess, folder: Path) -> None:
    """The node map of the page fits the workflow: everything that is requested reaches a node."""
    block = block_with('    "COMFYUI_WORKFLOW": $workflow')
    text = block.text.replace(COMFYUI_URL, sandbox.config["COMFYUI_BASE_URL"])
    run(replace(block, text=text), sandbox, folder)

    request = {"prompt": "a heron", "size": "640x384", "n": 2, "steps": 4, "seed": 7}
    images = sandbox.request("POST", "/api/v1/images/generations", json=request).json()

    assert [(image["width"], image["height"], image.get("warnings")) for image in images] == [(640, 384, None)] * 2


def test_the_comfyui_edit_example_edits(sandbox: SandboxProcess, folder: Path) -> None:
    """With the empty URL of the example, edits go to the server that generates."""
    run(block_with("edit.json"), sandbox, folder)

    photo = base64.b64encode((folder / "photo.jpg").read_bytes()).decode()
    request = {"image": photo, "prompt": "make it night"}
    (image,) = sandbox.request("POST", "/api/v1/images/edit", json=request).json()

    assert (image["width"], image["height"]) == PHOTO_SIZE


@pytest.mark.parametrize(
    "text",
    [
        'curl --fail -sS "$URL/nothing"\n',
        'curl --fail-with-body -sS "$URL/api/v1/images/config" -H "Authorization: Bearer $USER_TOKEN" | jq .\n',
        "false\necho done\n",
    ],
)
def test_a_command_that_fails_is_found(text: str, sandbox: SandboxProcess, folder: Path) -> None:
    """A refused request fails its block, also in a pipe and before the last line."""
    with pytest.raises(AssertionError):
        run(Block("docs/example.md", 1, "```sh", "sh", "sandbox", text), sandbox, folder)


def test_a_changed_configuration_is_restored(sandbox: SandboxProcess) -> None:
    """Also where only a secret differs, which is returned masked."""
    update = "/api/v1/images/config/update"
    sandbox.request("POST", update, json={"IMAGE_STEPS": 9, "IMAGES_OPENAI_API_KEY": "sk-another-key"})

    sandbox.restore_config()

    assert sandbox.current_config() == sandbox.config
    assert sandbox.request("GET", "/api/v1/images/config/url/verify").json() is True
