"""The manual's table of clients, operations and engines: each cell is executed and compared with its text.

A cell is `yes`; `first`, if only the first input image is used; or `no`, if the mask is not used. The latter two cause
a warning.
"""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from image_gateway.engines import REGISTRY
from tests.conformance.clients import CLIENTS, Client, ImageRequest
from tests.conformance.conftest import Engine, Gateway
from tests.integration.sample_images import GRAY, SIDE, colors, opened
from tests.manual.pages import Page, tables

pytestmark = pytest.mark.xdist_group("conformance")

MODELS = {
    "openai": "gpt-image-2",
    "gemini": "gemini-sandbox-image",
    "comfyui": "dreamshaper_8.safetensors",
    "automatic1111": "sandbox-painter.safetensors [5a4dbc0001]",
}

SIZES = {"gemini": "1024x1024"}
"""Sizes for engines that do not have the default size; Gemini has no smaller one."""

PAID_PATHS = {
    "openai": ("/images/generations", "/images/edits"),
    "gemini": (":generateContent",),
    "comfyui": ("/prompt",),
    "automatic1111": ("/txt2img", "/img2img"),
}
"""Suffixes of the paths of each engine that make images."""


@dataclass(frozen=True)
class Cell:
    """One cell of the table: an operation of a client with an engine, and the cell's text."""

    operation: str
    client: str
    engine: str
    text: str


def cells() -> list[Cell]:
    """Return all cells of the table in `docs/clients.md`, ordered by client and engine."""
    (table,) = tables(Page.read("docs/clients.md").section("What is tested"))
    unordered = [
        Cell(operation, client, engine.strip("`"), text)
        for operation, clients, *engines in table.rows
        for client in re.findall(r"`([^`]+)`", clients)
        for engine, text in zip(table.header[2:], engines, strict=True)
    ]
    order = list(CLIENTS)
    return sorted(unordered, key=lambda cell: (order.index(cell.client), list(REGISTRY).index(cell.engine)))


@dataclass(frozen=True)
class Trial:
    """The client, the engine and the request for a cell."""

    client: Client
    engine: Engine
    request: ImageRequest
    photos: list[Path]
    mask: Path

    def paid_requests(self) -> list[dict[str, Any]]:
        """Return the requests that the engine received for images."""
        return [request for request in self.engine.posts() if request["path"].endswith(PAID_PATHS[self.engine.name])]

    def input_count(self) -> int:
        """Return the number of input images that the engine received, without the mask."""
        match self.engine.name:
            case "openai":
                return sum(file["name"] != "mask" for file in self.paid_requests()[0]["files"])
            case "gemini":
                return sum("inline_data" in part for part in self.paid_requests()[0]["json"]["contents"][0]["parts"])
            case "comfyui":
                # The sandbox's workflow always loads a mask.
                return len(self.engine.posts("/upload/image")) - 1
            case _:
                return len(self.paid_requests()[0]["json"]["init_images"])


def check_base64_generation(trial: Trial, text: str) -> None:
    response = trial.client.generate(trial.request, "b64_json")

    assert text == "yes"
    assert size(base64.b64decode(response["data"][0]["b64_json"])) == trial.request.size
    assert not warnings(response)


def check_url_generation(trial: Trial, text: str) -> None:
    response = trial.client.generate(trial.request, "url")

    assert text == "yes"
    assert "b64_json" not in response["data"][0] or response["data"][0]["b64_json"] is None
    assert size(image(trial, response)) == trial.request.size
    assert not warnings(response)


def check_edit_of_one_image(trial: Trial, text: str) -> None:
    response = trial.client.edit(trial.request, trial.photos[:1], None)

    assert text == "yes"
    assert size(image(trial, response)) == trial.request.size
    assert trial.input_count() == 1
    assert not warnings(response)


def check_edit_of_several_images(trial: Trial, text: str) -> None:
    response = trial.client.edit(trial.request, trial.photos, None)

    assert size(image(trial, response)) == trial.request.size
    if text == "first":
        assert "only the first of 3 was used" in warnings(response)
        assert trial.input_count() == 1
    else:
        assert (text, trial.input_count(), warnings(response)) == ("yes", 3, "")


def check_edit_with_a_mask(trial: Trial, text: str) -> None:
    response = trial.client.edit(trial.request, trial.photos[:1], trial.mask)

    output = opened(image(trial, response))
    is_left_unchanged = colors(output, (0, 0, output.width // 2 - 4, output.height)) == {GRAY}
    is_right_changed = colors(output, (output.width // 2 + 4, 0, output.width, output.height)) != {GRAY}
    assert is_right_changed
    if text == "no":
        assert "mask is not supported" in warnings(response)
        assert not is_left_unchanged
    else:
        assert (text, is_left_unchanged, warnings(response)) == ("yes", True, "")


def check_model_list(trial: Trial, text: str) -> None:
    models = trial.client.models()

    assert text == "yes"
    assert models & {trial.request.model, f"{trial.request.engine}/{trial.request.model}"}


OPERATIONS: dict[str, Callable[[Trial, str], None]] = {
    "Generate, `b64_json`": check_base64_generation,
    "Generate, `url`": check_url_generation,
    "Edit one image": check_edit_of_one_image,
    "Edit several images": check_edit_of_several_images,
    "Edit with a mask": check_edit_with_a_mask,
    "List models": check_model_list,
}
"""Checks of the operations, by the operations' names in the table."""

UNSUPPORTED = {
    ("Generate, `b64_json`", "owui-client"),
    ("Edit with a mask", "owui-client"),
    ("Edit with a mask", "aiohttp"),
}
"""Operations that a client does not support."""


def test_the_table_has_every_client_operation_and_engine() -> None:
    """The table has one cell for each operation of each client with each engine, and no others."""
    combinations = [(cell.operation, cell.client, cell.engine) for cell in cells()]

    expected = {
        (operation, client, engine)
        for operation in OPERATIONS
        for client in CLIENTS
        for engine in REGISTRY
        if (operation, client) not in UNSUPPORTED
    }
    assert set(combinations) == expected
    assert len(combinations) == len(expected)


@pytest.mark.parametrize("cell", cells(), ids=lambda cell: f"{cell.client}-{cell.engine}-{cell.operation}")
def test_a_client_does_with_an_engine_what_the_table_says(
    cell: Cell,
    gateway: Gateway,
    engines: dict[str, Engine],
    client: Callable[[str], Client],
    photos: list[Path],
    mask: Path,
) -> None:
    """A client's operation with an engine has the result in the table, with one call of the engine."""
    if cell.client == "owui-client":
        gateway.use(cell.engine)
    engine = engines[cell.engine]
    engine.reset()
    request = ImageRequest(cell.engine, MODELS[cell.engine], SIZES.get(cell.engine, f"{SIDE}x{SIDE}"))
    trial = Trial(client(cell.client), engine, request, photos, mask)

    OPERATIONS[cell.operation](trial, cell.text)

    assert len(trial.paid_requests()) == (cell.operation != "List models")


def warnings(response: dict[str, Any]) -> str:
    return "\n".join(response.get("warnings") or [])


def image(trial: Trial, response: dict[str, Any]) -> bytes:
    """Return the content of a response's only image, fetched if it is a URL."""
    (item,) = response["data"]
    if item.get("b64_json"):
        return base64.b64decode(item["b64_json"])
    return trial.engine.http.get(item["url"]).raise_for_status().content


def size(data: bytes) -> str:
    decoded = opened(data)
    return f"{decoded.width}x{decoded.height}"
