"""What Open WebUI's images router sends to its engine `openai`, by the package that it sends it with, `aiohttp`.

Source: its `routers/images.py` at commit 02530d5. A generation is JSON; an edit is a form whose images are `image` or
several `image[]`, each with a file's name and type; answers are read whatever they say they are.
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from image_gateway.models.jobs import ResponseFormat

if TYPE_CHECKING:
    from tests.conformance.clients import Ask


class OpenWebUIRouter:
    """The requests of Open WebUI's images router."""

    def __init__(self, url: str, token: str) -> None:
        self._runner = asyncio.Runner()
        self._url = f"{url}/v1"
        self._session = self._runner.run(self._connected(token))

    def generate(self, ask: "Ask", response_format: ResponseFormat) -> dict[str, Any]:
        body = {**ask.fields(), "n": 1, "response_format": response_format}
        return self._asked("POST", "/images/generations", json=body)

    def edit(self, ask: "Ask", images: list[Path], mask: Path | None) -> dict[str, Any]:
        assert mask is None, "it sends none"
        form = aiohttp.FormData()
        for name, value in {**ask.fields(), "n": "1", "response_format": "b64_json"}.items():
            form.add_field(name, value)
        for path in images:
            name = "image" if len(images) == 1 else "image[]"
            form.add_field(name, path.read_bytes(), filename=path.name, content_type="image/png")
        return self._asked("POST", "/images/edits", data=form)

    def models(self) -> set[str]:
        return {model["id"] for model in self._asked("GET", "/models")["data"]}

    def close(self) -> None:
        self._runner.run(self._session.close())
        self._runner.close()

    def _asked(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        async def answered() -> dict[str, Any]:
            async with self._session.request(method, self._url + path, **body) as answer:
                answer.raise_for_status()
                found: dict[str, Any] = await answer.json(content_type=None)
                return found

        return self._runner.run(answered())

    @staticmethod
    async def _connected(token: str) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"})
