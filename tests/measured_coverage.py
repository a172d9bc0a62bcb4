"""How much of what is deployed the tests run: measured if the variable `MEASURE_COVERAGE` is set, as by `make test`.

Slipcover removes each of its probes when it is reached, so that it takes hardly any time. Coverage.py traces every line
with Python 3.11, which took a fifth of the time of all tests. Modules are measured that are imported after this one.
"""

import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
import slipcover

MIN_PERCENT = 98
"""With a smaller share of lines and branches, the run fails."""

_ROOT = Path(__file__).parents[1]
_MEASURED = [str(_ROOT / "layers/shared/image_gateway"), str(_ROOT / "functions")]
"""What is deployed. The sandbox is left out: processes of their own run most of it."""

_UNREACHABLE = [r"raise AssertionError\(\"unreachable\"\)", r"\.\.\.$"]
_TOTAL = pytest.StashKey[dict[str, Any]]()


def _measure() -> slipcover.Slipcover:
    """Start to measure this process."""
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    # The controller adds the modules that nothing imports.
    probes = slipcover.Slipcover(
        immediate=True, branch=True, source=None if is_worker else _MEASURED, exclude_also=_UNREACHABLE
    )
    slipcover.ImportManager(probes, slipcover.FileMatcher(sources=_MEASURED)).__enter__()
    return probes


_probes = _measure() if "MEASURE_COVERAGE" in os.environ else None


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """In pytest-xdist's controller, add what a worker measured, unless it crashed."""
    measured = getattr(node, "workeroutput", {}).get("coverage")
    if measured:
        total = node.config.stash.setdefault(_TOTAL, json.loads(measured))
        slipcover.merge_coverage(total, json.loads(measured))


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send what was measured to the controller; there, let too little fail the run."""
    if not _probes:
        return
    measured = _probes.get_coverage()
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["coverage"] = json.dumps(measured)
        return
    total = session.config.stash.get(_TOTAL, measured)
    session.config.stash[_TOTAL] = slipcover.merge_coverage(total, measured)
    if total["summary"]["percent_covered"] < MIN_PERCENT:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """List the lines and branches that no test reaches."""
    total = config.stash.get(_TOTAL, None)
    if not total:
        return
    table = io.StringIO()
    slipcover.print_coverage(total, outfile=table, skip_covered=True)
    terminalreporter.write_sep("=", "coverage")
    terminalreporter.write_line(table.getvalue().rstrip())
    percent = total["summary"]["percent_covered"]
    terminalreporter.write_line(f"{percent:.2f} % of lines and branches, of {MIN_PERCENT} % at least")
