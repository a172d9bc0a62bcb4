"""`make audit`: the result for each kind of output of pip-audit."""

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
    """Run the audit of one requirements file per argument, with a fake pip-audit.

    An argument is what pip-audit reports for the file: a list of packages, or the text of a failure.
    """

    def run(*reports: list[dict[str, Any]] | str) -> subprocess.CompletedProcess[str]:
        files = []
        for number, report in enumerate(reports):
            files.append(str(tmp_path / f"{number}.txt"))
            text = report if isinstance(report, str) else json.dumps({"dependencies": report, "fixes": []})
            Path(files[-1]).write_text(text)
        fake_pip_audit = tmp_path / "pip-audit"
        fake_pip_audit.write_text(
            f"#!{sys.executable}\n"
            "import sys\n"
            "text = open(sys.argv[-1]).read()\n"
            'print(text, file=sys.stdout if text.startswith("{") else sys.stderr)\n'
            "sys.exit('PYSEC' in text or not text.startswith('{'))\n"
        )
        fake_pip_audit.chmod(0o755)
        command = [sys.executable, str(ROOT / ".ci/security/audit.py"), str(fake_pip_audit), *files]
        return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own

    return run


def test_a_file_without_vulnerabilities_passes(audit: Audit) -> None:
    """Without vulnerabilities the audit succeeds, and reports how many packages were looked up."""
    process = audit([CLEAN, UNKNOWN], [CLEAN])

    assert process.returncode == 0
    assert [line.partition(".txt: ")[2] for line in process.stdout.splitlines()] == [
        "1 packages looked up, 0 findings",
        "1 packages looked up, 0 findings",
    ]


def test_a_vulnerability_fails(audit: Audit) -> None:
    """A vulnerability in any file fails the audit, and is reported with the version that fixes it."""
    process = audit([CLEAN], [CLEAN, VULNERABLE])

    assert process.returncode == 1
    assert process.stdout.splitlines()[-1] == "pillow 13.0: PYSEC-2026-1, fixed in 13.1"


@pytest.mark.parametrize(
    ("report", "reason"),
    [
        ([UNKNOWN, UNKNOWN], "Dependency not found on PyPI"),
        ("Traceback\nrequests.exceptions.ProxyError: Unable to connect to proxy", "requests.exceptions.ProxyError"),
        ("ERROR:pip_audit._cli:Could not connect to PyPI's vulnerability feed", "Could not connect to PyPI's"),
    ],
)
def test_a_registry_without_vulnerability_data_skips_the_audit(audit: Audit, report: Any, reason: str) -> None:
    """If the registry has no vulnerability data or is unreachable, the audit stops, succeeds and prints the reason."""
    process = audit(report, [VULNERABLE])

    assert process.returncode == 0
    (line,) = process.stdout.splitlines()
    assert line.startswith("audit: skipped, ")
    assert reason in line


def test_a_vulnerability_found_before_the_registry_fails_counts(audit: Audit) -> None:
    """A reported vulnerability fails the audit, even if the registry fails for the next file."""
    process = audit([VULNERABLE], "requests.exceptions.ReadTimeout")

    assert process.returncode == 1
    assert "PYSEC-2026-1" in process.stdout


def test_any_other_failure_of_pip_audit_fails_the_audit(audit: Audit) -> None:
    """If pip-audit fails for another reason, the audit fails with its message."""
    process = audit("ERROR: invalid requirement in line 3")

    assert process.returncode == 1
    assert "invalid requirement" in process.stderr
