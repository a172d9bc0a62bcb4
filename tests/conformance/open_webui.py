"""The requests of Open WebUI's images router to its engine `openai`, sent with `aiohttp`, as Open WebUI does.

Source: its `routers/images.py` at commit 02530d5. A generation is JSON. An edit is a form whose images are `image` or
several `image[]`, each with a file name and a content type. Responses are parsed as JSON whatever their content type.
"""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp

from image_gateway.models.jobs import ResponseFormat

if TYPE_CHECKING:
    from tests.conformance.clients import ImageRequest


class OpenWebUIRouter:
    """Sends the requests of Open WebUI's images router."""

    def __init__(self, url: str, token: str) -> None:
        self._runner = asyncio.Runner()
        self._url = f"{url}/v1"
        self._session = self._runner.run(self._create_session(token))

    def generate(self, request: "ImageRequest", response_format: ResponseFormat) -> dict[str, Any]:
        body = {**request.fields(), "n": 1, "response_format": response_format}
        return self._send("POST", "/images/generations", json=body)

    def edit(self, request: "ImageRequest", images: list[Path], mask: Path | None) -> dict[str, Any]:
        assert mask is None, "it does not send masks"
        form = aiohttp.FormData()
        for name, value in {**request.fields(), "n": "1", "response_format": "b64_json"}.items():
            form.add_field(name, value)
        for path in images:
            name = "image" if len(images) == 1 else "image[]"
            form.add_field(name, path.read_bytes(), filename=path.name, content_type="image/png")
        return self._send("POST", "/images/edits", data=form)

    def models(self) -> set[str]:
        return {model["id"] for model in self._send("GET", "/models")["data"]}

    def close(self) -> None:
        self._runner.run(self._session.close())
        self._runner.close()

    def _send(self, method: str, path: str, **body: Any) -> dict[str, Any]:
        async def send() -> dict[str, Any]:
            async with self._session.request(method, self._url + path, **body) as response:
                response.raise_for_status()
                content: dict[str, Any] = await response.json(content_type=None)
                return content

        return self._runner.run(send())

    @staticmethod
    async def _create_session(token: str) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"})
