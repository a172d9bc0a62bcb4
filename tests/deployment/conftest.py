"""MiniStack for tests, one for a process."""

from collections.abc import Iterator

import pytest

from tests.deployment import emulator
from tests.deployment.emulator import MiniStack


@pytest.fixture(scope="session")
def ministack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MiniStack]:
    """The emulator of AWS that checks signatures and rights."""
    if not emulator.PYTHON.exists():
        pytest.skip("MiniStack is not installed, because Python 3.13 is missing (make lambda-python)")
    with MiniStack(tmp_path_factory.mktemp("ministack") / "log") as running:
        yield running
