"""The queue and history of the ComfyUI sandbox: one run at a time, as long as one wants, forgotten on a restart."""

import asyncio
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from sandbox.engines.comfyui_graph import ExecutionError, Files, Graph, Prompt
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
        """As `/queue` shows it; the history leaves the keys of partner nodes out."""
        extra = {name: value for name, value in self.extra_data.items() if not finished or name not in _SENSITIVE}
        return [self.number, self.prompt_id, self.prompt, extra, self.outputs]


class Machine:
    """What the server has in memory, and its files. `seconds` says how long a run takes at least."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self._seconds = seconds
        self._worker: asyncio.Task[None] | None = None
        self.files: Files = {}
        self.dead = False
        self.numbers = 0
        self._forget()

    def _forget(self) -> None:
        self.pending: list[Run] = []
        self.running: Run | None = None
        self.history: dict[str, dict[str, Any]] = {}
        self.graph = Graph(self.files)

    def submit(self, prompt: Prompt, prompt_id: str, extra_data: dict[str, Any] | None, outputs: list[str]) -> Run:
        """Put a run at the end of the queue."""
        run = Run(self.numbers, prompt_id, prompt, extra_data or {}, outputs)
        self.numbers += 1
        self.pending.append(run)
        if extra_data is None:
            self.dead = True
        if not self.dead and (self._worker is None or self._worker.done()):
            self._worker = asyncio.create_task(self._work())
        return run

    def queue(self) -> dict[str, Any]:
        """As `/queue` answers."""
        running = [self.running.item()] if self.running else []
        return {"queue_running": running, "queue_pending": [run.item() for run in self.pending]}

    def delete(self, prompt_ids: list[str]) -> None:
        """Take waiting runs off the queue; a running one stays."""
        self.pending = [run for run in self.pending if run.prompt_id not in prompt_ids]

    def interrupt(self, prompt_id: str | None) -> None:
        """Stop the run that is going, if it is `prompt_id` or that is None."""
        if self.running and prompt_id in (None, self.running.prompt_id):
            self.running.stop.set()

    async def restart(self) -> None:
        """Forget everything but the files of outputs and inputs, as a new process would."""
        if self._worker:
            self._worker.cancel()
            with suppress(asyncio.CancelledError):
                await self._worker
        self.dead = False
        for name in [name for name in self.files if name[0] == "temp"]:
            del self.files[name]
        self._forget()

    async def _work(self) -> None:
        while self.pending:
            self.running = run = self.pending.pop(0)
            entry = await self._run(run)
            self.running = None
            self.history[run.prompt_id] = entry

    async def _run(self, run: Run) -> dict[str, Any]:
        outputs: dict[str, Any] = {}
        messages: list[Any] = []

        def say(name: str, **data: Any) -> None:
            messages.append([name, {"prompt_id": run.prompt_id, **data, "timestamp": int(time.time() * 1000)}])

        say("execution_start")
        if await elapsed(self._seconds, run.stop):
            first = next(iter(run.prompt))
            node_type = run.prompt[first]["class_type"]
            say("execution_interrupted", node_id=first, node_type=node_type, executed=[])
        else:
            await self._execute(run, outputs, say)
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

    async def _execute(self, run: Run, outputs: dict[str, Any], say: Callable[..., None]) -> None:
        try:
            cached = await asyncio.to_thread(self.graph.execute, run.prompt, run.outputs, outputs.__setitem__)
        except ExecutionError as error:
            say(
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
            say("execution_cached", nodes=cached)
            say("execution_success")


def new_prompt_id() -> str:
    """An id for a run whose client names none."""
    return str(uuid.uuid4())
