"""The queue of jobs: messages that hold a job's id and nothing else."""

import asyncio
import json

from image_gateway.aws import Aws, error_code
from image_gateway.errors import StorageUnavailable
from image_gateway.settings import Settings

LONGEST_DELAY = 900
"""Seconds; SQS delays a message no longer."""


class JobQueue:
    """Sends jobs to the worker.

    Args:
        aws: clients; SQS.
        settings: names the queue.
    """

    def __init__(self, aws: Aws, settings: Settings) -> None:
        self._aws = aws
        self._url = settings.queue_url

    async def send(self, job_id: str, *, delay_seconds: float = 0) -> None:
        """Have the worker take up a job, after a delay.

        Raises:
            StorageUnavailable: the queue does not take it.
        """
        try:
            await asyncio.to_thread(
                self._aws.sqs.send_message,
                QueueUrl=self._url,
                MessageBody=json.dumps({"job": job_id}),
                DelaySeconds=min(round(delay_seconds), LONGEST_DELAY),
            )
        except self._aws.errors as error:
            raise StorageUnavailable(f"The job was not queued: {error_code(error)}", retry_after=1) from error
