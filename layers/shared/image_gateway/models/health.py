"""The response of the route of the queues' health."""

from datetime import datetime

from pydantic import BaseModel, Field


class QueueDepth(BaseModel):
    """How many messages the queue of jobs has, by SQS's approximate counts."""

    waiting: int = Field(description="Messages that a worker can receive now.")
    received: int = Field(description="Messages that a worker has received and not processed yet.")
    delayed: int = Field(description="Messages of jobs that are to run later.")


class WaitingJob(BaseModel):
    """A job that waits for a worker."""

    id: str
    created_at: datetime


class DeadLetters(BaseModel):
    """Messages that could not be processed."""

    waiting: int = Field(description="Messages in the dead-letter queue, of which jobs are failed and the rest kept.")
    kept: int = Field(description="Messages in the bucket, each with a reason: those of 30 days, and 1,000 at most.")
    newest_at: datetime | None = Field(description="When the newest of them was kept; null: there is none.")


class HealthReport(BaseModel):
    """The state of the queues of a deployment."""

    version: str = Field(description="The version of the gateway.")
    queue: QueueDepth
    oldest_job: WaitingJob | None = Field(
        description="The oldest job with status `queued` among the newest 2,000 jobs; null: none waits."
    )
    dead_letters: DeadLetters
