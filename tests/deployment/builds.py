"""Changed builds: one with another version of a function, and one that CloudFormation cannot deploy.

Their templates are JSON, which the SAM CLI and the emulator read in a fraction of the time that they need for YAML.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

from sandbox.template_document import load_document

HEADER = "x-deployment-test"
"""The header of responses of a changed configuration function; its value is the version."""

_CHANGE = """

_original = handler


def handler(event, context):
    response = _original(event, context)
    return {{**response, "headers": {{**response["headers"], "{header}": "{version}"}}}}
"""
_BROKEN_RESOURCE = {
    "Type": "AWS::SQS::Queue",
    # After the function was updated, so that it has to be rolled back.
    "DependsOn": "ConfigFunction",
    "Properties": {"VisibilityTimeout": 43_201},
}
"""The longest visibility timeout is 43,200 s."""


def changed(build: Path, folder: Path, version: str) -> Path:
    """Make a build whose configuration function names its version in a header; return it."""
    return _changed(build, folder, version, {})


def broken(build: Path, folder: Path) -> Path:
    """Make a build with another version of the function, and with a resource that cannot be created; return it."""
    return _changed(build, folder, "broken", {"QueueThatCannotBe": _BROKEN_RESOURCE})


def _changed(build: Path, folder: Path, version: str, resources: dict[str, Any]) -> Path:
    """Make a build with another version of the function and more resources."""
    copy = folder / version
    shutil.copytree(build, copy, copy_function=_link)
    module = copy / "ConfigFunction/functions/config/app.py"
    _replace(module, module.read_text() + _CHANGE.format(header=HEADER, version=version))
    # Bytecode of a build is used without a look at the source.
    for compiled in module.parent.glob("__pycache__/app.*.pyc"):
        compiled.unlink()
    template = copy / "template.yaml"
    document = load_document(template)
    _replace(template, json.dumps({**document, "Resources": {**document["Resources"], **resources}}))
    return copy


def _link(source: str, target: str) -> None:
    """Link a file, or copy it if the target is on another file system."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _replace(path: Path, text: str) -> None:
    """Write a file anew: it is a link to the file of the original build."""
    path.unlink()
    path.write_text(text)
