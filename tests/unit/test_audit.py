"""`make audit`: what it makes of pip-audit's answers."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.template import ROOT

CLEAN = {"name": "fastapi", "version": "1.0", "vulns": []}
UNKNOWN = {"name": "httpx", "skip_reason": "Dependency not found on PyPI and could not be audited: httpx (0.28.1)"}
VULNERABLE = {
    "name": "pillow",
    "version": "13.0",
    "vulns": [{"id": "PYSEC-2026-1", "fix_versions": ["13.1"], "aliases": [], "description": "A heap overflow"}],
}

Audit = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    """Audit files of requirements with a pip-audit that answers for each as given: packages, or words of failure."""

    def run(*answers: list[dict[str, Any]] | str) -> subprocess.CompletedProcess[str]:
        files = []
        for number, answer in enumerate(answers):
            files.append(str(tmp_path / f"{number}.txt"))
            text = answer if isinstance(answer, str) else json.dumps({"dependencies": answer, "fixes": []})
            Path(files[-1]).write_text(text)
        stand_in = tmp_path / "pip-audit"
        stand_in.write_text(
            f"#!{sys.executable}\n"
            "import sys\n"
            "text = open(sys.argv[-1]).read()\n"
            'print(text, file=sys.stdout if text.startswith("{") else sys.stderr)\n'
            "sys.exit('PYSEC' in text or not text.startswith('{'))\n"
        )
        stand_in.chmod(0o755)
        command = [sys.executable, str(ROOT / ".ci/security/audit.py"), str(stand_in), *files]
        return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own

    return run


def test_a_clean_lock_passes(audit: Audit) -> None:
    """Without a vulnerability it succeeds, and says how many packages it looked up."""
    done = audit([CLEAN, UNKNOWN], [CLEAN])

    assert done.returncode == 0
    assert [line.partition(".txt: ")[2] for line in done.stdout.splitlines()] == [
        "1 packages looked up, 0 findings",
        "1 packages looked up, 0 findings",
    ]


def test_a_vulnerability_fails(audit: Audit) -> None:
    """A vulnerability in any of the files fails, and is named with the version that has it no more."""
    done = audit([CLEAN], [CLEAN, VULNERABLE])

    assert done.returncode == 1
    assert done.stdout.splitlines()[-1] == "pillow 13.0: PYSEC-2026-1, fixed in 13.1"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ([UNKNOWN, UNKNOWN], "Dependency not found on PyPI"),
        ("Traceback\nrequests.exceptions.ProxyError: Unable to connect to proxy", "requests.exceptions.ProxyError"),
        ("ERROR:pip_audit._cli:Could not connect to PyPI's vulnerability feed", "Could not connect to PyPI's"),
    ],
)
def test_a_registry_that_tells_nothing_is_no_failure(audit: Audit, answer: Any, reason: str) -> None:
    """A registry without a vulnerabilities service, or none at all, is said with its reason and asked no further."""
    done = audit(answer, [VULNERABLE])

    assert done.returncode == 0
    (line,) = done.stdout.splitlines()
    assert line.startswith("audit: skipped, ")
    assert reason in line


def test_what_was_found_before_the_registry_failed_counts(audit: Audit) -> None:
    """A vulnerability stays one when the registry cannot be asked any further."""
    done = audit([VULNERABLE], "requests.exceptions.ReadTimeout")

    assert done.returncode == 1
    assert "PYSEC-2026-1" in done.stdout


def test_a_defect_is_a_failure(audit: Audit) -> None:
    """When pip-audit fails for any other reason, so does the audit, in its words."""
    done = audit("ERROR: invalid requirement in line 3")

    assert done.returncode == 1
    assert "invalid requirement" in done.stderr
