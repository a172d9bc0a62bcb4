"""The queue and history of the ComfyUI sandbox: runs are executed one at a time and forgotten on a restart."""

import asyncio
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from sandbox.engines.comfyui_files import Files, Prompt
from sandbox.engines.comfyui_graph import ExecutionError, Graph
from sandbox.engines.state import elapsed

_SENSITIVE = ("api_key_comfy_org", "auth_token_comfy_org")


@dataclass(eq=False)
class Run:
    """A run in the queue."""

    number: int
    prompt_id: str
    prompt: Prompt
    extra_data: dict[str, Any]
    outputs: list[str]
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    def item(self, *, finished: bool = False) -> list[Any]:
        """Return the run as in `/queue`; if `finished`, as in the history, which omits the keys of partner nodes."""
        extra = {name: value for name, value in self.extra_data.items() if not finished or name not in _SENSITIVE}
        return [self.number, self.prompt_id, self.prompt, extra, self.outputs]


class RunQueue:
    """The queue, history and files of the server. `seconds` returns the minimum time of a run, in seconds.

    `is_blocked` is set by a run whose `extra_data` is null, which stops the real server's queue until a restart.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._worker: asyncio.Task[None] | None = None
        self.files: Files = {}
        self.is_blocked = False
        self._next_number = 0
        self._reset()

    def _reset(self) -> None:
        self.pending: list[Run] = []
        self.running: Run | None = None
        self.history: dict[str, dict[str, Any]] = {}
        self.graph = Graph(self.files)

    def submit(self, prompt: Prompt, prompt_id: str, extra_data: dict[str, Any] | None, outputs: list[str]) -> Run:
        """Put a run at the end of the queue."""
        run = Run(self._next_number, prompt_id, prompt, extra_data or {}, outputs)
        self._next_number += 1
        self.pending.append(run)
        if extra_data is None:
            self.is_blocked = True
        if not self.is_blocked and (self._worker is None or self._worker.done()):
            self._worker = asyncio.create_task(self._work())
        return run

    def queue(self) -> dict[str, Any]:
        """Return the response of `/queue`."""
        running = [self.running.item()] if self.running else []
        return {"queue_running": running, "queue_pending": [run.item() for run in self.pending]}

    def delete(self, prompt_ids: list[str]) -> None:
        """Remove waiting runs from the queue; the current run is not affected."""
        self.pending = [run for run in self.pending if run.prompt_id not in prompt_ids]

    def interrupt(self, prompt_id: str | None) -> None:
        """Interrupt the current run, if `prompt_id` is its id or None."""
        if self.running and prompt_id in (None, self.running.prompt_id):
            self.running.stop.set()

    def remove_outputs(self) -> None:
        """Remove the files of all runs. The cache still names them."""
        for name in [name for name in self.files if name[0] == "output"]:
            del self.files[name]

    async def restart(self) -> None:
        """Forget everything except output and input files, as a new process would."""
        if self._worker:
            self._worker.cancel()
            with suppress(asyncio.CancelledError):
                await self._worker
        self.is_blocked = False
        for name in [name for name in self.files if name[0] == "temp"]:
            del self.files[name]
        self._reset()

    async def _work(self) -> None:
        while self.pending:
            self.running = run = self.pending.pop(0)
            entry = await self._run(run)
            self.running = None
            self.history[run.prompt_id] = entry

    async def _run(self, run: Run) -> dict[str, Any]:
        outputs: dict[str, Any] = {}
        messages: list[Any] = []

        def add_message(name: str, **data: Any) -> None:
            messages.append([name, {"prompt_id": run.prompt_id, **data, "timestamp": int(time.time() * 1000)}])

        add_message("execution_start")
        if await elapsed(self._seconds, run.stop):
            first = next(iter(run.prompt))
            node_type = run.prompt[first]["class_type"]
            add_message("execution_interrupted", node_id=first, node_type=node_type, executed=[])
        else:
            await self._execute(run, outputs, add_message)
        success = messages[-1][0] == "execution_success"
        return {
            "prompt": run.item(finished=True),
            "outputs": outputs,
            "status": {"status_str": "success" if success else "error", "completed": success, "messages": messages},
            "meta": {
                node_id: {"node_id": node_id, "display_node": node_id, "parent_node": None, "real_node_id": node_id}
                for node_id in outputs
            },
        }

    async def _execute(self, run: Run, outputs: dict[str, Any], add_message: Callable[..., None]) -> None:
        try:
            cached = await asyncio.to_thread(self.graph.execute, run.prompt, run.outputs, outputs.__setitem__)
        except ExecutionError as error:
            add_message(
                "execution_error",
                node_id=error.node_id,
                node_type=run.prompt[error.node_id]["class_type"],
                executed=list(outputs),
                exception_message=f"{error}\n",
                exception_type=type(error.cause).__name__,
                traceback=[],
                current_inputs={},
                current_outputs=list(run.prompt),
            )
        else:
            add_message("execution_cached", nodes=cached)
            add_message("execution_success")


def new_prompt_id() -> str:
    """Return an id for a run without one."""
    return str(uuid.uuid4())
