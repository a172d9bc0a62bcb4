"""Loading the console: on the first visit, on later ones, and after a visit that was interrupted."""

from collections import Counter

from playwright.sync_api import BrowserContext, expect

from tests.browser.console import Console


def scripts(console: Console) -> Counter[str]:
    """Count the requests for the console's modules from now on, by their names."""
    counted: Counter[str] = Counter()
    console.page.on("request", lambda sent: counted.update([sent.url] if sent.url.endswith(("js", "mjs")) else []))
    return counted


def test_a_later_visit_takes_each_module_from_the_cache_once(console: Console) -> None:
    """The modules are not loaded before they are imported: they are in the browser's cache."""
    requested = scripts(console)
    console.open(role="")
    expect(console.page.get_by_label("Token")).to_be_visible()

    assert len(requested) > 60
    assert set(requested.values()) == {1}


def test_modules_that_an_interrupted_visit_left_out_are_loaded(window: BrowserContext, console: Console) -> None:
    """Where imports fail, the modules are loaded as on a first visit, with more tries for each."""
    console.expected.append("ERR_BLOCKED_BY_CLIENT")
    network = window.new_cdp_session(console.page)
    network.send("Network.enable")
    network.send("Network.setBlockedURLs", {"urls": ["*/money.js"]})
    with console.page.expect_event("requestfailed"):
        console.open(role="")
    network.send("Network.setBlockedURLs", {"urls": []})

    expect(console.page.get_by_label("Token")).to_be_visible()
