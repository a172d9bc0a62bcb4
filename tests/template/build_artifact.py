"""Runs `make build`, and runs Python as Lambda would with what the build made.

Run as a program, it makes the build for the functions' Python, if it does not exist yet, and prints where it is:

    .venv/bin/python -m tests.template.build_artifact [--template template.yaml]
"""

import argparse
import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sandbox.template import ROOT, Template

TEMPLATE = Template()
FUNCTIONS = [function.name for function in TEMPLATE.functions()]
LAYERS = [
    name for name, item in TEMPLATE.document["Resources"].items() if item["Type"] == "AWS::Serverless::LayerVersion"
]
MACHINE = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
LAMBDA_PYTHON = "3.13"
"""The version of Python that the functions run on."""
_UV = ".venv-uv/bin/uv"
_BUILDS = ROOT / ".build/artifacts"
_KEPT_BUILDS = 6
_SOURCES = ("functions", "layers", "Makefile", "tests/template/build_artifact.py")


@dataclass(frozen=True)
class Artifact:
    """The output of a build.

    Attributes:
        folder: what `make build` made.
        runtime: a folder with the packages of Lambda's runtime.
        python: the interpreter that the build is for.
        version: the interpreter's version, such as `3.13`.
    """

    folder: Path
    runtime: Path
    python: str
    version: str

    @property
    def layer(self) -> Path:
        return self.folder / "SharedLayer"

    def layers(self, function: str) -> list[Path]:
        """The folders of a function's layers, in the order in which modules are searched."""
        names = [*TEMPLATE.document["Globals"]["Function"]["Layers"], *TEMPLATE.properties(function).get("Layers", [])]
        return [self.folder / name["Ref"] / "python" for name in names]

    def command(self, function: str, code: str) -> tuple[str, ...]:
        """A command that runs `code` with the standard library and what the function could import on Lambda."""
        visible = [str(path) for path in (self.folder / function, *self.layers(function), self.runtime)]
        return (self.python, "-I", "-S", "-c", f"import sys; sys.path[:0] = {visible!r}\n{code}")


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)  # noqa: S603 - our own commands


def lambda_python() -> str | None:
    """Return the path of the Python that the functions run on; None if it is not installed."""
    found = run("make", "--silent", "lambda-python")
    return found.stdout.strip() if found.returncode == 0 else None


def cached_build(python: str, architecture: str, template: Path = ROOT / "template.yaml") -> Path:
    """Return the build of a template for a version of Python; it is made unless one of the same sources exists.

    All tests and `make deploy-local` share the builds, which are in `.build/artifacts`.
    """
    folder = _BUILDS / _digest(python, architecture, template)
    _BUILDS.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            partial = folder.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
            _build(partial, python, architecture, template)
            partial.rename(folder)
            _remove_old_builds()
    return folder / "build"


def _remove_old_builds() -> None:
    """Keep the newest builds: each has 50 MB, and every change of the sources makes another."""
    builds = sorted((path for path in _BUILDS.iterdir() if not path.suffix), key=lambda path: path.stat().st_mtime)
    for path in builds[:-_KEPT_BUILDS]:
        shutil.rmtree(path, ignore_errors=True)
        path.with_suffix(".lock").unlink(missing_ok=True)


def _digest(python: str, architecture: str, template: Path) -> str:
    """Return the hash of everything that a build is made from."""
    digest = hashlib.sha256(f"{python} {architecture}".encode())
    for path in [template, *(file for source in _SOURCES for file in _files(ROOT / source))]:
        digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:24]


def _files(path: Path) -> Iterator[Path]:
    if path.is_file():
        yield path
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(set(folders) - {"__pycache__"})
        yield from (Path(folder, name) for name in sorted(names))


def _build(folder: Path, python: str, architecture: str, source: Path) -> None:
    """Build a template into the folder `build` of a folder."""
    text = re.sub(r"python3\.13\b", f"python{python}", source.read_text())
    text = re.sub(r"((?:Code|Content)Uri): (?=\w)", rf"\1: {ROOT}/", text)
    # SAM builds Python 3.11 for Amazon Linux 2, whose C library is too old for Pillow's wheels: uv installs them then.
    by_sam = python != "3.11"
    if not by_sam:
        (folder / "nothing").mkdir()
        text = text.replace(f"{ROOT}/layers/imaging", str(folder / "nothing"))
    template = folder / "template.yaml"
    template.write_text(text)
    requirements = [f"{TEMPLATE.properties(layer)['ContentUri']}/requirements.txt" for layer in LAYERS]
    current = [option for path in (".venv-template/.ready", *requirements) for option in ("-o", path)]
    variables = (f"TEMPLATE={template}", f"BUILD_DIR={folder / 'build'}", f"LAMBDA_PYTHON={python}")
    done = run("make", "-s", *current, "build", *variables, f"ARCHITECTURE={architecture}")
    assert done.returncode == 0, done.stdout + done.stderr
    if not by_sam:
        target = folder / "build/ImagingLayer/python"
        options = ("--quiet", "--require-hashes", "--only-binary", ":all:", "--python", sys.executable)
        done = run(_UV, "pip", "install", *options, "--target", str(target), "-r", "layers/imaging/requirements.txt")
        assert done.returncode == 0, done.stderr
        run(sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(target))


def runtime_packages(folder: Path, python: str) -> Path:
    """Install what Lambda's runtime has before a function and its layers: its runtime client and boto3."""
    requirements = folder / "runtime.txt"
    export = ("export", "--quiet", "--locked", "--only-group", "runtime", "--no-emit-project", "--no-header")
    options = ("--quiet", "--require-hashes", "--target", str(folder / "runtime"), "--python", python)
    for command in ((*export, "-o", str(requirements)), ("pip", "install", *options, "-r", str(requirements))):
        done = run(_UV, *command)
        assert done.returncode == 0, done.stderr
    return folder / "runtime"


if __name__ == "__main__":
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--template", type=Path, default=ROOT / "template.yaml")
    print(cached_build(LAMBDA_PYTHON, MACHINE, arguments.parse_args().template))  # noqa: T201 - the result
