"""Runs `make build`, and runs Python as Lambda would with what the build made."""

import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from sandbox.template import ROOT, Template

TEMPLATE = Template()
FUNCTIONS = [function.name for function in TEMPLATE.functions()]
LAYERS = [
    name for name, item in TEMPLATE.document["Resources"].items() if item["Type"] == "AWS::Serverless::LayerVersion"
]
MACHINE = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
_UV = ".venv-uv/bin/uv"


@dataclass(frozen=True)
class Artifact:
    """The output of a build, and a folder with the packages of Lambda's runtime."""

    folder: Path
    runtime: Path

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
        return (sys.executable, "-I", "-S", "-c", f"import sys; sys.path[:0] = {visible!r}\n{code}")


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)  # noqa: S603 - our own commands


def build(folder: Path, python: str, architecture: str) -> Path:
    """Build the template into a folder outside the repository, for the given version of Python; gives the output."""
    text = re.sub(r"python3\.13\b", f"python{python}", (ROOT / "template.yaml").read_text())
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
    return folder / "build"
