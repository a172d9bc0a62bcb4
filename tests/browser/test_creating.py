"""Creating images: from the first one to those that wait, fail or are canceled."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.console import TOKENS, Console


def test_a_person_signs_in_and_makes_a_first_image(console: Console) -> None:
    """Two things are typed, the token and the prompt. The image appears, and the engine was asked for it once."""
    console.open(role="")
    console.page.get_by_label("Token").fill(TOKENS["user"])
    console.page.keyboard.press("Enter")
    console.page.get_by_label("Ratio").select_option("3:2")
    card = console.create("a lighthouse in a storm")

    expect(card.locator("img")).to_have_js_property("naturalWidth", 1248)
    expect(card).to_contain_text("openai")
    (asked,) = console.gateway.posts("openai")
    assert (asked["json"]["prompt"], asked["json"]["size"]) == ("a lighthouse in a storm", "1248x832")


def test_several_jobs_run_at_once_and_their_places_do_not_move(console: Console) -> None:
    """While jobs run, their boxes have the size of the images to come; a second job is sent before the first ends."""
    console.gateway.set_knobs("openai", latency=60, key="sandbox-key")
    console.open(role="user")
    console.page.get_by_label("Ratio").select_option("16:9")
    first, second = console.create("a heron"), console.create("a fox")
    box = first.locator(".placeholder").bounding_box()
    expect(second).to_contain_text(re.compile(r"Waits for OpenAI-compatible\s*\d+ s"))

    console.gateway.set_knobs("openai", key="sandbox-key")

    expect(first.locator("img")).to_be_visible()
    expect(second.locator("img")).to_be_visible()
    image = first.locator("img").bounding_box()
    assert box is not None
    assert image is not None
    assert (box["width"], box["x"], box["y"]) == (image["width"], image["x"], image["y"])
    assert abs(box["height"] - image["height"]) < 3


def test_a_job_is_canceled(console: Console) -> None:
    """Its card says so, and the gateway has it as canceled."""
    console.gateway.set_knobs("openai", latency=60, key="sandbox-key")
    console.open(role="user")
    card = console.create("a job to cancel")
    expect(card).to_contain_text("Waits for")

    card.get_by_role("button", name="Cancel").click()

    expect(card.locator(".job-ended")).to_have_text("Canceled")
    (job,) = console.gateway.request("GET", "jobs?limit=1")["jobs"]
    assert job["status"] == "canceled"


def test_a_long_job_is_found_again_after_the_page_was_loaded_again(console: Console) -> None:
    """The job goes on without the page, which then shows it where it was, and later its image."""
    console.gateway.set_knobs("openai", latency=60, key="sandbox-key")
    console.open(role="user")
    expect(console.create("a slow snail")).to_contain_text("Waits for")

    console.page.reload()
    card = console.page.get_by_role("article", name="a slow snail")
    expect(card).to_contain_text("Waits for")
    console.gateway.set_knobs("openai", key="sandbox-key")

    expect(card.locator("img")).to_be_visible()
    assert len(console.gateway.posts("openai")) == 1


def test_again_makes_another_image_of_the_same_prompt(console: Console) -> None:
    """It is a new job beside the first one, with the same fields."""
    console.open(role="user")
    card = console.create("an otter")
    card.get_by_role("button", name="Again").click()

    expect(card).to_have_count(2)
    expect(card.locator("img")).to_have_count(2)
    assert [asked["json"]["prompt"] for asked in console.gateway.posts("openai")] == ["an otter", "an otter"]


def test_more_options_are_those_of_the_engine(console: Console) -> None:
    """An OpenAI-compatible engine is offered a quality, and ComfyUI a seed; what is chosen reaches the engine."""
    console.open(role="user")
    console.page.get_by_role("button", name="More options").click()
    expect(console.page.get_by_label("Quality")).to_be_visible()
    expect(console.page.get_by_label("Seed")).to_have_count(0)
    console.page.get_by_label("Quality").select_option("low")
    expect(console.create("a low fox").locator("img")).to_be_visible()

    console.page.get_by_label("Model or route").select_option("comfyui/sd_xl_base_1.0.safetensors")

    expect(console.page.get_by_label("Seed")).to_be_visible()
    assert console.gateway.posts("openai")[0]["json"]["quality"] == "low"


def test_an_engine_that_refuses_its_key_is_shown_with_its_own_words(console: Console) -> None:
    """The card has the error in words, its code in small, and a way to send the request again."""
    console.gateway.set_knobs("openai", key="another-key")
    console.open(role="user")

    card = console.create("a locked door")

    expect(card.get_by_role("alert")).to_contain_text("Incorrect API key provided")
    expect(card.locator(".code")).to_have_text("engine_rejected")
    expect(card.get_by_role("button", name="Again")).to_be_visible()


@pytest.mark.parametrize("role", ["user", "admin"])
def test_generation_that_is_switched_off_is_explained(console: Console, role: str) -> None:
    """An administrator is led to the page that switches it on; anybody else is told who can."""
    console.gateway.configure(ENABLE_IMAGE_GENERATION=False)
    console.open(role=role)

    expect(console.page.get_by_text("Generation is switched off.")).to_be_visible()
    expect(console.page.get_by_role("link", name="Set up an engine")).to_have_count(1 if role == "admin" else 0)
