"""When Python's collector of cyclic garbage runs: by default, it takes a tenth of the time of the tests."""

import gc

import pytest

_THRESHOLDS = (20_000, 20, 50)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Leave out what exists before the first test, e.g. modules and tests, and run the collector more rarely."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)
