"""Setting up ComfyUI from the file of a workflow, connections, and routes."""

import json
from typing import Any

from playwright.sync_api import FilePayload, expect

from sandbox.template import ROOT
from tests.browser.console import Console


def workflow(*, joined: bool = False) -> dict[str, Any]:
    """A workflow in ComfyUI's API format; with `joined`, its prompt is joined from two texts."""
    nodes: dict[str, Any] = json.loads((ROOT / "sandbox/engines/workflows/checkpoint.json").read_text())
    if joined:
        nodes["20"] = {"class_type": "PrimitiveStringMultiline", "inputs": {"value": "a lighthouse"}}
        joining = {"string_a": ["20", 0], "string_b": "masterpiece", "delimiter": ", "}
        nodes["21"] = {"class_type": "StringConcatenate", "inputs": joining}
        nodes["6"]["inputs"]["text"] = ["21", 0]
    return nodes


def file_of(nodes: Any, name: str = "portrait.json") -> FilePayload:
    return {"name": name, "mimeType": "application/json", "buffer": json.dumps(nodes).encode()}


def test_comfyui_is_set_up_from_a_file_to_an_image(console: Console) -> None:
    """The file is understood, saved as the default, and makes a test image with the prompt in the right node."""
    console.gateway.configure(COMFYUI_WORKFLOW="", COMFYUI_WORKFLOW_NODES=[])
    console.open("setup/comfyui")
    page = console.page
    page.locator("input[type=file]").set_input_files(file_of(workflow()))
    table = page.get_by_role("region", name="Node map")
    expect(table.get_by_role("row", name="Prompt").first).to_contain_text("Sure")
    expect(page.get_by_text("All sure")).to_be_visible()
    page.get_by_role("button", name="Save the workflow").click()
    page.get_by_label("Prompt of a test image").fill("a lighthouse made of glass")
    page.get_by_role("button", name="Make a test image").click()

    expect(page.get_by_role("article", name="a lighthouse made of glass").locator("img")).to_be_visible()
    (run,) = [post for post in console.gateway.posts("comfyui") if post["path"].endswith("/prompt")]
    assert run["json"]["prompt"]["6"]["inputs"]["text"] == "a lighthouse made of glass"
    config = console.gateway.request("GET", "config")
    assert (config["IMAGE_GENERATION_ENGINE"], config["ENABLE_IMAGE_GENERATION"]) == ("comfyui", True)


def test_a_doubtful_row_is_corrected_by_choosing_from_a_list(console: Console) -> None:
    """It comes first and is marked; what was chosen is stored in a workflow with a name of its own."""
    console.open("setup/comfyui")
    page = console.page
    page.locator("input[type=file]").set_input_files(file_of(workflow(joined=True)))
    table = page.get_by_role("region", name="Node map")
    first = table.get_by_role("row").nth(1)
    expect(first).to_contain_text("Prompt")
    expect(first).to_contain_text("Check")

    page.get_by_role("combobox", name="Prompt goes to", exact=True).select_option('["value",["20"]]')
    expect(page.get_by_text("All sure")).to_be_visible()
    page.get_by_label("A name").check()
    page.get_by_label("Name", exact=True).fill("joined")
    page.get_by_role("button", name="Save the workflow").click()

    expect(page.get_by_role("link", name="route", exact=True)).to_be_visible()
    nodes = {node["type"]: node for node in console.gateway.request("GET", "workflows/joined")["nodes"]}
    assert (nodes["prompt"]["key"], nodes["prompt"]["node_ids"]) == ("value", ["20"])
    console.gateway.request("DELETE", "workflows/joined")


def test_a_default_workflow_that_somebody_else_changed_is_not_overwritten(console: Console) -> None:
    """The page names what they changed and stores nothing; saving again is a choice."""
    console.expected.append("412 \\(Precondition Failed\\)")
    console.gateway.configure(COMFYUI_WORKFLOW="", COMFYUI_WORKFLOW_NODES=[])
    console.open("setup/comfyui")
    page = console.page
    with page.expect_response("**/images/config"):
        page.locator("input[type=file]").set_input_files(file_of(workflow()))
    theirs, mine = json.dumps(workflow(joined=True)), json.dumps(workflow())
    console.gateway.configure(COMFYUI_WORKFLOW=theirs)

    page.get_by_role("button", name="Save the workflow").click()
    conflict = page.get_by_role("alert")
    expect(conflict).to_contain_text("Somebody else has changed the configuration")
    expect(conflict).to_contain_text("They changed: Workflow.")
    assert json.loads(console.gateway.request("GET", "config")["COMFYUI_WORKFLOW"]) == json.loads(theirs)
    page.get_by_role("button", name="Save mine instead").click()

    expect(page.get_by_text("The workflow is saved.")).to_be_visible()
    assert json.loads(console.gateway.request("GET", "config")["COMFYUI_WORKFLOW"]) == json.loads(mine)


def test_a_file_that_is_no_workflow_is_explained(console: Console) -> None:
    """The problem says what to do instead, and there is nothing to save."""
    console.open("setup/comfyui")
    console.page.locator("input[type=file]").set_input_files(file_of({"nodes": [], "links": []}, "editor.json"))

    expect(console.page.get_by_text("editor_format")).to_be_visible()
    expect(console.page.get_by_role("button", name="Save the workflow")).to_have_count(0)


def test_a_connection_is_made_tested_and_deleted(console: Console) -> None:
    """A wrong key is shown with the server's error text; after another key, the server answers."""
    console.expected.append("the server responded with a status of 4|502")
    console.open("setup/connections")
    page = console.page
    page.get_by_role("button", name="New connection").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("second-openai")
    dialog.get_by_label("Base URL").fill(f"{console.gateway.engines['openai']}/v1")
    dialog.get_by_label("Key", exact=True).fill("a-wrong-key")
    dialog.get_by_role("button", name="Save").click()
    card = page.get_by_role("region", name="second-openai")
    card.get_by_role("button", name="Test second-openai").click()
    expect(card.get_by_role("alert")).to_contain_text("Incorrect API key provided")

    card.get_by_role("button", name="Edit second-openai").click()
    dialog.get_by_label("Key", exact=True).fill("sandbox-key")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    card.get_by_role("button", name="Test second-openai").click()
    expect(card.get_by_text("Answers in")).to_be_visible()

    card.get_by_role("button", name="Delete second-openai").click()
    dialog.get_by_role("button", name="Delete second-openai").click()
    expect(card).to_have_count(0)


def test_targets_of_a_route_are_ordered_by_dragging_and_with_the_keyboard(console: Console) -> None:
    """What is stored has the order of the form, and callers find the route among their models."""
    console.open("setup/routes")
    page = console.page
    page.get_by_role("button", name="New route").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("browser-route")
    dialog.get_by_label("Connection 1").select_option("openai")
    dialog.get_by_label("Model 1").fill("gpt-image-2")
    dialog.get_by_role("button", name="Add a target").click()
    dialog.get_by_label("Connection 2").select_option("comfyui")
    dialog.get_by_label("Steps 2").fill("12")
    dialog.locator(".grip").nth(1).drag_to(dialog.locator(".grip").first)
    expect(dialog.get_by_label("Connection 1")).to_have_value("comfyui")
    dialog.locator(".grip").first.drag_to(dialog.locator(".grip").nth(1))
    expect(dialog.get_by_label("Connection 1")).to_have_value("openai")
    up = dialog.get_by_role("button", name="Move target 2 up")
    up.focus()
    page.keyboard.press("Enter")
    expect(dialog.get_by_label("Connection 1")).to_have_value("comfyui")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)

    (route,) = [
        found for found in console.gateway.request("GET", "routes")["routes"] if found["name"] == "browser-route"
    ]
    assert [(target["connection"], target["model"], target["steps"]) for target in route["targets"]] == [
        ("comfyui", None, 12),
        ("openai", "gpt-image-2", None),
    ]
    page.get_by_role("link", name="Create").click()
    expect(page.get_by_label("Model or route").locator("optgroup[label=Routes] option")).to_have_text(["browser-route"])
    console.gateway.request("DELETE", "routes/browser-route")


def test_a_connection_that_somebody_else_changed_is_not_overwritten_or_deleted(console: Console) -> None:
    """A change of something else is no conflict; a change of the same connection is said before it is lost."""
    console.expected.append("412 \\(Precondition Failed\\)")
    body = {"engine": "comfyui", "base_url": console.gateway.engines["comfyui"]}
    console.gateway.request("PUT", "connections/shared-gpu", json=body)
    console.open("setup/connections")
    page = console.page
    page.get_by_role("button", name="Edit shared-gpu").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Max concurrent").fill("2")
    console.gateway.configure(IMAGE_STEPS=9)
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    page.get_by_role("button", name="Edit shared-gpu").click()
    dialog.get_by_label("Max concurrent").fill("3")
    console.gateway.request("PUT", "connections/shared-gpu", json={**body, "timeout_seconds": 55})
    dialog.get_by_role("button", name="Save").click()

    conflict = dialog.get_by_role("alert")
    expect(conflict).to_contain_text("Somebody else has changed shared-gpu")
    expect(conflict).to_contain_text("55")
    conflict.get_by_role("button", name="Take theirs").click()
    expect(dialog.get_by_label("Timeout seconds")).to_have_value("55")
    dialog.get_by_role("button", name="Cancel").click()
    delete = page.get_by_role("button", name="Delete shared-gpu")
    delete.click()
    dialog.get_by_role("button", name="Delete shared-gpu").click()
    expect(dialog.get_by_role("alert")).to_contain_text("Somebody else has changed shared-gpu")
    page.reload()
    delete.click()
    console.gateway.configure(IMAGE_STEPS=8)
    dialog.get_by_role("button", name="Delete shared-gpu").click()
    expect(delete).to_have_count(0)
