"""The cold start of a function, in a process of its own as on Lambda."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import NamedTuple

import pytest

FUNCTIONS = ["config", "edit", "generate", "jobs"]

REPORT = """
import gc, sys
from functions.{}.app import app
import json
print(json.dumps([gc.isenabled(), gc.get_freeze_count(), list(sys.modules)]))
"""


class Started(NamedTuple):
    """A function's process after its start."""

    collects_garbage: bool
    ignored_objects: int
    modules: frozenset[str]


def start(function: str, **environment: str) -> Started:
    """Import a function's `app` as Lambda does.

    The environment is this process's, without `PYDANTIC_DISABLE_PLUGINS`, and with the given variables.
    """
    inherited = {name: value for name, value in os.environ.items() if name != "PYDANTIC_DISABLE_PLUGINS"}
    process = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-c", REPORT.format(function)],
        env={**inherited, "AWS_LAMBDA_FUNCTION_NAME": function, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    collects, ignored, modules = json.loads(process.stdout)
    return Started(collects, ignored, frozenset(modules))


@pytest.fixture(scope="module")
def path_with_plugin(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A `PYTHONPATH` under which a pydantic plugin is installed, the module `a_plugin`."""
    folder = tmp_path_factory.mktemp("plugin")
    (folder / "a_plugin.py").write_text("def new_schema_validator(*args): return None, None, None\n")
    metadata = folder / "a_plugin-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: a-plugin\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[pydantic]\na_plugin = a_plugin\n")
    return os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))


@pytest.fixture(scope="module")
def started(path_with_plugin: str) -> Callable[[str], Started]:
    """Start a function where a pydantic plugin is installed, once for all tests."""
    return cache(lambda function: start(function, PYTHONPATH=path_with_plugin))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_garbage_collection_is_enabled_after_the_start(function: str, started: Callable[[str], Started]) -> None:
    """The collector is paused during the start, whose objects it then ignores, and enabled for later objects."""
    assert started(function).collects_garbage
    assert started(function).ignored_objects > 10_000


def test_the_generate_function_starts_without_modules_of_other_functions(started: Callable[[str], Started]) -> None:
    """The generate function imports no module that only edits, request files, queued jobs or tokens need."""
    names = [
        "access.token_registry",
        "batches",
        "images.inputs",
        "images.normalize",
        "net.public_fetch",
        "worker",
    ]
    modules = {f"image_gateway.{name}" for name in names} | {"PIL", "boto3"}

    assert all(find_spec(f"image_gateway.{name}") for name in names)
    assert "image_gateway.container.gateway" in started("generate").modules
    assert not modules & started("generate").modules


@pytest.mark.parametrize("function", FUNCTIONS)
def test_pydantics_first_version_is_not_loaded(function: str, started: Callable[[str], Started]) -> None:
    """FastAPI asks for it at each route, to refuse its models, of which there are none."""
    assert "pydantic.v1.main" not in started(function).modules


@pytest.mark.parametrize("function", FUNCTIONS)
def test_pydantic_does_not_search_for_plugins(function: str, started: Callable[[str], Started]) -> None:
    """An installed plugin is not loaded, because a search of all packages takes longer than building most models."""
    assert "a_plugin" not in started(function).modules


def test_the_environment_can_enable_pydantic_plugins(path_with_plugin: str) -> None:
    """A value of `PYDANTIC_DISABLE_PLUGINS` that the environment sets is used, here one that disables no plugin."""
    variables = {"PYTHONPATH": path_with_plugin, "PYDANTIC_DISABLE_PLUGINS": "none"}

    assert "a_plugin" in start("generate", **variables).modules
