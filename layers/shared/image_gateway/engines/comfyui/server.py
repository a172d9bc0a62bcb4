"""A ComfyUI server: its refusals, history and queue.

Facts: recorded traffic of ComfyUI 0.3.64.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any, Literal, Self

from image_gateway.engines.server import Answer, EngineServer
from image_gateway.errors import EngineError, EngineRejected, EngineUnavailable

Entry = dict[str, Any]
"""What the history holds of a finished run."""


class Missing(EngineRejected):
    """The server has no such path, or no longer the file."""


@dataclass(frozen=True)
class ComfyUIServer(EngineServer):
    """A ComfyUI server.

    `workflow_field` is the configuration field that its refusals of a workflow name. `model_inputs` are the inputs that
    take the model, each with its node's id.
    """

    workflow_field: str = "COMFYUI_WORKFLOW"
    model_inputs: frozenset[tuple[str, str]] = frozenset()

    def failure(self, answer: Answer, *, paid: bool) -> EngineError:
        """As for every engine; a 404 is `Missing`, and where nothing but the model is refused, the field is `model`."""
        error = super().failure(answer, paid=paid)
        if answer.status == 404:
            return Missing(error.detail)
        body = answer.json()
        refused = _refused_inputs(body.get("node_errors") if isinstance(body, dict) else None)
        if refused and refused <= self.model_inputs:
            error.field = "model"
        return error

    def within(self, seconds: float) -> Self:
        """This server for requests that all end within `seconds`, and each within the connection's timeout."""
        limit = min(seconds, self.connection.timeout)
        return replace(self, deadline=asyncio.get_running_loop().time() + limit)

    def words(self, answer: Answer) -> str:
        """As for every engine; with what is wrong at which node, where a workflow is refused."""
        said = super().words(answer)
        body = answer.json()
        if not isinstance(body, dict) or "node_errors" not in body:
            return said
        problems = node_problems(body["node_errors"])
        return self.clean("; ".join([f"{said} (check {self.workflow_field})", *problems]))

    def clean(self, text: str) -> str:
        """`text` on one line, bounded and without secrets."""
        return self._clean(text)

    async def entry(self, prompt_id: str) -> Entry | None:
        """The finished run `prompt_id`, or None: not finished, or not known."""
        body = await self.json("GET", f"/history/{prompt_id}")
        if not isinstance(body, dict):
            raise EngineUnavailable("comfyui answered /history with something that is not one")
        found = body.get(prompt_id)
        return found if isinstance(found, dict) else None

    async def place(self, prompt_id: str) -> Literal["running", "waiting"] | None:
        """Where the run `prompt_id` is in the queue; None: not there."""
        queue = await self.queue()
        if prompt_id in queue["queue_running"]:
            return "running"
        return "waiting" if prompt_id in queue["queue_pending"] else None

    async def queue(self) -> dict[str, list[str]]:
        """The ids in the queue, running and pending.

        Raises:
            EngineUnavailable: the answer is not a ComfyUI's.
        """
        body = await self.json("GET", "/queue")
        try:
            return {name: [str(item[1]) for item in body[name]] for name in ("queue_running", "queue_pending")}
        except (TypeError, LookupError):
            said = f"{self.connection.url_field} does not answer as a ComfyUI does: its /queue holds no queue"
            raise EngineUnavailable(said) from None

    async def take_off(self, prompt_ids: Collection[str]) -> None:
        """Take waiting runs off the queue and stop the one that runs. Runs that are neither are no error."""
        await self.send("POST", "/queue", json={"delete": list(prompt_ids)})
        for running in (await self.queue())["queue_running"]:
            # Older servers interrupt whatever runs, so ask only where the run is ours.
            if running in prompt_ids:
                await self.send("POST", "/interrupt", json={"prompt_id": running})


def _refused_inputs(node_errors: Any) -> set[tuple[str, str]]:
    """The inputs that the server does not take, each with its node's id."""
    nodes = node_errors.items() if isinstance(node_errors, dict) else ()
    errors = [(node_id, error) for node_id, node in nodes for error in node.get("errors") or []]
    reported = [(node_id, error.get("extra_info")) for node_id, error in errors if isinstance(error, dict)]
    return {(node_id, str(info.get("input_name") if isinstance(info, dict) else None)) for node_id, info in reported}


def node_problems(node_errors: Any) -> list[str]:
    """What the server says of each node that it will not run: `node 2 (ImageScale): Value not in list: …`."""
    problems = []
    for node_id, node in node_errors.items() if isinstance(node_errors, dict) else ():
        errors = [error for error in node.get("errors") or [] if isinstance(error, dict)]
        said = "; ".join(
            ": ".join(str(error[key]) for key in ("message", "details") if error.get(key)) for error in errors
        )
        problems.append(f"node {node_id} ({node.get('class_type')}): {said}")
    return problems
