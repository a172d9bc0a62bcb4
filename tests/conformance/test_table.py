"""The manual's table of clients, operations and engines: each of its cells is done, and does what it says.

A cell says `yes`; or `first`, where only the first input is used; or `no`, where the mask is not. The latter two
come with a warning.
"""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from image_gateway.engines import REGISTRY
from tests.conformance.clients import CLIENTS, Ask, Client
from tests.conformance.conftest import Engine, Gateway
from tests.integration.sample_images import GREY, SIDE, colours, opened
from tests.manual.pages import Page, tables

pytestmark = pytest.mark.xdist_group("conformance")

MODELS = {
    "openai": "gpt-image-2",
    "gemini": "gemini-sandbox-image",
    "comfyui": "dreamshaper_8.safetensors",
    "automatic1111": "sandbox-painter.safetensors [5a4dbc0001]",
}

SIZES = {"gemini": "1024x1024"}
"""It has no smaller one."""

PAID = {
    "openai": ("/images/generations", "/images/edits"),
    "gemini": (":generateContent",),
    "comfyui": ("/prompt",),
    "automatic1111": ("/txt2img", "/img2img"),
}
"""How the paths end by which each engine is asked for images."""


@dataclass(frozen=True)
class Cell:
    """One cell: what a client does with an engine, and what the table says of it."""

    operation: str
    client: str
    engine: str
    says: str


def cells() -> list[Cell]:
    """All cells of the table in `docs/clients.md`, those of one client after another."""
    (table,) = tables(Page.read("docs/clients.md").section("What is tested"))
    found = [
        Cell(operation, client, engine.strip("`"), says)
        for operation, clients, *engines in table.rows
        for client in re.findall(r"`([^`]+)`", clients)
        for engine, says in zip(table.header[2:], engines, strict=True)
    ]
    order = list(CLIENTS)
    return sorted(found, key=lambda cell: (order.index(cell.client), list(REGISTRY).index(cell.engine)))


@dataclass(frozen=True)
class Bench:
    """What a cell is tried with."""

    client: Client
    engine: Engine
    ask: Ask
    photos: list[Path]
    mask: Path

    def paid(self) -> list[dict[str, Any]]:
        """What the engine was asked for images."""
        return [one for one in self.engine.record() if one["path"].endswith(PAID[self.engine.name])]

    def inputs(self) -> int:
        """How many images the engine was given to edit."""
        match self.engine.name:
            case "openai":
                return sum(file["name"] != "mask" for file in self.paid()[0]["files"])
            case "gemini":
                return sum("inline_data" in part for part in self.paid()[0]["json"]["contents"][0]["parts"])
            case "comfyui":
                # The sandbox's workflow loads a mask in any case.
                return len(self.engine.record("/upload/image")) - 1
            case _:
                return len(self.paid()[0]["json"]["init_images"])


def generates_base64(bench: Bench, says: str) -> None:
    answer = bench.client.generate(bench.ask, "b64_json")

    assert says == "yes"
    assert size(base64.b64decode(answer["data"][0]["b64_json"])) == bench.ask.size
    assert not warnings(answer)


def generates_urls(bench: Bench, says: str) -> None:
    answer = bench.client.generate(bench.ask, "url")

    assert says == "yes"
    assert "b64_json" not in answer["data"][0] or answer["data"][0]["b64_json"] is None
    assert size(image(bench, answer)) == bench.ask.size
    assert not warnings(answer)


def edits_one(bench: Bench, says: str) -> None:
    answer = bench.client.edit(bench.ask, bench.photos[:1], None)

    assert says == "yes"
    assert size(image(bench, answer)) == bench.ask.size
    assert bench.inputs() == 1
    assert not warnings(answer)


def edits_several(bench: Bench, says: str) -> None:
    answer = bench.client.edit(bench.ask, bench.photos, None)

    assert size(image(bench, answer)) == bench.ask.size
    if says == "first":
        assert "only the first of 3 was used" in warnings(answer)
        assert bench.inputs() == 1
    else:
        assert (says, bench.inputs(), warnings(answer)) == ("yes", 3, "")


def edits_with_a_mask(bench: Bench, says: str) -> None:
    answer = bench.client.edit(bench.ask, bench.photos[:1], bench.mask)

    found = opened(image(bench, answer))
    kept = colours(found, (0, 0, found.width // 2 - 4, found.height)) == {GREY}
    changed = colours(found, (found.width // 2 + 4, 0, found.width, found.height)) != {GREY}
    assert changed
    if says == "no":
        assert "mask is not supported" in warnings(answer)
        assert not kept
    else:
        assert (says, kept, warnings(answer)) == ("yes", True, "")


def lists_models(bench: Bench, says: str) -> None:
    found = bench.client.models()

    assert says == "yes"
    assert found & {bench.ask.model, f"{bench.ask.engine}/{bench.ask.model}"}


OPERATIONS: dict[str, Callable[[Bench, str], None]] = {
    "Generate, `b64_json`": generates_base64,
    "Generate, `url`": generates_urls,
    "Edit one image": edits_one,
    "Edit several images": edits_several,
    "Edit with a mask": edits_with_a_mask,
    "List models": lists_models,
}
"""By the words that the table has for them."""

WITHOUT = {
    ("Generate, `b64_json`", "owui-client"),
    ("Edit with a mask", "owui-client"),
    ("Edit with a mask", "aiohttp"),
}
"""What a client has no words for."""


def test_the_table_has_every_client_operation_and_engine() -> None:
    """No more and no fewer."""
    found = [(cell.operation, cell.client, cell.engine) for cell in cells()]

    wanted = {
        (operation, client, engine)
        for operation in OPERATIONS
        for client in CLIENTS
        for engine in REGISTRY
        if (operation, client) not in WITHOUT
    }
    assert set(found) == wanted
    assert len(found) == len(wanted)


@pytest.mark.parametrize("cell", cells(), ids=lambda cell: f"{cell.client}-{cell.engine}-{cell.operation}")
def test_a_cell(
    cell: Cell,
    gateway: Gateway,
    engines: dict[str, Engine],
    client: Callable[[str], Client],
    photos: list[Path],
    mask: Path,
) -> None:
    """The client does it with the engine, as the table says, for one call of the engine."""
    if cell.client == "owui-client":
        gateway.use(cell.engine)
    engine = engines[cell.engine]
    engine.afresh()
    ask = Ask(cell.engine, MODELS[cell.engine], SIZES.get(cell.engine, f"{SIDE}x{SIDE}"))
    bench = Bench(client(cell.client), engine, ask, photos, mask)

    OPERATIONS[cell.operation](bench, cell.says)

    assert len(bench.paid()) == (cell.operation != "List models")


def warnings(answer: dict[str, Any]) -> str:
    return "\n".join(answer.get("warnings") or [])


def image(bench: Bench, answer: dict[str, Any]) -> bytes:
    """The only one of an answer, fetched where it is a URL."""
    (item,) = answer["data"]
    if item.get("b64_json"):
        return base64.b64decode(item["b64_json"])
    return bench.engine.http.get(item["url"]).raise_for_status().content


def size(data: bytes) -> str:
    found = opened(data)
    return f"{found.width}x{found.height}"
