"""How pytest-xdist distributes the tests: whole files, so that tests of a file share what its fixtures create.

Tests with an `xdist_group` stay together, whatever file they are in. What starts first is what comes first in the
alphabet of folders, with `--no-loadscope-reorder`: that is what takes longest, and short unit tests remain for the end.
"""

from typing import Any

import pytest


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Return what assigns tests to processes."""
    from xdist.scheduler import LoadGroupScheduling

    class ByFileOrGroup(LoadGroupScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return super()._split_scope(nodeid).split("::")[0]

    return ByFileOrGroup(config, log)
