"""Comfy Cloud, which speaks ComfyUI's API with differences.

Facts: docs.comfy.org, "Cloud API reference" and its OpenAPI document, read in November 2026. Paths are below `/api`,
the key is sent as `X-API-Key`, and runs are jobs: `/jobs/{id}` in place of history and queue. `/view` redirects to a
signed URL of another host, which gets no key.
"""

import asyncio
import io
from collections.abc import Collection
from typing import Any, Final, Literal
from urllib.parse import urlencode

from image_gateway.engines.comfyui.server import ComfyUIServer, HistoryEntry, PathNotFound
from image_gateway.engines.downloads import download_with_retries
from image_gateway.errors import EngineUnavailable
from image_gateway.models.fields import origin

CLOUD_HOSTS: Final = {"cloud.comfy.org"}
_STATES: Final[dict[str, Literal["running", "waiting"]]] = {
    "pending": "waiting",
    "waiting_to_dispatch": "waiting",
    "in_progress": "running",
}
_REDIRECTS: Final = (301, 302, 303, 307, 308)


def is_cloud(base_url: str) -> bool:
    """Return whether a server is Comfy Cloud."""
    return origin(base_url)[1] in CLOUD_HOSTS


def cloud_url(base_url: str) -> str:
    """Return the base URL of the API, whether or not it was configured with `/api`."""
    return base_url if base_url.endswith("/api") else f"{base_url}/api"


class ComfyCloudServer(ComfyUIServer):
    """Comfy Cloud."""

    async def history_entry(self, prompt_id: str) -> HistoryEntry | None:
        """Return the finished run `prompt_id` as ComfyUI's history has it; None if it is not finished or not known."""
        job = await self._job(prompt_id)
        status = job.get("status")
        if status is None or status in _STATES:
            return None
        entry: HistoryEntry = {"outputs": job.get("outputs") or {}}
        if status != "completed":
            error = job.get("execution_error")
            error = error if isinstance(error, dict) else {"exception_message": job.get("error_message") or status}
            entry["status"] = {"status_str": "error", "messages": [["execution_error", error]]}
        return entry

    async def queue_state(self, prompt_id: str) -> Literal["running", "waiting"] | None:
        """Return the state of the run `prompt_id`; None if it has ended or is not known."""
        return _STATES.get(str((await self._job(prompt_id)).get("status")))

    async def cancel_runs(self, prompt_ids: Collection[str]) -> None:
        """Cancel those of the runs that have not ended. Other ids are ignored."""
        states = await asyncio.gather(*(self.queue_state(prompt_id) for prompt_id in prompt_ids))
        for prompt_id, state in zip(prompt_ids, states, strict=True):
            if state is not None:
                await self.send("POST", f"/jobs/{prompt_id}/cancel")

    async def view(self, params: dict[str, str]) -> bytes:
        """Return a file. The signed URL that it is redirected to gets no key."""
        url = f"{self.base_url}/view?{urlencode(params)}"
        return await download_with_retries(lambda: self._load(url), self._seconds_left, self.connection.sleep)

    async def _load(self, url: str) -> bytes:
        response = await self._send_once("GET", url, io.BytesIO())
        location = response.headers.get("location", "")
        if response.status in _REDIRECTS and location.startswith("https://"):
            return await self._download_from_elsewhere(location)
        if not response.is_success:
            raise self.failure(response, paid=False)
        return bytes(response.content)

    async def _job(self, prompt_id: str) -> dict[str, Any]:
        """Return the job of a run; empty if there is none."""
        try:
            job = await self.json("GET", f"/jobs/{prompt_id}")
        except PathNotFound:
            return {}
        if not isinstance(job, dict):
            raise EngineUnavailable("comfyui answered /jobs with something that is not a job")
        return job
