"""What holds for every page: accessibility, small screens, the keyboard, and text that stays text."""

import html
import json
from typing import Any, Literal

import pytest
from playwright.sync_api import expect

from sandbox.template import ROOT
from tests.browser.console import TOKENS, Console
from tests.browser.test_setting_up import file_of, workflow

AXE = ROOT / ".ci/console/node_modules/axe-core/axe.min.js"
PAGES = ["create", "edit", "gallery", "setup", "usage", "tokens", "health"]
SETUP = ["comfyui", "connections", "routes"]
SCRIPT = "no <script>alert(3)</script>"
MARKUP = '<img src=x onerror="alert(1)"><script>alert(2)</script>'


def violations(console: Console, scheme: str) -> list[Any]:
    """Return what axe-core finds wrong with what the page shows now: in dark, only its colors differ."""
    options: dict[str, Any] = {"resultTypes": ["violations"]}
    if scheme == "dark":
        options["runOnly"] = ["color-contrast"]
    # What passes is many times as long.
    found = console.page.evaluate("options => axe.run(options).then(({ violations }) => violations)", options)
    return [(item["id"], [node["html"][:200] for node in item["nodes"]]) for item in found]


def violations_of_set_up(console: Console, scheme: str) -> dict[str, list[Any]]:
    """Return what `violations` finds on each part of the set-up, by name."""
    page = console.page
    page.get_by_role("link", name="Set up").click()
    page.get_by_role("button", name="Edit OpenAI and compatible servers").click()
    found = {"setup": violations(console, scheme)}
    for part in ("ComfyUI", "Connections", "Routes"):
        page.get_by_role("navigation", name="Parts of the set-up").get_by_role("link", name=part).click()
        expect(page.locator(".loading")).to_have_count(0)
        if part == "ComfyUI":
            page.locator("input[type=file]").set_input_files(file_of(workflow(joined=True)))
            expect(page.get_by_text("1 row to check")).to_be_visible()
        found[part] = violations(console, scheme)
    page.get_by_role("button", name="New route").first.click()
    found["route"] = violations(console, scheme)
    page.keyboard.press("Escape")
    return found


@pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: that needs Node.js with npm, then make test")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_page_violates_an_accessibility_rule(console: Console, scheme: Literal["light", "dark"]) -> None:
    """Axe finds nothing on any page, with its forms and dialogs open, in light and in dark."""
    page = console.page
    page.emulate_media(color_scheme=scheme)
    console.open(role="")
    expect(page.get_by_label("Token")).to_be_focused()
    # Evaluated by the browser's debugger: the page's own policy would not let it run.
    page.evaluate(AXE.read_text())
    found = {"sign in": violations(console, scheme)}
    page.get_by_label("Token").fill(TOKENS["admin"])
    page.keyboard.press("Enter")
    card = console.create("a fair fox")
    page.get_by_role("button", name="More options").click()
    expect(card.locator(".job-image.shown")).to_be_visible()
    found["create"] = violations(console, scheme)
    card.get_by_role("button", name="Use as input").click()
    expect(page.locator("canvas.mask")).to_be_visible()
    found["edit"] = violations(console, scheme)
    page.get_by_role("link", name="Gallery").click()
    expect(page.get_by_role("list", name="Jobs")).to_be_visible()
    found["gallery"] = violations(console, scheme)
    page.get_by_role("list", name="Jobs").get_by_role("link").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("Attempts")
    found["sheet"] = violations(console, scheme)
    page.keyboard.press("Escape")
    found |= violations_of_set_up(console, scheme)
    page.get_by_role("link", name="Usage").click()
    expect(page.get_by_role("region", name="Servers")).to_be_visible()
    found["usage"] = violations(console, scheme)
    page.get_by_role("button", name="Limit", exact=True).click()
    page.get_by_role("button", name="Add a source").click()
    found["limits"] = violations(console, scheme)
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Tokens").click()
    page.get_by_role("button", name="New token").click()
    page.get_by_text("Forwards end users").click()
    found["tokens"] = violations(console, scheme)
    page.keyboard.press("Escape")
    page.get_by_role("link", name="Health").click()
    expect(page.get_by_text("Dead letters")).to_be_visible()
    found["health"] = violations(console, scheme)

    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_every_page_fits_a_screen_of_360_pixels(console: Console) -> None:
    """Nothing is wider than the screen, and all pages can be reached from the bar at the bottom."""
    console.page.set_viewport_size({"width": 360, "height": 740})
    console.open("create")
    card = console.create("a narrow fox")
    expect(card.locator(".job-image.shown")).to_be_visible()
    card.get_by_role("button", name="Use as input").click()
    toolbar = console.page.get_by_role("toolbar", name="Mask")
    expect(toolbar).to_be_visible()
    assert toolbar.evaluate("element => element.scrollWidth <= element.clientWidth")
    widths = {}
    for name in PAGES:
        link = console.page.get_by_role("navigation", name="Pages").locator(f"a[href='#/{name}']")
        link.click()
        expect(link).to_have_attribute("aria-current", "page")
        expect(console.page.locator(".loading")).to_have_count(0)
        widths[name] = console.page.evaluate("document.scrollingElement.scrollWidth")
    for part in SETUP:
        console.page.goto(f"{console.gateway.url}/console/#/setup/{part}")
        expect(console.page.locator(".loading")).to_have_count(0)
        if part == "comfyui":
            console.page.locator("input[type=file]").set_input_files(file_of(workflow(joined=True)))
            expect(console.page.get_by_role("region", name="Node map")).to_be_visible()
        widths[part] = console.page.evaluate("document.scrollingElement.scrollWidth")

    assert widths == dict.fromkeys([*PAGES, *SETUP], 360)


def test_everything_is_done_with_the_keyboard_alone(console: Console) -> None:
    """Signing in, an image, its actions, another page and signing out, without a pointer; the focus can be seen."""
    page = console.page
    console.open(role="")
    expect(page.get_by_label("Token")).to_be_focused()
    page.keyboard.type(TOKENS["user"])
    page.keyboard.press("Enter")
    expect(page.get_by_label("What the image should show")).to_be_focused()
    page.keyboard.type("a key fox")
    page.keyboard.press("Control+Enter")
    card = page.get_by_role("article", name="a key fox")
    expect(card.locator(".job-image.shown")).to_be_visible()

    copy = card.get_by_role("button", name="Copy link")
    for _ in range(12):
        page.keyboard.press("Tab")
        if copy.evaluate("element => element === document.activeElement"):
            break
    expect(copy).to_be_focused()
    assert copy.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"
    assert float(copy.evaluate("element => getComputedStyle(element.parentElement).opacity")) > 0.5

    page.get_by_role("link", name="Gallery").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Gallery")).to_be_visible()
    page.get_by_role("button", name="Sign out").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Token")).to_be_focused()


def test_markup_of_prompts_engines_and_models_stays_text(console: Console) -> None:
    """HTML and script in a prompt, an engine's error, a warning and a model's name are shown as they are."""
    page = console.page
    console.gateway.configure(
        IMAGES_OPENAI_API_PARAMS={"style": MARKUP}, IMAGE_MODEL_ALIASES={MARKUP: "openai/gpt-image-2"}
    )
    console.open()
    expect(page.get_by_label("Model or route").locator("option", has_text=MARKUP)).to_have_count(1)
    card = console.create(MARKUP)
    expect(card.locator(".job-prompt")).to_have_text(MARKUP)
    fault = {
        "status": 400,
        "body": {"error": {"message": html.escape(SCRIPT), "code": "x"}},
        "times": -1,
        "path": "/generations",
    }
    console.gateway.set_knobs("openai", key="sandbox-key", faults=[fault])
    refused = console.create(f"refused {MARKUP}")
    expect(refused.get_by_role("alert")).to_contain_text(SCRIPT)
    page.get_by_role("link", name="Gallery").click()
    page.get_by_role("list", name="Jobs").get_by_role("link").first.click()
    expect(page.get_by_role("dialog")).to_contain_text(MARKUP)

    assert page.locator("img[src=x]").count() == 0
    assert console.messages == []


def test_a_planted_inline_script_does_not_run(console: Console) -> None:
    """The page's policy blocks it, also if it comes with the page itself."""
    console.expected.append("Content Security Policy|TrustedScript")

    def plant(route: Any) -> None:
        response = route.fetch()
        body = response.text().replace("</body>", "<script>window.planted = true</script></body>")
        route.fulfill(response=response, body=body)

    console.page.route("**/console/", plant)
    console.open(role="user")

    assert console.page.evaluate("window.planted") is None
    assert any("inline script" in message for message in console.messages)


def test_nothing_is_requested_from_another_host(console: Console) -> None:
    """All requests of a session go to the gateway, except images, which come from the bucket."""
    hosts: dict[str, set[str]] = {}
    console.page.on("request", lambda sent: hosts.setdefault(sent.url.split("/")[2], set()).add(sent.resource_type))
    console.open()
    expect(console.create("a homely fox").locator(".job-image.shown")).to_be_visible()
    for name in ("Gallery", "Set up", "Tokens", "Health"):
        console.page.get_by_role("link", name=name).click()
        expect(console.page.locator(".loading")).to_have_count(0)

    others = {host: kinds for host, kinds in hosts.items() if host != console.gateway.url.split("/")[2]}
    assert [*others.values()] == [{"image"}], json.dumps({host: sorted(kinds) for host, kinds in others.items()})
