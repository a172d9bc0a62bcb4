"""Runs of workflows on a ComfyUI server: submit, poll, cancel and read them.

Facts: recorded traffic of ComfyUI 0.3.64. A run is in the history only after its end, and not after it was deleted or
the server restarted. Only the queue tells these cases apart. The server may move a run from the queue to the history
between two of our requests.
"""

import asyncio
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from image_gateway.engines.comfyui.saved_files import OutputFile, saved_files
from image_gateway.engines.comfyui.server import ComfyUIServer, HistoryEntry, node_problems
from image_gateway.errors import EngineError, EngineTimeout, EngineUnavailable
from image_gateway.models.workflow import Workflow

_NAMESPACE = uuid.UUID("5b0a8a52-6a8e-4d51-9d0c-3c8f1f4f0a77")
_MAX_ATTEMPTS = 10
_FIRST_WAIT_SECONDS, _MAX_WAIT_SECONDS, _WAIT_GROWTH = 0.2, 2.0, 1.5
_CANCEL_SECONDS = 5.0
_NEARLY_EXPIRED_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished run.

    Attributes:
        files: its images, in the order of the workflow's nodes.
        workflow: the workflow as the server ran it.
        problems: what went wrong at which node; empty if nothing did.
        failed: whether the run stopped because of a problem.
        others: names of files that it saved and that are no images.
        animated: whether the images are animations, each with a whole batch as its frames.
        seconds: how long the server worked; None if it does not say.
    """

    files: list[OutputFile]
    workflow: Workflow
    problems: list[str] = field(default_factory=list)
    failed: bool = False
    others: list[str] = field(default_factory=list)
    animated: bool = False
    seconds: float | None = None

    @classmethod
    def read(
        cls, entry: HistoryEntry, sent: Workflow, skipped: list[str], chosen: frozenset[str] = frozenset()
    ) -> "Outcome":
        """Read a finished run.

        Args:
            entry: the run in the server's history.
            sent: the submitted workflow; its order of nodes is that of the files.
            skipped: the problems that the server reported when the run was submitted.
            chosen: ids of the nodes whose images are the answer; empty for all.
        """
        reported = entry.get("status")
        status = reported if isinstance(reported, dict) else {}
        failed = status.get("status_str") == "error"
        problems = [*skipped, *([_failure_text(status.get("messages"))] if failed else [])]
        saved = saved_files(entry.get("outputs"), sent, chosen)
        all_files = saved.images
        files = [file for file in all_files if chosen or file.type == "output"]
        # Where an output failed, a preview shows an intermediate step and is not the image.
        if not files and not problems:
            files = all_files
        try:
            ran = entry["prompt"][2]
        except (LookupError, TypeError):
            ran = None
        return cls(
            files,
            ran if isinstance(ran, dict) else sent,
            problems,
            failed,
            saved.others,
            saved.animated,
            _seconds(status.get("messages")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Runs workflows for one job.

    Attributes:
        client_id: shown in the server's log and queue.
        api_key: key of the paid partner nodes; sent only if it is not empty.
        output_nodes: ids of the nodes whose images are the answer; empty for all.
        queue_limit: seconds that a run may wait in the queue. `connection.timeout` counts from the start of execution.
        clock: monotonic clock, in seconds.
    """

    server: ComfyUIServer
    client_id: str
    api_key: str = field(default="", repr=False)
    output_nodes: frozenset[str] = frozenset()
    queue_limit: float
    clock: Callable[[], float]

    async def run(self, ids: Iterator[str], workflow: Workflow) -> Outcome:
        """Run `workflow` under the first of `ids` that has not failed yet, or follow an existing run with that id.

        A run that exceeds its time is canceled on the server. A run stays there if the caller is canceled or if the
        server stops answering, so that a restarted job finds it.

        Raises:
            EngineError: the run was refused, disappeared or exceeded its time. A failed run is an `Outcome`.
        """
        prompt_id, entry, in_queue = await self._find_earlier(ids)
        skipped: list[str] = []
        if entry is None:
            try:
                if not in_queue:
                    prompt_id, skipped = await self._submit(prompt_id, workflow)
                entry = await self._follow(prompt_id)
            except EngineTimeout as error:
                if not error.outstanding:
                    with suppress(EngineError, TimeoutError):
                        await asyncio.shield(asyncio.wait_for(self.server.cancel_runs([prompt_id]), _CANCEL_SECONDS))
                raise
        return Outcome.read(entry, workflow, skipped, self.output_nodes)

    async def _find_earlier(self, ids: Iterator[str]) -> tuple[str, HistoryEntry | None, bool]:
        """Find the id to use, and the run that an earlier attempt of the same job left under it.

        Returns:
            The id; the finished run, if there is one; whether a run with the id is in the queue.
        """
        for prompt_id in ids:
            # The queue is read first: a run that ends between the two requests is then in the history.
            if await self.server.queue_state(prompt_id) is not None:
                return prompt_id, None, True
            entry = await self.server.history_entry(prompt_id)
            if entry is None:
                return prompt_id, entry, False
            earlier = Outcome.read(entry, {}, [], self.output_nodes)
            if earlier.files or (earlier.others and not earlier.failed):
                return prompt_id, entry, False
        raise EngineUnavailable("every run of this job failed on comfyui", may_have_cost=True)

    async def _submit(self, prompt_id: str, workflow: Workflow) -> tuple[str, list[str]]:
        body: dict[str, Any] = {"prompt": workflow, "prompt_id": prompt_id, "client_id": self.client_id}
        # A null here would block the server's queue for good.
        if self.api_key:
            body["extra_data"] = {"api_key_comfy_org": self.api_key}
        response = await self.server.json("POST", "/prompt", json=body)
        if not isinstance(response, dict) or "prompt_id" not in response:
            raise EngineUnavailable("comfyui answered /prompt without a prompt_id", may_have_cost=True)
        # Older servers ignore the submitted id and choose their own.
        return str(response["prompt_id"]), node_problems(response.get("node_errors"))

    async def _follow(self, prompt_id: str) -> HistoryEntry:
        submitted, started = self.clock(), None
        wait, times_missing = _FIRST_WAIT_SECONDS, 0
        while True:
            server = self.server.with_deadline_in(self._seconds_left(submitted, started))
            try:
                if (entry := await server.history_entry(prompt_id)) is not None:
                    return entry
                state = await server.queue_state(prompt_id)
            except EngineTimeout as error:
                # If the run's own time ended during the request, that is the error to report.
                if self._seconds_left(submitted, started) > _NEARLY_EXPIRED_SECONDS:
                    # Also where no time was left to send the second request, the run goes on.
                    error.outstanding = True
                    raise
                raise self._too_slow(started) from None
            times_missing = times_missing + 1 if state is None else 0
            if times_missing == 2:
                detail = f"comfyui no longer knows run {prompt_id}: it was deleted, or the server was restarted"
                raise EngineUnavailable(detail, may_have_cost=started is not None)
            if state == "running" and started is None:
                started = self.clock()
            await server.connection.sleep(min(wait, self._seconds_left(submitted, started)))
            wait = min(wait * _WAIT_GROWTH, _MAX_WAIT_SECONDS)

    def _seconds_left(self, submitted: float, started: float | None) -> float:
        """Return the seconds until the run exceeds its time.

        Raises:
            EngineTimeout: it has.
        """
        limit = self.queue_limit if started is None else self.server.connection.timeout
        left = limit - (self.clock() - (submitted if started is None else started))
        if left > 0:
            return left
        raise self._too_slow(started)

    def _too_slow(self, started: float | None) -> EngineTimeout:
        if started is None:
            detail = (
                f"comfyui did not start the run within {self.queue_limit:g} s: other runs are before it in its queue"
            )
            return EngineTimeout(detail)
        connection = self.server.connection
        detail = f"comfyui ran for longer than {connection.timeout:g} s ({connection.timeout_name})"
        return EngineTimeout(detail, may_have_cost=True)


def run_ids(job_id: str, number: int) -> Iterator[str]:
    """Yield the ids that run `number` of a job may have, the same ones for every attempt of the job.

    The first id of run 0 is the job's own.
    """
    for attempt in range(_MAX_ATTEMPTS):
        is_first = number == attempt == 0
        yield job_id if is_first else str(uuid.uuid5(_NAMESPACE, f"{job_id}/{number}/{attempt}"))


def _failure_text(messages: Any) -> str:
    pairs = [message for message in messages if _is_message(message)] if isinstance(messages, list) else []
    for name, data in pairs:
        if name == "execution_error":
            text = str(data.get("exception_message") or data.get("exception_type") or "no message").strip()
            return f"node {data.get('node_id')} ({data.get('node_type')}): {text}"
        if name == "execution_interrupted":
            return f"interrupted on the server at node {data.get('node_id')} ({data.get('node_type')})"
    return "the server does not report why"


def _seconds(messages: Any) -> float | None:
    """Return the time from the first message of a run to the last, which does not include the server's queue."""
    found = [
        message[1].get("timestamp")
        for message in (messages if isinstance(messages, list) else ())
        if _is_message(message)
    ]
    times = [time for time in found if isinstance(time, int | float)]
    return (max(times) - min(times)) / 1000 if len(times) > 1 else None


def _is_message(message: Any) -> bool:
    """Whether a message of a run is a name and its data."""
    return isinstance(message, list) and len(message) == 2 and isinstance(message[1], dict)
