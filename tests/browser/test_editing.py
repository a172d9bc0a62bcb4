"""Editing images: choosing them, painting a mask, and comparing the result."""

import base64
import io
import re

import pytest
from PIL import Image
from playwright.sync_api import FilePayload, expect

from tests.browser.console import Console


def photo(width: int, height: int, kind: str = "PNG") -> FilePayload:
    """A gray photo of a size."""
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), "gray").save(buffer, kind)
    return {"name": f"photo.{kind.lower()}", "mimeType": f"image/{kind.lower()}", "buffer": buffer.getvalue()}


def decoded(text: str) -> Image.Image:
    """Open an image that is base64, with or without the beginning of a data URL."""
    image = Image.open(io.BytesIO(base64.b64decode(text.rpartition(",")[2])))
    image.load()
    return image


def choose(console: Console, *files: FilePayload) -> None:
    """Choose files on the page of edits."""
    console.page.locator("input[type=file]").set_input_files(list(files))


def send(console: Console, prompt: str) -> None:
    console.page.get_by_label("What to change").fill(prompt)
    console.page.get_by_role("button", name="Edit", exact=False).last.click()


def opened(console: Console) -> Console:
    """Open the page of edits; AUTOMATIC1111 edits, whose record has the images that it gets."""
    console.gateway.configure(IMAGE_EDIT_ENGINE="automatic1111", IMAGE_EDIT_MODEL="")
    console.open("edit", role="user")
    return console


def test_the_pixels_of_a_painted_mask_reach_the_engine(console: Console) -> None:
    """What was painted is white in the engine's mask, what was erased or left out is black."""
    editing = opened(console)
    page = editing.page
    choose(editing, photo(400, 300))
    box = page.locator("canvas.mask").bounding_box()
    assert box is not None

    def stroke(x: float, y: float, to_x: float, to_y: float) -> None:
        points = [(box["x"] + box["width"] * a, box["y"] + box["height"] * b) for a, b in ((x, y), (to_x, to_y))]
        page.mouse.move(*points[0])
        page.mouse.down()
        page.mouse.move(*points[1], steps=4)
        page.mouse.up()

    stroke(0.2, 0.3, 0.8, 0.3)
    stroke(0.2, 0.7, 0.8, 0.7)
    page.get_by_role("button", name="Undo").click()
    page.get_by_role("button", name="Eraser").click()
    stroke(0.5, 0.3, 0.51, 0.3)
    send(editing, "make it night")

    expect(page.get_by_role("article", name="make it night").locator("img")).to_be_visible()
    (sent,) = [post for post in editing.gateway.posts("automatic1111") if post["path"].endswith("img2img")]
    mask = decoded(sent["json"]["mask"]).convert("L").resize((400, 300))
    painted = {(x, y): mask.getpixel((x, y)) for x, y in ((100, 90), (300, 90), (200, 90), (200, 210), (10, 10))}
    assert painted == {(100, 90): 255, (300, 90): 255, (200, 90): 0, (200, 210): 0, (10, 10): 0}


def test_a_mask_is_painted_with_the_keyboard(console: Console) -> None:
    """Keys choose the tool, move the brush and paint; another takes the stroke back."""
    editing = opened(console)
    page = editing.page
    choose(editing, photo(400, 300))
    undo = page.get_by_role("button", name="Undo")
    page.locator("canvas.mask").focus()
    page.keyboard.press("]")
    page.keyboard.press("Space")
    page.keyboard.press("Shift+ArrowRight")
    expect(undo).to_be_enabled()
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    expect(undo).to_be_disabled()
    page.keyboard.press("Enter")
    send(editing, "a dot")

    expect(page.get_by_role("article", name="a dot").locator("img")).to_be_visible()
    (sent,) = [post for post in editing.gateway.posts("automatic1111") if post["path"].endswith("img2img")]
    mask = decoded(sent["json"]["mask"]).convert("L").resize((400, 300))
    painted, left_out = (Image.Image.getpixel(mask, at) for at in ((200, 150), (20, 20)))
    # The gateway has resized the mask, which blurs the edge of a small dot.
    assert isinstance(painted, int)
    assert painted > 200
    assert left_out == 0


def test_a_large_photo_is_scaled_down_and_that_is_said(console: Console) -> None:
    """A photo that is too large for the API is reduced in the browser; the engine gets the smaller one."""
    editing = opened(console)
    large = photo(5000, 300, "BMP")
    assert len(large["buffer"]) > 4_000_000
    choose(editing, large)

    expect(editing.page.get_by_text(re.compile("Scaled down from 5,000 . 300 to 4,096 . 246"))).to_be_visible()
    send(editing, "make it calm")

    expect(editing.page.get_by_role("article", name="make it calm").locator("img")).to_be_visible()
    (sent,) = [post for post in editing.gateway.posts("automatic1111") if post["path"].endswith("img2img")]
    assert decoded(sent["json"]["init_images"][0]).width < 5000


def test_the_result_is_compared_with_the_original_by_keyboard(console: Console) -> None:
    """A slider shows more of the original or of the result; arrow keys move it."""
    editing = opened(console)
    page = editing.page
    choose(editing, photo(400, 300))
    send(editing, "a red hat")
    card = page.get_by_role("article", name="a red hat")
    expect(card.locator("img")).to_be_visible()
    # The original is no input any more, and is compared all the same.
    card.get_by_role("button", name="Use as input").click()

    card.get_by_role("button", name="Compare with the original").click()
    expect(page.get_by_alt_text("Original")).to_have_js_property("naturalWidth", 400)
    slider = page.get_by_role("slider", name="How much of the original is shown")
    slider.focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")

    expect(slider).to_have_attribute("aria-valuetext", "48 % original")


def test_a_file_that_is_no_image_is_refused_in_words(console: Console) -> None:
    """The page says which file and what to choose instead, and has no input."""
    editing = opened(console)
    choose(editing, {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no image"})

    expect(editing.page.get_by_role("alert")).to_contain_text("notes.txt is not an image")
    expect(editing.page.get_by_text("Choose an image first")).to_be_visible()


def test_a_stored_image_is_an_input_by_its_id(console: Console) -> None:
    """An image that was made here is used without being sent again; the job's request has no file."""
    editing = opened(console)
    editing.page.get_by_role("link", name="Create").click()
    card = editing.create("a plain wall")
    expect(card.locator("img")).to_be_visible()

    card.get_by_role("button", name="Use as input").click()
    send(editing, "with a door")

    expect(editing.page.get_by_role("article", name="with a door").locator("img")).to_be_visible()
    (sent,) = [post for post in editing.gateway.posts("automatic1111") if post["path"].endswith("img2img")]
    assert decoded(sent["json"]["init_images"][0]).size == (1024, 1024)


@pytest.mark.parametrize("way", ["drop", "paste"])
def test_an_image_that_is_dropped_or_pasted_is_an_input(console: Console, way: str) -> None:
    """It can be painted on, and the engine gets it."""
    editing = opened(console)
    expect(editing.page.get_by_role("heading", name="Drop an image here, or paste one")).to_be_visible()
    editing.page.evaluate(
        """([way, text]) => {
            const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
            const given = new DataTransfer();
            given.items.add(new File([bytes], "given.png", { type: "image/png" }));
            const options = { bubbles: true, cancelable: true, dataTransfer: given, clipboardData: given };
            const event = way === "drop" ? new DragEvent(way, options) : new ClipboardEvent(way, options);
            document.getElementById("inputs").dispatchEvent(event);
        }""",
        [way, base64.b64encode(photo(400, 300)["buffer"]).decode()],
    )

    expect(editing.page.locator("canvas.mask")).to_be_visible()
    send(editing, f"after a {way}")
    expect(editing.page.get_by_role("article", name=f"after a {way}").locator("img")).to_be_visible()
    (sent,) = [post for post in editing.gateway.posts("automatic1111") if post["path"].endswith("img2img")]
    assert decoded(sent["json"]["init_images"][0]).getpixel((5, 5)) == (128, 128, 128)


def test_an_enlarged_image_is_moved_with_the_hand(console: Console) -> None:
    """Dragging moves what is seen of the image, and paints nothing."""
    editing = opened(console)
    page = editing.page
    choose(editing, photo(400, 300))
    for _ in range(3):
        page.get_by_role("button", name="Zoom in").click()
    page.get_by_role("button", name="Move", exact=True).click()
    stage = page.locator(".stage")
    box = stage.bounding_box()
    assert box is not None
    before = stage.evaluate("element => element.scrollLeft")
    page.mouse.move(box["x"] + 400, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 150, steps=4)
    page.mouse.up()

    assert stage.evaluate("element => element.scrollLeft") - before == 100
    expect(page.get_by_role("button", name="Undo")).to_be_disabled()


def test_a_file_that_is_no_image_leaves_the_others_as_they_are(console: Console) -> None:
    """The image that was chosen with it is an input, and the page says which file is not."""
    editing = opened(console)
    choose(editing, {"name": "notes.txt", "mimeType": "text/plain", "buffer": b"no image"}, photo(400, 300))

    expect(editing.page.get_by_role("alert")).to_contain_text("notes.txt is not an image")
    expect(editing.page.get_by_role("list", name="Input images").get_by_role("listitem")).to_have_count(1)
