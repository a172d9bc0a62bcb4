"""A worker that polls the queue in its own thread, with its own gateway and event loop."""

import asyncio
import json
import threading
from types import TracebackType
from typing import Any, Self

from image_gateway.aws import Aws
from image_gateway.container import Gateway
from image_gateway.settings import Settings

_PAUSE_SECONDS = 0.02


class WorkerThread:
    """Runs the queued jobs for the life of a `with` block."""

    def __init__(self, settings: Settings, aws: Aws) -> None:
        self._gateway = Gateway(settings, aws)
        self._queue_url = settings.queue_url
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._poll()))

    def __enter__(self) -> Self:
        """Start to poll."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the jobs that were started."""
        self._stopping.set()
        self._thread.join()

    async def _poll(self) -> None:
        aws = self._gateway.aws
        queue: dict[str, Any] = {"QueueUrl": self._queue_url}
        tasks = set()
        while not self._stopping.is_set():
            for message in (await aws.call("sqs", "ReceiveMessage", **queue)).get("Messages", []):
                await aws.call("sqs", "DeleteMessage", ReceiptHandle=message["ReceiptHandle"], **queue)
                job_id = json.loads(message["Body"])["job"]
                tasks.add(asyncio.create_task(self._gateway.worker_parts.worker.process(job_id, lambda: 900.0)))
            await asyncio.sleep(_PAUSE_SECONDS)
        await asyncio.gather(*tasks)
        await self._gateway.aclose()
