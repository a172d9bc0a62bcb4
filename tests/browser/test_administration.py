"""Pages of administrators: the configuration, tokens and health."""

import re

from playwright.sync_api import expect

from tests.browser.console import Console


def test_a_field_of_the_configuration_is_changed(console: Console) -> None:
    """Only what was changed is sent; the key, which is not shown, keeps its value, and the next image has the size."""
    console.open("setup")
    page = console.page
    page.get_by_role("button", name="Edit Generation", exact=True).click()
    page.get_by_label("Size").fill("512x512")
    with page.expect_request("**/config/update") as sent:
        page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()

    page.get_by_role("link", name="Create").click()
    expect(console.create("a small fox").locator("img")).to_have_js_property("naturalWidth", 512)
    assert sent.value.post_data_json == {"IMAGE_SIZE": "512x512"}


def test_a_conflict_is_shown_and_nothing_is_overwritten(console: Console) -> None:
    """If somebody else has changed the same field, both values are shown, and saving waits for a choice."""
    console.expected.append("412 \\(Precondition Failed\\)")
    console.open("setup")
    page = console.page
    page.get_by_role("button", name="Edit Generation", exact=True).click()
    page.get_by_label("Size").fill("512x512")
    page.get_by_label("Steps").fill("7")
    console.gateway.configure(IMAGE_SIZE="768x768")
    page.get_by_role("button", name="Save").click()

    conflict = page.get_by_role("alert")
    expect(conflict).to_contain_text("Somebody else has changed the configuration")
    expect(conflict.get_by_role("row", name="Size")).to_contain_text("768x768")
    assert console.gateway.request("GET", "config")["IMAGE_SIZE"] == "768x768"
    conflict.get_by_role("button", name="Take theirs").click()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()

    config = console.gateway.request("GET", "config")
    assert (config["IMAGE_SIZE"], config["IMAGE_STEPS"]) == ("768x768", 7)


def test_an_invalid_value_is_shown_at_its_field(console: Console) -> None:
    """The field is marked and described by what the gateway says of it."""
    console.expected.append("400 \\(Bad Request\\)|422")
    console.open("setup")
    console.page.get_by_role("button", name="Edit Generation", exact=True).click()
    console.page.get_by_label("Size").fill("large")
    console.page.get_by_role("button", name="Save").click()

    expect(console.page.get_by_label("Size")).to_have_attribute("aria-invalid", "true")
    expect(console.page.get_by_label("Size")).to_have_accessible_description(re.compile("must be WIDTHxHEIGHT"))


def test_an_engine_is_tested_and_its_own_words_are_shown(console: Console) -> None:
    """A server that answers is said to; one that refuses the key is quoted."""
    console.expected.append("the server responded with a status of 4|502")
    console.open("setup")
    page = console.page
    test = page.get_by_role("button", name="Test OpenAI and compatible servers")
    test.click()
    expect(page.get_by_text("Answers in")).to_be_visible()
    console.gateway.set_knobs("openai", key="another-key")
    test.click()

    expect(page.get_by_role("alert")).to_contain_text("Incorrect API key provided")


def test_a_token_is_made_and_revoked(console: Console) -> None:
    """Its secret is shown once and works; revoking names it, and asks once."""
    console.open("tokens")
    page = console.page
    page.get_by_role("button", name="New token").click()
    page.get_by_label("Name").fill("the newsroom")
    page.get_by_label("Gemini", exact=True).check()
    page.get_by_role("button", name="Make token").click()
    secret = page.locator(".secret").inner_text().strip()
    account = f"{console.gateway.url}/api/v1/images/account"
    headers = {"Authorization": f"Bearer {secret}"}
    assert console.gateway.http.get(account, headers=headers).json()["engines"] == ["gemini"]
    page.get_by_role("button", name="Done").click()

    page.get_by_role("button", name="Revoke the newsroom").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke the newsroom").click()

    expect(page.get_by_role("cell", name="the newsroom")).to_have_count(0)
    names = [token["name"] for token in console.gateway.request("GET", "tokens")["tokens"]]
    assert "the newsroom" not in names


def test_health_shows_what_waits(console: Console) -> None:
    """Jobs with a worker are counted while the engine is slow."""
    console.gateway.set_knobs("openai", latency=60, key="sandbox-key")
    console.open()
    expect(console.create("a slow one")).to_contain_text("Waits for OpenAI")
    console.page.get_by_role("link", name="Health").click()

    expect(console.page.get_by_text("At work")).to_be_visible()
    expect(console.page.get_by_text("version 0.1.0")).to_be_visible()
