"""Real clients that name a route as their model, one of whose targets cannot be reached."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.clients import CLIENTS, Client, ImageRequest
from tests.conformance.conftest import Engine, Gateway

pytestmark = pytest.mark.xdist_group("conformance")

ROUTE = "gpt-image-1"
"""A name that clients know; this deployment has it as a route."""


@dataclass(frozen=True)
class RouteRequest(ImageRequest):
    """A request whose model is a route."""

    def fields(self) -> dict[str, Any]:
        return {"model": self.model, "prompt": self.prompt, "size": self.size}


@pytest.fixture(scope="module")
def route(gateway: Gateway) -> Iterator[None]:
    """A route whose first target refuses connections."""
    gateway.use("openai")
    images = "/api/v1/images"
    connection = {"engine": "openai", "base_url": "http://127.0.0.1:9/v1", "key": "a key"}
    targets = [{"connection": "away", "model": "gpt-image-2"}, {"connection": "openai", "model": "gpt-image-2"}]
    for path, body in (("connections/away", connection), (f"routes/{ROUTE}", {"targets": targets})):
        response = gateway.process.request("PUT", f"{images}/{path}", "admin", json=body)
        assert response.status_code == 201, response.text
    yield
    for path in (f"routes/{ROUTE}", "connections/away"):
        assert gateway.process.request("DELETE", f"{images}/{path}", "admin").status_code == 204


@pytest.mark.parametrize("name", CLIENTS)
@pytest.mark.usefixtures("route")
def test_a_client_uses_a_route_as_a_model(
    name: str, client: Callable[[str], Client], engines: dict[str, Engine], photos: list[Path]
) -> None:
    """A generation and an edit are made by the target that works, once, with a warning."""
    engines["openai"].reset()
    request = RouteRequest("openai", ROUTE, "64x64")

    generated = client(name).generate(request, "url")
    edited = client(name).edit(request, photos[:1], None)

    for response in (generated, edited):
        assert len(response["data"]) == 1
        assert "away was passed over" in str(response.get("warnings"))
    assert len(engines["openai"].posts("/images/generations")) == 1
    assert len(engines["openai"].posts("/images/edits")) == 1


@pytest.mark.usefixtures("route")
def test_a_client_lists_the_route(client: Callable[[str], Client]) -> None:
    """It is in both lists of models."""
    assert ROUTE in client("OpenAI").models()
    assert ROUTE in client("owui-client").models()
