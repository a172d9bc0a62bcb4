"""One sandbox and one browser for all flows, because both take seconds to start."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from playwright.sync_api import BrowserContext, ViewportSize, sync_playwright

from tests.browser.console import Console, Gateway, running_gateway

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
"""The same engine in all. The first has no window, tabs or settings, which take half of the CPU time of the others."""
CHROMIUM = next(filter(None, map(shutil.which, BROWSERS)), None)
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    # All tabs are in one process, which has the console's modules compiled.
    *("--process-per-site", "--renderer-process-limit=1", "--disable-site-isolation-trials"),
]

_PLAYWRIGHT = ThreadPoolExecutor(max_workers=1, thread_name_prefix="playwright")
"""A thread of its own: Playwright has an event loop running in it from the first flow to the end, and other tests of
this process start loops in theirs."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run all flows in one process, and skip them where there is no browser."""
    for item in items:
        if item.path.parent.name == "browser":
            item.add_marker(pytest.mark.xdist_group("browser"))
            if CHROMIUM is None:
                item.add_marker(
                    pytest.mark.skip("Chromium is not installed: apt install chromium-headless-shell (Debian)")
                )


@pytest.fixture(scope="session")
def started_gateway() -> Iterator[Gateway]:
    """A sandbox on a free port."""
    with running_gateway() as gateway:
        yield gateway


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a flow in the thread of Playwright; fixtures that use the page must do so there too."""
    if pyfuncitem.path.parent.name != "browser":
        return None
    names = pyfuncitem._fixtureinfo.argnames
    _PLAYWRIGHT.submit(pyfuncitem.obj, **{name: pyfuncitem.funcargs[name] for name in names}).result()
    return True


@pytest.fixture(scope="session")
def window(started_gateway: Gateway) -> Iterator[BrowserContext]:
    """A window of Debian's Chromium, whose cache all flows share. What a session stores is each tab's own."""
    playwright = _PLAYWRIGHT.submit(sync_playwright().start).result()

    def opened() -> BrowserContext:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        viewport: ViewportSize = {"width": 1280, "height": 800}
        window = browser.new_context(viewport=viewport, reduced_motion="reduce", locale="en-US")
        # The tabs' process ends with the last tab: this one stays.
        page = window.new_page()
        page.goto(f"{started_gateway.url}/console/")
        # Then all modules are in the cache.
        page.get_by_label("Token").wait_for()
        return window

    yield _PLAYWRIGHT.submit(opened).result()
    _PLAYWRIGHT.submit(playwright.stop).result()


@pytest.fixture
def gateway(started_gateway: Gateway) -> Iterator[Gateway]:
    """The sandbox; its engines and its configuration are restored afterwards."""
    config = started_gateway.request("GET", "config")
    started_gateway.reset()
    yield started_gateway
    # Masked secrets keep their values.
    started_gateway.configure(**config)
    started_gateway.reset()


@pytest.fixture
def console(window: BrowserContext, gateway: Gateway) -> Iterator[Console]:
    """A console in a tab of its own. In the end, nothing unexpected may have gone wrong in it."""
    console = _PLAYWRIGHT.submit(lambda: Console(window.new_page(), gateway)).result()
    yield console
    _PLAYWRIGHT.submit(console.page.close).result()
    assert console.unexpected() == []
