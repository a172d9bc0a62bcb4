"""The gallery: own jobs, filters, and a job beside the grid."""

from playwright.sync_api import expect

from tests.browser.console import TOKENS, Console


def made(console: Console, prompt: str, token: str) -> str:
    """Make an image over the API, and return its job's id."""
    response = console.gateway.http.post(
        f"{console.gateway.url}/api/v1/images/generations",
        headers={"Authorization": f"Bearer {token}"},
        json={"prompt": prompt, "size": "256x256"},
        follow_redirects=True,
    )
    assert response.status_code == 200, response.text
    return str(response.json()[0]["id"][:-2])


def own_token(console: Console) -> str:
    """A new token, which has no jobs yet."""
    return str(console.gateway.request("POST", "tokens", json={"name": "gallery", "role": "user"})["token"])


def test_a_job_opens_beside_the_grid(console: Console) -> None:
    """Its request and what became of it are shown; the keyboard goes to the next job and closes the sheet."""
    console.gateway.configure(IMAGE_GENERATION_ENGINE="comfyui", IMAGE_GENERATION_MODEL="")
    token = own_token(console)
    first, second = made(console, "the first", token), made(console, "the second", token)
    console.page.add_init_script(f"sessionStorage.setItem('image-gateway-token', '{token}')")
    console.open("gallery", role="")
    tiles = console.page.get_by_role("list", name="Jobs").get_by_role("link")
    expect(tiles).to_have_count(2)

    tiles.first.click()
    sheet = console.page.get_by_role("dialog")
    expect(sheet).to_contain_text("the second")
    expect(sheet).to_contain_text(second)
    console.page.keyboard.press("ArrowRight")
    expect(sheet).to_contain_text(first)
    console.page.keyboard.press("Escape")

    expect(sheet).to_have_count(0)
    expect(tiles).to_have_count(2)


def test_an_empty_gallery_says_what_to_do_next(console: Console) -> None:
    """It leads to the page where images are made; a filter that matches nothing can be cleared."""
    token = own_token(console)
    console.page.add_init_script(f"sessionStorage.setItem('image-gateway-token', '{token}')")
    console.open("gallery", role="")
    expect(console.page.get_by_role("link", name="Create an image")).to_be_visible()

    console.page.get_by_label("State").select_option("failed")
    expect(console.page.get_by_role("heading", name="Nothing matches")).to_be_visible()
    console.page.get_by_role("button", name="Clear").click()

    expect(console.page.get_by_role("heading", name="No images yet")).to_be_visible()


def test_an_administrator_sees_everybodys_jobs_without_their_prompts(console: Console) -> None:
    """The image is there, and the sheet says who may see the request."""
    made(console, "a private matter", TOKENS["user"])
    console.open("gallery")
    console.page.get_by_role("switch", name="All owners").check()

    console.page.get_by_role("list", name="Jobs").get_by_role("link").first.click()

    sheet = console.page.get_by_role("dialog")
    expect(sheet).to_contain_text("The request is shown to its owner only")
    expect(sheet.get_by_role("button", name="Download")).to_be_visible()
    expect(console.page.get_by_text("a private matter")).to_have_count(0)


def test_an_image_is_downloaded_as_a_file(console: Console) -> None:
    """The browser saves it under its name, and stays on the page."""
    job = made(console, "a keepsake", TOKENS["user"])
    console.open(f"gallery/{job}", role="user")

    with console.page.expect_download() as download:
        console.page.get_by_role("dialog").get_by_role("button", name="Download").click()

    assert download.value.suggested_filename == f"{job}-0.png"
    expect(console.page.get_by_role("dialog")).to_contain_text("a keepsake")
