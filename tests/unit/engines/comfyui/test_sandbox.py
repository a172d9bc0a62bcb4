"""The sandbox's ComfyUI server, compared with recorded traffic of the real one, version 0.3.64."""

import io
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from starlette.types import ASGIApp

from sandbox.engines.comfyui import create_app
from sandbox.engines.painter import paint
from sandbox.engines.state import SandboxState
from tests import web

pytestmark = pytest.mark.anyio

Serve = Callable[[ASGIApp], str]

CAPTURES = Path(__file__).parents[3] / "data" / "captures" / "comfyui"


def capture(name: str) -> Any:
    return json.loads((CAPTURES / f"{name}.json").read_text("utf-8"))


@pytest.fixture
async def client(serve: Serve, anyio_backend: str) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(SandboxState())
    async with httpx.AsyncClient(verify=web.TLS, base_url=serve(app), trust_env=False) as client:
        image = paint("input", 8, 8)
        await client.post("/upload/image", files={"image": ("in.png", image)}, data={"type": "input"})
        await client.post("/upload/image", files={"image": ("broken.png", b"no image")})
        yield client


@pytest.mark.parametrize("name", [name for name in capture("prompt_errors") if name != "PARTIAL history"])
async def test_prompts_are_accepted_and_refused_as_recorded(name: str, client: httpx.AsyncClient) -> None:
    """Status, error type and the types of the nodes' errors are those of the real server."""
    case = capture("prompt_errors")[name]
    request, expected = case["request"], case["response"]
    if request["json"] is None and "valid" in name:
        request["json"] = capture("run_success")["post"]["request"]["json"]
    content = b"{" if request["json"] is None else json.dumps(request["json"]).encode()

    response = await client.post("/prompt", content=content, headers=request["headers"])

    assert response.status_code == expected["status"]
    if expected["status"] == 500:
        assert response.text == expected["body"]
        return
    assert _errors(response.json()) == _errors(expected["json"])


@pytest.mark.parametrize("name", ["new", "same name other bytes", "type=temp", "type=bogus", "no image field"])
async def test_uploads_are_stored_as_recorded(name: str, client: httpx.AsyncClient) -> None:
    """A number is added to a taken name; a request without an upload is refused."""
    expected = capture("upload_variants")[name]["response"]
    named = {"type=temp": "t.png"}.get(name, "in.png")
    data = paint("input", 8, 8) if name == "new" else b"other"
    field = "file" if name == "no image field" else "image"
    kind = name.removeprefix("type=") if name.startswith("type=") else "input"

    response = await client.post("/upload/image", files={field: (named, data)}, data={"type": kind})

    assert response.status_code == expected["status"]
    assert response.text == expected["body"] if "body" in expected else response.json() == expected["json"]


@pytest.mark.parametrize("query", [name for name in capture("view_variants") if "gen2" not in name or ".." in name])
async def test_views_are_refused_as_recorded(query: str, client: httpx.AsyncClient) -> None:
    """Missing files and paths outside the folder have the recorded status."""
    response = await client.get(f"/view?{query}")

    assert response.status_code == capture("view_variants")[query]["response"]["status"]


@pytest.mark.parametrize(
    "name",
    ["run_success", "run_batch3", "run_three_outputs", "run_exec_error_bad_image", "run_edit", "run_subfolder"],
)
async def test_history_entries_are_as_recorded(name: str, client: httpx.AsyncClient) -> None:
    """They have the recorded format and outputs."""
    run = capture(name)
    (expected,) = run["history"]["response"]["json"].values()

    posted = (await client.post("/prompt", json=run["post"]["request"]["json"])).json()
    entry = None
    while entry is None:
        entry = (await client.get(f"/history/{posted['prompt_id']}")).json().get(posted["prompt_id"])

    assert set(entry) == set(expected)
    assert entry["status"]["status_str"] == expected["status"]["status_str"]
    assert set(entry["outputs"]) == set(expected["outputs"])
    for node_id, output in expected["outputs"].items():
        mine = [image | {"filename": ""} for image in entry["outputs"][node_id]["images"]]
        assert mine == [image | {"filename": ""} for image in output["images"]]
    assert set(entry["status"]["messages"][-1][1]) >= set(expected["status"]["messages"][-1][1]) - {"traceback"}


async def test_an_unknown_node_type_and_run_are_empty_objects(client: httpx.AsyncClient) -> None:
    """Like ComfyUI, the sandbox responds with a 200."""
    assert (await client.get("/object_info/NoSuchNode")).json() == {}
    assert (await client.get("/history/no-such-id")).json() == capture("history_unknown_id")["response"]["json"]


async def test_object_info_has_the_recorded_format(client: httpx.AsyncClient) -> None:
    """A node type has the same fields."""
    expected = capture("object_info_EmptyImage")["response"]["json"]["EmptyImage"]

    response = (await client.get("/object_info/EmptyImage")).json()["EmptyImage"]

    assert set(response) == set(expected)
    assert response["input_order"] == expected["input_order"]


async def test_an_uploaded_mask_becomes_the_alpha_of_its_image(client: httpx.AsyncClient) -> None:
    """A copy of the named image is stored with the mask's alpha."""
    out = io.BytesIO()
    Image.new("RGBA", (8, 8), (0, 0, 0, 7)).save(out, "PNG")
    original = json.dumps({"filename": "in.png", "type": "input", "subfolder": ""})

    kept = await client.post(
        "/upload/mask", files={"image": ("masked.png", out.getvalue())}, data={"original_ref": original}
    )
    viewed = await client.get("/view", params={"filename": "masked.png [input]"})

    assert kept.json() == {"name": "masked.png", "subfolder": "", "type": "input"}
    assert Image.open(io.BytesIO(viewed.content)).convert("RGBA").getchannel("A").getextrema() == (7, 7)


async def test_a_mask_for_an_unknown_image_is_refused(client: httpx.AsyncClient) -> None:
    """The image does not exist."""
    assert (await client.post("/upload/mask", files={"image": ("masked.png", b"x")})).status_code == 400


async def test_a_path_outside_the_uploads_is_refused(client: httpx.AsyncClient) -> None:
    """The subfolder is above the uploads."""
    sent = await client.post("/upload/image", files={"image": ("a.png", b"x")}, data={"subfolder": "../a"})

    assert sent.status_code == capture("upload_variants")["subfolder traversal"]["response"]["status"]


async def test_extra_data_of_null_stops_the_queue(client: httpx.AsyncClient) -> None:
    """As with the real server, no run is executed after it until a restart."""
    prompt = capture("run_success")["post"]["request"]["json"]["prompt"]

    await client.post("/prompt", json={"prompt": prompt, "extra_data": None})
    await client.post("/prompt", json={"prompt": prompt})
    queue = (await client.get("/queue")).json()
    await client.post("/queue", json={"clear": True})

    assert (len(queue["queue_running"]), len(queue["queue_pending"])) == (0, 2)
    assert (await client.get("/queue")).json() == {"queue_running": [], "queue_pending": []}
    assert (await client.get("/history")).json() == {}


async def test_the_system_is_described(client: httpx.AsyncClient) -> None:
    """The version is ComfyUI's, and every node type is listed."""
    assert (await client.get("/system_stats")).json()["system"]["comfyui_version"] == "0.3.64"
    assert {"KSampler", "SaveImage"} <= set((await client.get("/api/object_info")).json())


def _errors(body: dict[str, Any]) -> Any:
    nodes = body.get("node_errors", {})
    found = {
        node_id: ([error["type"] for error in node["errors"]], node["class_type"], node["dependent_outputs"])
        for node_id, node in nodes.items()
    }
    error = body.get("error", {})
    return error.get("type"), error.get("message"), found
