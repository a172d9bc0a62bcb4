"""Runs of a ComfyUI server: submitted, followed by polling, taken off its queue, and read.

Facts: recorded traffic of ComfyUI 0.3.64. The history has nothing of a run until its end, nor after a deletion or a
restart; only the queue tells these apart. A run is moved from the queue to the history between two requests of ours.
"""

import asyncio
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from image_gateway.engines.comfyui.server import ComfyUIServer, Entry, node_problems
from image_gateway.errors import EngineError, EngineTimeout, EngineUnavailable
from image_gateway.models.workflow import Workflow

_NAMESPACE = uuid.UUID("5b0a8a52-6a8e-4d51-9d0c-3c8f1f4f0a77")
_ATTEMPTS = 10
_FIRST_WAIT, _LONGEST_WAIT, _GROWTH = 0.2, 2.0, 1.5
_TAKE_OFF = 5.0
_MOMENT = 0.05


@dataclass(frozen=True, slots=True)
class OutputFile:
    """An image on the server, as `/view` takes it. `type` is `output`, or `temp` for previews."""

    filename: str
    subfolder: str
    type: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished run.

    Attributes:
        files: its images, in the order of the workflow's nodes.
        workflow: as the server ran it.
        problems: what went wrong at which node; empty: nothing did.
        failed: whether the server stopped at such a problem.
    """

    files: list[OutputFile]
    workflow: Workflow
    problems: list[str] = field(default_factory=list)
    failed: bool = False

    @classmethod
    def read(cls, entry: Entry, sent: Workflow, skipped: list[str]) -> "Outcome":
        """Read a finished run. `sent` gives the order; `skipped` are the problems named when it was submitted."""
        status = entry.get("status") or {}
        failed = status.get("status_str") == "error"
        problems = [*skipped, *([_reason(status.get("messages"))] if failed else [])]
        found = _files(entry.get("outputs"), sent)
        files = [file for file in found if file.type == "output"]
        # A preview beside an output that failed shows some step in between: it is not the image.
        if not files and not problems:
            files = found
        try:
            ran = entry["prompt"][2]
        except (LookupError, TypeError):
            ran = None
        return cls(files, ran if isinstance(ran, dict) else sent, problems, failed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Runs workflows for one job.

    Attributes:
        client_id: who the server's log and queue say it is for.
        api_key: of the paid partner nodes; sent only when there is one.
        queue_limit: seconds that a run may wait for its turn. `connection.timeout` counts from the start of execution.
        clock: monotonic, in seconds.
    """

    server: ComfyUIServer
    client_id: str
    api_key: str = field(default="", repr=False)
    queue_limit: float
    clock: Callable[[], float]

    async def run(self, ids: Iterator[str], workflow: Workflow) -> Outcome:
        """Run `workflow` under the first of `ids` that has not failed yet; a run that has that id is followed instead.

        A run that takes too long is taken off the server's queue. One whose caller's own time is up stays, and so does
        one of which nothing is heard: the job that is started again finds it.

        Raises:
            EngineError: it was refused, vanished or took too long. A failed run is an `Outcome`.
        """
        prompt_id, entry, in_queue = await self._earlier(ids)
        skipped: list[str] = []
        if entry is None:
            try:
                if not in_queue:
                    prompt_id, skipped = await self._submit(prompt_id, workflow)
                entry = await self._follow(prompt_id)
            except EngineTimeout as error:
                if not error.outstanding:
                    with suppress(EngineError, TimeoutError):
                        await asyncio.shield(asyncio.wait_for(self.server.take_off([prompt_id]), _TAKE_OFF))
                raise
        return Outcome.read(entry, workflow, skipped)

    async def _earlier(self, ids: Iterator[str]) -> tuple[str, Entry | None, bool]:
        """The next id to use; what an earlier attempt of the same job finished under it; whether it is in the queue."""
        for prompt_id in ids:
            # The queue comes first: a run that ends between the two looks is in the history by the second one.
            if await self.server.place(prompt_id) is not None:
                return prompt_id, None, True
            entry = await self.server.entry(prompt_id)
            if entry is None or Outcome.read(entry, {}, []).files:
                return prompt_id, entry, False
        raise EngineUnavailable("comfyui failed at every run of this job", may_have_cost=True)

    async def _submit(self, prompt_id: str, workflow: Workflow) -> tuple[str, list[str]]:
        body: dict[str, Any] = {"prompt": workflow, "prompt_id": prompt_id, "client_id": self.client_id}
        # A null here would stop the server's queue for good.
        if self.api_key:
            body["extra_data"] = {"api_key_comfy_org": self.api_key}
        answer = await self.server.json("POST", "/prompt", json=body)
        if not isinstance(answer, dict) or "prompt_id" not in answer:
            raise EngineUnavailable("comfyui answered /prompt without a prompt_id", may_have_cost=True)
        # Older servers choose an id of their own.
        return str(answer["prompt_id"]), node_problems(answer.get("node_errors"))

    async def _follow(self, prompt_id: str) -> Entry:
        submitted, started = self.clock(), None
        wait, absent = _FIRST_WAIT, 0
        while True:
            server = self.server.within(self._left(submitted, started))
            try:
                if (entry := await server.entry(prompt_id)) is not None:
                    return entry
                place = await server.place(prompt_id)
            except EngineTimeout:
                # The last look at a run may be cut short by its own time, which then is what is up.
                if self._left(submitted, started) > _MOMENT:
                    raise
                raise self._too_slow(started) from None
            absent = absent + 1 if place is None else 0
            if absent == 2:
                said = f"comfyui no longer knows run {prompt_id}: it was deleted, or the server was restarted"
                raise EngineUnavailable(said, may_have_cost=started is not None)
            if place == "running" and started is None:
                started = self.clock()
            await server.connection.sleep(min(wait, self._left(submitted, started)))
            wait = min(wait * _GROWTH, _LONGEST_WAIT)

    def _left(self, submitted: float, started: float | None) -> float:
        """Seconds until the run is given up."""
        limit = self.queue_limit if started is None else self.server.connection.timeout
        left = limit - (self.clock() - (submitted if started is None else started))
        if left > 0:
            return left
        raise self._too_slow(started)

    def _too_slow(self, started: float | None) -> EngineTimeout:
        if started is None:
            said = f"comfyui did not start the run within {self.queue_limit:g} s: others are before it in its queue"
            return EngineTimeout(said)
        said = f"comfyui ran for longer than {self.server.connection.timeout:g} s (IMAGE_ENGINE_TIMEOUT)"
        return EngineTimeout(said, may_have_cost=True)


def run_ids(job_id: str, number: int) -> Iterator[str]:
    """The ids that run `number` of a job may have: the same for every attempt, the job's own id first."""
    for attempt in range(_ATTEMPTS):
        own = number == attempt == 0
        yield job_id if own else str(uuid.uuid5(_NAMESPACE, f"{job_id}/{number}/{attempt}"))


def _reason(messages: Any) -> str:
    for name, data in messages or ():
        if name == "execution_error":
            said = str(data.get("exception_message") or data.get("exception_type") or "no message").strip()
            return f"node {data.get('node_id')} ({data.get('node_type')}): {said}"
        if name == "execution_interrupted":
            return f"interrupted on the server at node {data.get('node_id')} ({data.get('node_type')})"
    return "the server does not say why"


def _files(outputs: Any, workflow: Workflow) -> list[OutputFile]:
    outputs = {node_id: out for node_id, out in (outputs or {}).items() if isinstance(out, dict)}
    known = [node_id for node_id in workflow if node_id in outputs]
    return [
        OutputFile(image["filename"], str(image.get("subfolder") or ""), str(image.get("type") or "output"))
        for node_id in [*known, *(other for other in outputs if other not in workflow)]
        for image in outputs[node_id].get("images") or ()
        if isinstance(image, dict) and isinstance(image.get("filename"), str)
    ]
