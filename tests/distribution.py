"""How pytest-xdist distributes the tests: whole files, so that tests of a file share what its fixtures create.

Tests with an `xdist_group` stay together, whatever file they are in. With `--no-loadscope-reorder` they start in the
order of collection, that of the alphabet: the unit tests come last, which are short and wait for nothing, so that all
processes end at about the same time.
"""

from typing import Any

import pytest

_WAITING = "tests/unit/sandbox/"
"""Unit tests that wait for processes. They come first, while others work."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let the tests that wait come first."""
    items.sort(key=lambda item: not item.nodeid.startswith(_WAITING))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Return what assigns tests to processes."""
    from xdist.scheduler import LoadGroupScheduling

    class ByFileOrGroup(LoadGroupScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return super()._split_scope(nodeid).split("::")[0]

    return ByFileOrGroup(config, log)
