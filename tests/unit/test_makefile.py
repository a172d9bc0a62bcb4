"""`make` reports in one line what is missing: a program, Python, a recent Python, or Python's venv module."""

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sandbox.template import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
TOOLS = re.findall(r"^TOOLS := (.*)", MAKEFILE, re.MULTILINE)[0].split()
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"

# Programs that run the code of `python3 -c CODE` in this interpreter, with one change to it.
OLD = "import sys; sys.version_info = (3, 9, 2, 'final', 0); exec(sys.argv[2])"
WITHOUT_ENSUREPIP = "import sys; sys.modules['ensurepip'] = None; exec(sys.argv[2])"
WITHOUT_VENV = "import sys; sys.modules['venv'] = None; exec(sys.argv[2])"


class Computer:
    """A folder with the Makefile, and a `PATH` that has only `make`, a shell and the tools that the Makefile names."""

    def __init__(self, folder: Path) -> None:
        self.programs = folder / "bin"
        self.programs.mkdir()
        self._project = folder / "project"
        self._project.mkdir()
        for name in ("Makefile", "uv.lock", "pyproject.toml"):
            shutil.copy(ROOT / name, self._project)
        for name in ("make", "sh", *TOOLS):
            program = shutil.which(name)
            assert program, name
            (self.programs / name).symlink_to(program)

    def add_python(self, name: str, program: str) -> None:
        """Install a Python that runs `program` with the arguments that it is given."""
        path = self.programs / name
        path.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{program}" "$@"\n')
        path.chmod(0o755)

    def add_environment(self, program: str) -> None:
        """Set up what the sandbox needs, with a Python that runs this shell program with its arguments."""
        self._add_files(program, ".venv-uv/bin/uv", ".venv/bin/python", ".venv/.sandbox")

    def add_uv(self) -> None:
        """Install uv as make does, and nothing else."""
        self._add_files("exit 0", ".venv-uv/bin/uv")

    def _add_files(self, program: str, *names: str) -> None:
        for number, name in enumerate(names):
            path = self._project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"#!/bin/sh\n{program}\n")
            path.chmod(0o755)
            # Newer than the files before it, and than those of the repository.
            os.utime(path, (time.time() + number, time.time() + number))

    def make(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        command = (str(self.programs / "make"), *arguments)
        environment = {"PATH": str(self.programs), **variables}
        return subprocess.run(  # noqa: S603 - our own Makefile
            command, cwd=self._project, env=environment, capture_output=True, text=True, check=False
        )


@pytest.fixture
def computer(tmp_path: Path) -> Computer:
    return Computer(tmp_path)


def error_message(process: subprocess.CompletedProcess[str]) -> str:
    """Return the error message of make, which must be its only output."""
    assert process.returncode == 2
    assert process.stdout == ""
    match = re.fullmatch(r"Makefile:\d+: \*\*\* (.*)\.  Stop\.\n", process.stderr)
    assert match, process.stderr
    return match[1]


@pytest.mark.parametrize("program", [WITHOUT_ENSUREPIP, WITHOUT_VENV], ids=["no ensurepip", "no venv"])
def test_a_missing_venv_module_is_reported(computer: Computer, program: str) -> None:
    """For a Debian Python without the venv package, make names the package, without a traceback."""
    computer.add_python("python3", program)

    message = error_message(computer.make("demo"))

    assert message == f"Python's venv module is missing: apt install python{VERSION}-venv (Debian, Ubuntu)"


def test_an_old_python_is_reported(computer: Computer) -> None:
    """For a Python older than 3.11, make reports its version and the package to install."""
    computer.add_python("python3", OLD)

    message = error_message(computer.make("demo"))

    assert message == (
        "Python 3.11 or later is needed, and python3 is version 3.9: "
        "apt install python3.11-venv (Debian, Ubuntu), then make PYTHON=python3.11"
    )


def test_a_missing_python_is_reported(computer: Computer) -> None:
    """Without Python, make names the package to install, and the variable that selects another Python."""
    message = error_message(computer.make("demo"))

    assert message == (
        "python3 is missing: apt install python3-venv (Debian, Ubuntu), or name another Python: make PYTHON=python3.13"
    )


def test_a_missing_named_python_is_reported(computer: Computer) -> None:
    """If `PYTHON` is not installed, the message names that version."""
    computer.add_python("python3", "import sys; exec(sys.argv[2])")

    message = error_message(computer.make("test", "PYTHON=python3.12"))

    assert message.startswith("python3.12 is missing: apt install python3.12-venv (Debian, Ubuntu)")


@pytest.mark.parametrize("target", ["demo", "fuzz"])
def test_a_missing_named_python_is_reported_when_uv_is_installed(computer: Computer, target: str) -> None:
    """Another Python may be named later. uv would try to download it."""
    computer.add_uv()

    message = error_message(computer.make(target, "PYTHON=python3.12"))

    assert message.startswith("python3.12 is missing: apt install python3.12-venv (Debian, Ubuntu)")


def test_a_python_that_does_not_run_is_reported(computer: Computer) -> None:
    """If Python fails, such as a version manager's without a selected version, make prints one line, not its output."""
    computer.add_python("python3", "import sys; sys.exit('no version is selected')")

    message = error_message(computer.make("demo"))

    assert message == "python3 does not run: name another Python: make PYTHON=python3.13"


@pytest.mark.parametrize(("tool", "package"), [("awk", "mawk"), ("grep", "grep"), ("touch", "coreutils")])
def test_a_missing_program_is_reported(computer: Computer, tool: str, package: str) -> None:
    """A missing program that recipes use is reported with its package, for every target."""
    (computer.programs / tool).unlink()

    message = error_message(computer.make("help"))

    assert message == f"Missing programs: {tool}: apt install {package} (Debian, Ubuntu)"


def test_several_missing_programs_are_reported_in_one_line(computer: Computer) -> None:
    """All missing programs and their packages are reported together, each package once."""
    for tool in ("awk", "mkdir", "touch"):
        (computer.programs / tool).unlink()

    message = error_message(computer.make("help"))

    assert message == "Missing programs: awk mkdir touch: apt install coreutils mawk (Debian, Ubuntu)"


def test_recipes_use_only_programs_that_make_checks() -> None:
    """Every program that a recipe runs is in `TOOLS`, the list of programs that make looks for."""
    recipes = "\n".join(re.findall(r"^\t(.*)", MAKEFILE.partition("\nhelp:")[2], re.MULTILINE)).replace("\\\n", " ")
    starts = re.findall(r"(?:^|&&|\|\||\||\{|;|\$\$\()\s*@?([a-z]\w*)(?=[ )])", recipes, re.MULTILINE)
    shell = {"echo", "exec", "exit", "printf", "unset"}

    assert set(starts) - shell <= set(TOOLS)
    assert {"awk", "dirname", "mkdir", "rm", "touch"} <= set(starts)


def test_run_passes_template_parameters_on(computer: Computer) -> None:
    """Variables on the command line whose names have a lower-case letter are template parameters; values stay whole."""
    computer.add_environment('for argument in "$@"; do echo "<$argument>"; done')

    process = computer.make("run", "PORT=1", "ADMIN_TOKEN=secret", "FetchAllowedHosts=a, 'b\"", "UrlExpirySeconds=")

    arguments = process.stdout.splitlines()
    assert arguments[:5] == ["<-m>", "<sandbox>", "<run>", "<--port>", "<1>"]
    assert sorted(arguments[5:]) == ["<FetchAllowedHosts=a, 'b\">", "<UrlExpirySeconds=>"]


def test_run_ignores_parameters_of_the_environment(computer: Computer) -> None:
    """A variable that happens to be set in the shell, such as `Architecture`, changes nothing."""
    computer.add_environment('echo "$@"')

    assert computer.make("run", Architecture="x86_64").stdout == "-m sandbox run --port 8000\n"


def test_help_lists_every_target(computer: Computer) -> None:
    """`make` alone lists each target for people with what it does, and needs no Python."""
    listed = dict(re.findall(r"^  make ([\w-]+) +(\S.*)$", computer.make().stdout, re.MULTILINE))
    targets = " ".join(re.findall(r"^\.PHONY: (.*)", MAKEFILE, re.MULTILINE)).split()

    assert set(listed) == set(targets) - {"chromium", "lambda-python"}
    assert all(re.match(r"[A-Z][a-z]+ ", text) for text in listed.values())
