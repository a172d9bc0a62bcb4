"""Creating images: from the first one to those that wait, fail or are canceled."""

import re

import pytest
from playwright.sync_api import Route, expect

from tests.browser.console import TOKENS, Console


def test_a_person_signs_in_and_makes_a_first_image(console: Console) -> None:
    """Two things are typed, the token and the prompt. The image appears, and the engine was called once."""
    console.open(role="")
    console.page.get_by_label("Token").fill(TOKENS["user"])
    console.page.keyboard.press("Enter")
    console.page.get_by_label("Ratio").select_option("3:2")
    card = console.create("a lighthouse in a storm")

    expect(card.locator("img")).to_have_js_property("naturalWidth", 1248)
    expect(card).to_contain_text("openai")
    (sent,) = console.gateway.posts("openai")
    assert (sent["json"]["prompt"], sent["json"]["size"]) == ("a lighthouse in a storm", "1248x832")


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
    assert [sent["json"]["prompt"] for sent in console.gateway.posts("openai")] == ["an otter", "an otter"]


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


def test_an_engine_that_refuses_its_key_is_shown_with_its_error_text(console: Console) -> None:
    """The card has the error in words, its code in small, and a way to send the request again."""
    console.gateway.set_knobs("openai", key="another-key")
    console.open(role="user")

    card = console.create("a locked door")

    expect(card.get_by_role("alert")).to_contain_text("Incorrect API key provided")
    expect(card.locator(".code")).to_have_text("engine_rejected")
    expect(card.get_by_role("button", name="Again")).to_be_visible()


@pytest.mark.parametrize("role", ["user", "admin"])
def test_generation_that_is_switched_off_is_explained(console: Console, role: str) -> None:
    """An administrator is led to the page that switches it on; anybody else reads who can."""
    console.gateway.configure(ENABLE_IMAGE_GENERATION=False)
    console.open(role=role)

    expect(console.page.get_by_text("Generation is switched off.")).to_be_visible()
    expect(console.page.get_by_role("link", name="Set up an engine")).to_have_count(1 if role == "admin" else 0)


def test_a_long_job_that_is_a_303_for_other_clients_ends_in_its_card(console: Console) -> None:
    """The card counts the seconds of a job whose plain request is redirected, and then has the image of that job."""
    console.gateway.set_knobs("openai", latency=60, key="sandbox-key")
    console.open(role="user")
    with console.page.expect_request("**/v1/images/generations") as sent:
        card = console.create("a slow whale")
    expect(card).to_contain_text(re.compile(r"Waits for OpenAI-compatible\s*\d+ s"))

    headers = {
        "Authorization": f"Bearer {TOKENS['user']}",
        "Idempotency-Key": sent.value.headers["idempotency-key"],
        "Prefer": "wait=1",
    }
    same = console.gateway.http.post(sent.value.url, json=sent.value.post_data_json, headers=headers)
    assert same.status_code == 303
    job = re.search(r"jobs/([^/]+)/", same.headers["location"])
    assert job is not None
    console.gateway.set_knobs("openai", key="sandbox-key")

    expect(card.locator("img")).to_have_attribute("src", re.compile(job[1]))
    assert len(console.gateway.posts("openai")) == 1


def test_a_request_without_a_response_that_is_sent_again_is_one_job(console: Console) -> None:
    """The gateway got the request and its response was lost: sent again, it is the same job, and is paid once."""
    console.expected.append("ERR_FAILED")
    console.open(role="user")

    def lose(route: Route) -> None:
        route.fetch()
        route.abort()

    console.page.route("**/v1/images/generations", lose)
    card = console.create("a lost letter")
    expect(card.get_by_role("alert")).to_contain_text("The gateway did not answer")
    console.page.unroute("**/v1/images/generations")
    card.get_by_role("button", name="Again").click()

    expect(card.locator("img")).to_be_visible()
    assert len(console.gateway.posts("openai")) == 1


def test_a_job_that_could_not_be_canceled_stays_in_its_card(console: Console) -> None:
    """The page says so; canceling can be tried again, and the image still comes."""
    console.expected.append("ERR_FAILED")
    console.gateway.set_knobs("openai", latency=60, key="sandbox-key")
    console.open(role="user")
    card = console.create("a stubborn mule")
    expect(card).to_contain_text("Waits for")
    console.page.route(
        "**/jobs/*", lambda route: route.abort() if route.request.method == "DELETE" else route.continue_()
    )

    card.get_by_role("button", name="Cancel").click()

    expect(console.page.get_by_text("The job was not canceled.")).to_be_visible()
    expect(card.get_by_role("button", name="Cancel")).to_be_enabled()
    console.gateway.set_knobs("openai", key="sandbox-key")
    expect(card.locator("img")).to_be_visible()


def test_a_connection_that_fails_is_shown_beside_the_one_that_made_the_image(console: Console) -> None:
    """The card of a route's job names the connection that worked; the sheet lists both, and what was wrong."""
    broken = {"engine": "openai", "base_url": "http://127.0.0.1:9/v1", "key": "k"}
    console.gateway.request("PUT", "connections/broken-server", json=broken)
    targets = [{"connection": "broken-server", "model": "gpt-image-2"}, {"connection": "comfyui"}]
    console.gateway.request("PUT", "routes/with-a-spare", json={"targets": targets})
    console.open(role="user")
    console.page.get_by_label("Model or route").select_option("with-a-spare")

    card = console.create("a spare wheel")
    expect(card.locator("img")).to_be_visible()
    expect(card.locator(".job-facts")).to_contain_text("comfyui")
    console.page.get_by_role("link", name="Gallery").click()
    console.page.get_by_role("list", name="Jobs").get_by_role("link").first.click()

    attempts = console.page.get_by_role("list", name="Attempts").get_by_role("listitem")
    expect(attempts).to_contain_text(["broken-server", "comfyui"])
    expect(attempts.first).to_contain_text("engine_unavailable")
    console.gateway.request("DELETE", "routes/with-a-spare")
    console.gateway.request("DELETE", "connections/broken-server")
