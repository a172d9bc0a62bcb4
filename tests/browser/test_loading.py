"""Loading the console: on later visits, after a visit that was interrupted, and page by page."""

from collections import Counter

from playwright.sync_api import BrowserContext, CDPSession, expect

from tests.browser.console import Console


def blocked(window: BrowserContext, console: Console, module: str) -> CDPSession:
    """Block requests for a module. Playwright's own routing would switch off the browser's cache."""
    console.expected.append("ERR_BLOCKED_BY_CLIENT")
    network = window.new_cdp_session(console.page)
    network.send("Network.enable")
    network.send("Network.setBlockedURLs", {"urls": [f"*/{module}"]})
    return network


def unblock(network: CDPSession) -> None:
    network.send("Network.setBlockedURLs", {"urls": []})


def test_a_later_visit_takes_the_modules_that_it_shows_from_the_cache_once(console: Console) -> None:
    """They are not fetched before they are imported, and those of other pages are not requested at all."""
    requested: Counter[str] = Counter()
    console.page.on("request", lambda sent: requested.update([sent.url.partition("/console/")[2].partition("/")[2]]))
    console.open(role="user")

    assert {"main.js", "create/page.js", "vendor/preact.mjs"} < set(requested)
    assert not {"setup/page.js", "gallery/page.js"} & set(requested)
    assert {name: times for name, times in requested.items() if name.endswith("js") and times > 1} == {}


def test_modules_that_an_interrupted_visit_left_out_are_loaded(window: BrowserContext, console: Console) -> None:
    """Where imports fail, the modules are loaded as on a first visit, with more tries for each."""
    network = blocked(window, console, "money.js")
    with console.page.expect_event("requestfailed"):
        console.open(role="")
    unblock(network)

    expect(console.page.get_by_label("Token")).to_be_visible()


def test_a_page_whose_modules_could_not_be_loaded_says_so(window: BrowserContext, console: Console) -> None:
    """The other pages work, and trying again shows the page."""
    network = blocked(window, console, "gallery/page.js")
    console.open(role="user")
    console.page.get_by_role("link", name="Gallery").click()
    expect(console.page.get_by_role("alert")).to_contain_text("This page could not be loaded")
    unblock(network)

    console.page.get_by_role("button", name="Try again").click()

    expect(console.page.get_by_role("heading", name="Gallery")).to_be_visible()
