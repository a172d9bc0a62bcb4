"""A ComfyUI server: its refusals, history and queue.

Facts: recorded traffic of ComfyUI 0.3.64.
"""

import asyncio
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Literal, Self
from urllib.parse import quote

from image_gateway.engines.comfyui.node_classes import NodeInfo
from image_gateway.engines.response import EngineResponse
from image_gateway.engines.server import EngineServer
from image_gateway.errors import EngineError, EngineRejected, EngineUnavailable

HistoryEntry = dict[str, Any]
"""A finished run in the server's history."""


_MAX_IN_TEXT = re.compile(r"bigger than max of (\d{1,20})\b")


class PathNotFound(EngineRejected):
    """The server has no such path, or no longer has the file."""


class SeedTooLarge(EngineRejected):
    """The server refuses a workflow only because of its seed. `maximum` is the largest seed that it accepts."""

    def __init__(self, detail: str, maximum: int) -> None:
        super().__init__(detail, field="seed")
        self.maximum = maximum


@dataclass(frozen=True)
class ComfyUIServer(EngineServer):
    """A ComfyUI server.

    Attributes:
        workflow_field: the configuration field to name in the error where the server refuses a workflow.
        model_inputs: node id and name of each input that takes the model.
        seed_inputs: node id and name of each input that takes the seed.
    """

    workflow_field: str = "COMFYUI_WORKFLOW"
    model_inputs: frozenset[tuple[str, str]] = frozenset()
    seed_inputs: frozenset[tuple[str, str]] = frozenset()

    def failure(self, response: EngineResponse, *, paid: bool) -> EngineError:
        """Return the error for a response.

        It is `PathNotFound` for a 404, `SeedTooLarge` if only the seed is refused, and has the `field` `model` if only
        the model is.
        """
        error = super().failure(response, paid=paid)
        if response.status == 404:
            return PathNotFound(error.detail)
        body = response.json()
        node_errors = body.get("node_errors") if isinstance(body, dict) else None
        refused = _refused_inputs(node_errors)
        if refused and refused <= self.model_inputs:
            error.field = "model"
        if refused and refused <= self.seed_inputs and (maximum := _largest_allowed(node_errors)) is not None:
            return SeedTooLarge(f"seed must be at most {maximum} for this workflow: {error.detail}", maximum)
        return error

    def with_deadline_in(self, seconds: float) -> Self:
        """Return this server for requests that all end within `seconds`, and each within the connection's timeout."""
        limit = min(seconds, self.connection.timeout)
        return replace(self, deadline=asyncio.get_running_loop().time() + limit)

    def error_text(self, response: EngineResponse) -> str:
        """Return what the server reports as wrong; for a refused workflow, with the problems of each node."""
        text = super().error_text(response)
        body = response.json()
        if not isinstance(body, dict) or "node_errors" not in body:
            return text
        problems = node_problems(body["node_errors"])
        return self.safe_line("; ".join([f"{text} (check {self.workflow_field})", *problems]))

    async def history_entry(self, prompt_id: str) -> HistoryEntry | None:
        """Return the finished run `prompt_id`; None if it is not finished or not known."""
        body = await self.json("GET", f"/history/{prompt_id}")
        if not isinstance(body, dict):
            raise EngineUnavailable("comfyui answered /history with something that is not a history")
        entry = body.get(prompt_id)
        return entry if isinstance(entry, dict) else None

    async def queue_state(self, prompt_id: str) -> Literal["running", "waiting"] | None:
        """Return the state of the run `prompt_id` in the queue; None if it is not there."""
        queue = await self.queue()
        if prompt_id in queue["queue_running"]:
            return "running"
        return "waiting" if prompt_id in queue["queue_pending"] else None

    async def queue(self) -> dict[str, list[str]]:
        """Return the ids in the queue, under `queue_running` and `queue_pending`.

        Raises:
            EngineUnavailable: the response is not that of a ComfyUI server.
        """
        body = await self.json("GET", "/queue")
        try:
            return {name: [str(item[1]) for item in body[name]] for name in ("queue_running", "queue_pending")}
        except (TypeError, LookupError):
            detail = f"{self.connection.url_field} is not a ComfyUI server: its /queue holds no queue"
            raise EngineUnavailable(detail, permanent=True) from None

    async def node_info(self, node_class: str) -> NodeInfo | None:
        """Return what the server declares about a node class; None if it does not have it.

        Raises:
            EngineUnavailable: the response is not that of a ComfyUI server.
        """
        body = await self.json("GET", f"/object_info/{quote(node_class, safe='')}")
        info = body.get(node_class) if isinstance(body, dict) else None
        if isinstance(info, dict):
            return NodeInfo(info)
        if body == {}:
            return None
        raise EngineUnavailable(f"{self.connection.url_field} is not a ComfyUI server", permanent=True)

    async def view(self, params: dict[str, str]) -> bytes:
        """Return a file by its `filename`, `subfolder` and `type`."""
        response = await self.send("GET", "/view", params=params)
        return bytes(response.content)

    async def cancel_runs(self, prompt_ids: Collection[str]) -> None:
        """Remove the waiting runs from the queue and interrupt the one that runs. Other ids are ignored."""
        await self.send("POST", "/queue", json={"delete": list(prompt_ids)})
        for running in (await self.queue())["queue_running"]:
            # Older servers interrupt whatever is running, so this is sent only for one of these runs.
            if running in prompt_ids:
                await self.send("POST", "/interrupt", json={"prompt_id": running})


def _refused_inputs(node_errors: Any) -> set[tuple[str, str]]:
    """Return node id and name of each input that the server refuses."""
    errors = [(node_id, error) for node_id, node in _nodes(node_errors) for error in _list(node.get("errors"))]
    infos = [(node_id, error.get("extra_info")) for node_id, error in errors if isinstance(error, dict)]
    return {(node_id, str(info.get("input_name") if isinstance(info, dict) else None)) for node_id, info in infos}


def _largest_allowed(node_errors: Any) -> int | None:
    """Return the smallest maximum that the errors name; None if one of them names none."""
    maxima = [_maximum(error) for node in node_errors.values() for error in node.get("errors") or []]
    return min((maximum for maximum in maxima if maximum is not None), default=None) if None not in maxima else None


def _maximum(error: Any) -> int | None:
    if not isinstance(error, dict) or error.get("type") != "value_bigger_than_max":
        return None
    info = error.get("extra_info")
    config = info.get("input_config") if isinstance(info, dict) else None
    options = config[1] if isinstance(config, list) and len(config) > 1 else None
    declared = options.get("max") if isinstance(options, dict) else None
    if not isinstance(declared, int):
        found = _MAX_IN_TEXT.search(str(error.get("message")))
        declared = int(found[1]) if found else None
    return declared if declared is not None and declared >= 0 else None


def node_problems(node_errors: Any) -> list[str]:
    """Return one text for each node that the server will not run: `node 2 (ImageScale): Value not in list: …`."""
    problems = []
    for node_id, node in _nodes(node_errors):
        errors = [error for error in _list(node.get("errors")) if isinstance(error, dict)]
        text = "; ".join(
            ": ".join(str(error[key]) for key in ("message", "details") if error.get(key)) for error in errors
        )
        problems.append(f"node {node_id} ({node.get('class_type')}): {text}")
    return problems


def _nodes(node_errors: Any) -> list[tuple[str, dict[str, Any]]]:
    """Return id and report of each node with errors. A run may have been accepted, so no odd value may raise."""
    named = node_errors.items() if isinstance(node_errors, dict) else ()
    return [(node_id, node) for node_id, node in named if isinstance(node, dict)]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
