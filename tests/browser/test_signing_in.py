"""Signing in and out, and what a token may not do."""

from playwright.sync_api import expect

from tests.browser.console import TOKENS, Console

UNAUTHORIZED = "401 \\(Unauthorized\\)"


def test_a_wrong_token_is_refused(console: Console) -> None:
    """The page says what is wrong and what to do, and keeps nothing."""
    console.expected.append(UNAUTHORIZED)
    console.open(role="")
    console.page.get_by_label("Token").fill("igw_wrong")
    console.page.get_by_role("button", name="Sign in").click()

    expect(console.page.get_by_role("alert")).to_contain_text("This token is not valid")
    assert console.page.evaluate("[sessionStorage.length, localStorage.length, document.cookie]") == [0, 0, ""]


def test_signing_out_forgets_the_token(console: Console) -> None:
    """The token is in this tab's session storage only, in no URL, and gone after signing out."""
    console.open(role="")
    console.page.get_by_label("Token").fill(TOKENS["user"])
    console.page.get_by_role("button", name="Sign in").click()
    expect(console.page.get_by_role("navigation", name="Pages")).to_be_visible()
    assert TOKENS["user"] not in console.page.url

    console.page.get_by_role("button", name="Sign out").click()

    expect(console.page.get_by_label("Token")).to_have_value("")
    assert console.page.evaluate("sessionStorage.length") == 0


def test_a_token_that_was_revoked_ends_the_session(console: Console) -> None:
    """The next request is refused; the page says why it asks for a token again."""
    console.expected.append(UNAUTHORIZED)
    made = console.gateway.request("POST", "tokens", json={"name": "short", "role": "user"})
    console.open(role="")
    console.page.get_by_label("Token").fill(made["token"])
    console.page.get_by_role("button", name="Sign in").click()
    expect(console.page.get_by_role("navigation", name="Pages")).to_be_visible()
    console.page.evaluate("sessionStorage.setItem('image-gateway-token', 'igw_revoked')")

    console.page.reload()

    expect(console.page.get_by_role("alert")).to_contain_text("expired or was revoked")


def test_a_user_sees_no_page_of_administrators(console: Console) -> None:
    """There are no links to them, and their addresses lead to the first page; nothing was requested in vain."""
    console.open("setup", role="user")
    links = console.page.get_by_role("navigation", name="Pages").get_by_role("link")
    expect(links).to_have_text(["Create", "Edit", "Gallery", "Usage"])

    for name in ("setup", "tokens", "health"):
        console.page.goto(f"{console.gateway.url}/console/#/{name}")
        expect(console.page.get_by_label("What the image should show")).to_be_visible()


def test_the_next_person_in_a_tab_sees_nothing_of_a_session_that_has_ended(console: Console) -> None:
    """A token expires while its page is open; whoever signs in then finds an empty prompt."""
    console.expected.append(UNAUTHORIZED)
    page = console.page
    console.open(role="")
    page.get_by_label("Token").fill(TOKENS["admin"])
    page.keyboard.press("Enter")
    page.get_by_label("What the image should show").fill("a private matter")
    page.route("**/images/jobs?*", lambda route: route.fulfill(status=401))
    page.get_by_role("link", name="Gallery").click()
    expect(page.get_by_role("alert")).to_contain_text("expired or was revoked")
    page.unroute("**/images/jobs?*")
    page.get_by_label("Token").fill(TOKENS["user"])
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Create").click()

    expect(page.get_by_label("What the image should show")).to_have_value("")


def test_a_token_with_characters_that_no_header_can_have_is_refused_in_words(console: Console) -> None:
    """A quotation mark was pasted with it: the page does not blame the network."""
    console.open(role="")
    console.page.get_by_label("Token").fill("\u201eigw_quoted\u201c")
    console.page.get_by_role("button", name="Sign in").click()

    expect(console.page.get_by_role("alert")).to_contain_text("This token is not valid")
