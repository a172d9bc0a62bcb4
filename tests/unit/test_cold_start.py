"""The cold start of a function, in a process of its own as on Lambda."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

FUNCTIONS = ["config", "edit", "generate", "jobs"]


def output_after_start(function: str, code: str, **environment: str) -> str:
    """Import a function's `app` as Lambda does, run `code` after it, and return what the process printed.

    The environment is this process's, without `PYDANTIC_DISABLE_PLUGINS`, and with the given variables.
    """
    inherited = {name: value for name, value in os.environ.items() if name != "PYDANTIC_DISABLE_PLUGINS"}
    process = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-c", f"import gc, sys\nfrom functions.{function}.app import app\n{code}"],
        env={**inherited, "AWS_LAMBDA_FUNCTION_NAME": function, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    return process.stdout.strip()


@pytest.fixture
def path_with_plugin(tmp_path: Path) -> str:
    """A `PYTHONPATH` under which a pydantic plugin is installed, the module `a_plugin`."""
    (tmp_path / "a_plugin.py").write_text("def new_schema_validator(*args): return None, None, None\n")
    metadata = tmp_path / "a_plugin-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: a-plugin\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[pydantic]\na_plugin = a_plugin\n")
    return os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))


@pytest.mark.parametrize("function", FUNCTIONS)
def test_garbage_collection_is_enabled_after_the_start(function: str) -> None:
    """The collector is paused during the start, whose objects it then ignores, and enabled for later objects."""
    assert output_after_start(function, "print(gc.isenabled(), gc.get_freeze_count() > 10_000)") == "True True"


def test_the_generate_function_starts_without_modules_of_other_functions() -> None:
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
    assert output_after_start("generate", f"print(sorted({modules!r} & set(sys.modules)))") == "[]"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_pydantics_first_version_is_not_loaded(function: str) -> None:
    """FastAPI asks for it at each route, to refuse its models, of which there are none."""
    assert output_after_start(function, "print('pydantic.v1.main' in sys.modules)") == "False"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_pydantic_does_not_search_for_plugins(function: str, path_with_plugin: str) -> None:
    """An installed plugin is not loaded, because a search of all packages takes longer than building most models."""
    code = "print('a_plugin' in sys.modules)"

    assert output_after_start(function, code, PYTHONPATH=path_with_plugin) == "False"


def test_the_environment_can_enable_pydantic_plugins(path_with_plugin: str) -> None:
    """A value of `PYDANTIC_DISABLE_PLUGINS` that the environment sets is used, here one that disables no plugin."""
    variables = {"PYTHONPATH": path_with_plugin, "PYDANTIC_DISABLE_PLUGINS": "none"}

    assert output_after_start("generate", "print('a_plugin' in sys.modules)", **variables) == "True"
