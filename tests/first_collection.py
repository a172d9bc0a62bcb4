"""In a new clone, one of pytest-xdist's workers collects the tests first, and the others use its bytecode.

Each would otherwise compile all tests, and all packages that they import, which takes most of the time of a collection.
"""

import fcntl
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sandbox.template import ROOT

_COMPILED = ROOT / ".build/tests-compiled"
"""Not empty if all tests have been collected before. What was changed since is not worth a wait."""


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """In pytest-xdist's workers, let one compile what all of them import."""
    if not hasattr(session.config, "workerinput"):
        return (yield)
    with _compiled_once():
        return (yield)


@contextmanager
def _compiled_once() -> Iterator[None]:
    """Collect the tests during the block: at once, or when the process that compiles them has done so."""
    if sys.dont_write_bytecode:
        yield
        return
    _COMPILED.parent.mkdir(exist_ok=True)
    with _COMPILED.open("a+") as compiled:
        if not compiled.tell() and _is_first(compiled.fileno()):
            yield
            compiled.write("yes\n")
            return
    yield


def _is_first(file: int) -> bool:
    """Lock the file until it is closed; if another process has done so, wait for that one."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        fcntl.flock(file, fcntl.LOCK_SH)
        return False
    return True
