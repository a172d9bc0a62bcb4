"""`make screenshots`: the pages of the console, on a desktop and a phone, in light and dark, for the manual."""

import io
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from PIL import Image
from playwright.sync_api import Browser, Page, expect, sync_playwright

from sandbox.template import ROOT
from tests.browser.conftest import ARGUMENTS, CHROMIUM
from tests.browser.console import Console, Gateway, running_gateway
from tests.browser.test_setting_up import file_of, workflow

FOLDER = ROOT / "docs/console"
SCREENS = {"desktop": (1280, 800), "phone": (390, 780)}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
LARGEST = (1000, 780)
QUALITY = 50
"""Of the WebP files. All of them together have a few hundred kilobytes."""
# The system's own font differs between computers. Debian's package fonts-inter has this one.
FONT = "document.documentElement.style.setProperty('--font', 'Inter, system-ui, sans-serif')"

PROMPTS = {
    "a lighthouse in a storm, oil on canvas": "3:2",
    "a heron at dawn, ink on paper": "2:3",
    "a bowl of oranges, morning light": "1:1",
    "the plan of a treehouse, blueprint": "16:9",
    "a market in the rain": "4:3",
    "a fox asleep under a fern": "3:4",
}

TOKENS_OF_OTHERS: dict[str, dict[str, Any]] = {
    "the newsroom": {"engines": ["openai"], "budget": {"usd": "25.00", "period": "month"}, "max_jobs": 10},
    "our chat": {
        "forwards_users": True,
        "budget": {"usd": "0.25", "period": "day"},
        "end_user_budget": {"usd": "0.20", "period": "day"},
    },
    "design team": {"models": ["gpt-image-2"]},
}
IMAGES_OF_OTHERS = {"the newsroom": {"": 8}, "our chat": {"alice": 3, "bob": 2}, "design team": {"": 3}}


@contextmanager
def filled_gateway() -> Iterator[Gateway]:
    """Start a sandbox with some jobs, a connection, a route and tokens."""
    with running_gateway() as gateway:
        _fill(gateway)
        yield gateway


def _fill(gateway: Gateway) -> None:
    """Put things into a deployment that a person would have there."""
    openai = gateway.engines["openai"]
    connection = {"engine": "openai", "base_url": f"{openai}/v1", "key": "sandbox-key", "max_concurrent": 4}
    gateway.request("PUT", "connections/azure-eu", json=connection)
    gateway.request("PUT", "connections/gpu-2", json={"engine": "comfyui", "base_url": gateway.engines["comfyui"]})
    prices = [{"model": "gpt-image-2", "usd_per_image": "0.042"}]
    gateway.request("PUT", "prices", json={"prices": prices})
    gateway.request("PUT", "limits", json={"budget": {"usd": "4.00", "period": "month"}, "max_jobs": 40})
    targets = [{"connection": "azure-eu", "model": "gpt-image-2"}, {"connection": "gpu-2", "steps": 30}]
    gateway.request("PUT", "routes/poster", json={"description": "Large, slow, dear", "targets": targets})
    gateway.request("PUT", "routes/draft", json={"description": "Small and quick", "targets": targets[::-1]})
    for name, fields in TOKENS_OF_OTHERS.items():
        made = gateway.request("POST", "tokens", json={"name": name, "role": "user", **fields})
        for user, images in IMAGES_OF_OTHERS[name].items():
            body = {"prompt": "a fox", "size": "64x64", "n": images, "user": user}
            gateway.request("POST", "generations", token=made["token"], json=body)


def take(page: Page, name: str, screen: str, scheme: str) -> None:
    """Store what the page shows."""
    page.evaluate(FONT)
    expect(page.locator(".loading")).to_have_count(0)
    page.wait_for_timeout(150)
    image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    image.thumbnail(LARGEST, Image.Resampling.LANCZOS)
    image.save(FOLDER / f"{name}-{screen}-{scheme}.webp", quality=QUALITY, method=6)


def walk(console: Console, screen: str, scheme: Literal["light", "dark"], photo: Path) -> None:
    """Show each page in a state worth seeing, and take it."""
    page = console.page
    width, height = SCREENS[screen]
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    page.goto(f"{console.gateway.url}/console/")
    expect(page.get_by_label("Token")).to_be_visible()
    take(page, "sign-in", screen, scheme)
    console.open()
    for prompt, ratio in PROMPTS.items():
        page.get_by_label("Ratio").select_option(ratio)
        expect(console.create(prompt).locator(".job-image.shown")).to_be_visible()
    page.get_by_label("What the image should show").fill("")
    take(page, "create", screen, scheme)
    page.goto(f"{console.gateway.url}/console/#/edit")
    page.locator("input[type=file]").set_input_files(photo)
    box = page.locator("canvas.mask").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.35)
    page.mouse.down()
    for at in ((0.5, 0.25), (0.68, 0.4), (0.55, 0.52), (0.4, 0.4), (0.6, 0.36)):
        page.mouse.move(box["x"] + box["width"] * at[0], box["y"] + box["height"] * at[1], steps=6)
    page.mouse.up()
    page.get_by_label("What to change").fill("a red hot-air balloon")
    take(page, "edit", screen, scheme)
    page.get_by_role("button", name="Edit", exact=False).last.click()
    card = page.get_by_role("article", name="a red hot-air balloon").first
    expect(card.locator(".job-image.shown")).to_be_visible()
    card.get_by_role("button", name="Compare with the original").click()
    take(page, "compare", screen, scheme)
    for name in ("gallery", "setup/engines", "setup/connections", "setup/routes", "usage", "tokens", "health"):
        page.goto(f"{console.gateway.url}/console/#/{name}")
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        page.wait_for_timeout(500)
        take(page, name.replace("/", "-"), screen, scheme)
    page.goto(f"{console.gateway.url}/console/#/setup/comfyui")
    page.locator("input[type=file]").set_input_files(file_of(workflow(joined=True)))
    expect(page.get_by_role("heading", name="2. What goes where")).to_be_visible()
    take(page, "setup-comfyui", screen, scheme)
    page.goto(f"{console.gateway.url}/console/#/gallery")
    page.get_by_role("list", name="Jobs").get_by_role("link").nth(1).click()
    expect(page.get_by_role("dialog")).to_contain_text("Attempts")
    take(page, "job", screen, scheme)


def main() -> int:
    """Take all screenshots.

    Returns:
        The exit status: 1 if there is no browser.
    """
    if CHROMIUM is None:
        print("Chromium is not installed: apt install chromium-headless-shell (Debian)", file=sys.stderr)
        return 1
    FOLDER.mkdir(exist_ok=True)
    with filled_gateway() as gateway, sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser: Browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        photo = Path(folder) / "coast.jpg"
        landscape().save(photo)
        window = browser.new_context(locale="en-US")
        for screen in SCREENS:
            for scheme in SCHEMES:
                console = Console(window.new_page(), gateway)
                walk(console, screen, scheme, photo)
                console.page.close()
        browser.close()
    total = sum(path.stat().st_size for path in FOLDER.glob("*.webp"))
    print(f"{len(list(FOLDER.glob('*.webp')))} screenshots, {total / 1000:.0f} KB, in {FOLDER.relative_to(ROOT)}")
    return 0


def landscape() -> Image.Image:
    """Something to edit: a sky over hills."""
    width, height = 1200, 800
    sky = Image.linear_gradient("L").resize((width, height))
    image = Image.merge(
        "RGB",
        (
            sky.point(lambda at: 90 + at * 0.55),
            sky.point(lambda at: 130 + at * 0.35),
            sky.point(lambda at: 200 + at * 0.1),
        ),
    )
    hill = Image.radial_gradient("L").resize((1500, 700)).point(lambda at: 255 if at < 125 else 0)
    for color, left, top in (((88, 112, 108), -500, 450), ((62, 90, 82), 250, 420), ((44, 66, 60), -150, 560)):
        image.paste(color, (left, top), hill)
    return image


if __name__ == "__main__":
    sys.exit(main())
