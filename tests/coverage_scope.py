"""Which part of a run is traced for coverage: tracing takes a third of the time of what it traces.

Left out are tests that repeat what others reach, and the collection of tests in pytest-xdist's workers. So the real
coverage can only be higher than the reported one. The controller imports all modules, so that their first lines count.
"""

import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import pytest

import functions
import image_gateway
from tests.first_collection import compiled_once

UNTRACED = (
    # They test the sandbox, scripts, or functions in processes of their own, which are not traced anyway.
    "tests/benchmarks/",
    "tests/chaos/",
    "tests/conformance/",
    "tests/browser/",
    "tests/deployment/",
    "tests/integration/leaks/",
    "tests/integration/sandbox/",
    "tests/manual/",
    "tests/scale/",
    "tests/template/",
    "tests/unit/sandbox/",
    # Of what these reach, other tests reach all but 0.3 % of the code.
    "tests/integration/images_api/",
    "tests/integration/jobs/",
    "tests/unit/api/",
    "tests/unit/batches/",
    # Many random requests and inputs. Other tests cover what these reach.
    "tests/integration/all_routes/test_fuzz.py",
    "tests/unit/properties/",
)
"""What the ids of tests begin with that are not traced."""


def pytest_sessionstart(session: pytest.Session) -> None:
    """In pytest-xdist's controller, import every module of what is deployed."""
    if _controller_of_coverage(session.config) and not hasattr(session.config, "workerinput"):
        for package in (image_gateway, functions):
            for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
                import_module(module.name)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Iterator[None]:
    """In pytest-xdist's workers, trace no imports, and let one worker compile what all of them import."""
    if not hasattr(session.config, "workerinput"):
        return (yield)
    with compiled_once(), _untraced(session.config):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Trace a test, with its fixtures, unless its id begins with one of `UNTRACED`."""
    if not item.nodeid.startswith(UNTRACED):
        return (yield)
    with _untraced(item.config):
        return (yield)


@contextmanager
def _untraced(config: pytest.Config) -> Iterator[None]:
    controller = _controller_of_coverage(config)
    if controller is None:
        yield
        return
    controller.pause()
    try:
        yield
    finally:
        controller.resume()


def _controller_of_coverage(config: pytest.Config) -> Any:
    """Return what starts and stops pytest-cov's tracing; None if nothing is traced."""
    return getattr(config.pluginmanager.getplugin("_cov"), "cov_controller", None)
