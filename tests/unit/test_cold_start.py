"""What a cold start does without, in a process of its own as on Lambda."""

import os
import subprocess
import sys

import pytest

FUNCTIONS = ["config", "edit", "generate", "jobs"]


def starting(function: str, code: str) -> str:
    """What a program says that has started a function as Lambda does."""
    done = subprocess.run(  # noqa: S603 - ours
        [sys.executable, "-c", f"import gc, sys\nfrom functions.{function}.app import app\n{code}"],
        env={**os.environ, "AWS_LAMBDA_FUNCTION_NAME": function},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_garbage_is_collected_after_the_start(function: str) -> None:
    """Nothing is collected while modules are made; then it goes on, for what is made from then on."""
    assert starting(function, "print(gc.isenabled(), gc.get_freeze_count() > 10_000)") == "True True"


@pytest.mark.parametrize("function", FUNCTIONS)
def test_models_of_answers_are_not_prepared_for_documentation(function: str) -> None:
    """The document is a file, so no route of a running function describes its refusals."""
    assert starting(function, "print([route.path for route in app.routes if route.responses])") == "[]"


def test_a_generation_starts_without_what_others_need() -> None:
    """Images to edit, request files and queued jobs are other functions' business."""
    names = ["worker", "batches", "image_input", "fetch", "intake", "request_files", "pixels", "token_registry"]
    wanted = {f"image_gateway.{name}" for name in names} | {"PIL", "boto3"}

    assert starting("generate", f"print(sorted({wanted!r} & set(sys.modules)))") == "[]"


def test_nothing_is_looked_for_that_extends_pydantic() -> None:
    """To look through all packages for it takes longer than to build most models."""
    assert starting("generate", "from pydantic.plugin import _loader\nprint(vars(_loader).get('__file__'))") == "None"
