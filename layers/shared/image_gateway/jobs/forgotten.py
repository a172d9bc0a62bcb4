"""End users who were forgotten while jobs for them were under way: those jobs lose the label when they are settled.

A job that has not ended is written as a whole by whoever runs it, so its label cannot be removed before. Instead, the
table remembers the hash of the label and the time, for longer than a job can be under way.
"""

import hashlib
import time
from collections.abc import Callable
from typing import Any, Final

from image_gateway.aws import Aws, Table
from image_gateway.models.jobs import Job
from image_gateway.settings import Settings

_KEPT_SECONDS: Final = 30 * 86_400
"""Messages of jobs are kept for four days, and then as dead letters for fourteen."""


class ForgottenEndUsers:
    """The end users of one deployment who were forgotten lately.

    Args:
        aws: DynamoDB.
        settings: names the table.
        now: returns the time in seconds since 1970.
    """

    def __init__(self, aws: Aws, settings: Settings, *, now: Callable[[], float] = time.time) -> None:
        self._table = Table(aws, settings.table)
        self._now = now

    async def add(self, label: str) -> None:
        """Remember that an end user is forgotten from now on.

        Raises:
            StorageUnavailable: the table does not respond.
        """
        now = self._now()
        times = {"forgotten_at": {"N": f"{now:.6f}"}, "expires_at": {"N": str(int(now) + _KEPT_SECONDS)}}
        await self._table.call("PutItem", "The end user was not forgotten", Item={**_key(label), **times})

    async def include(self, job: Job) -> bool:
        """Whether the end user of a job was forgotten after the job was accepted.

        Raises:
            StorageUnavailable: the table does not respond.
        """
        if not job.end_user:
            return False
        item = await self._table.get(_key(job.end_user), "It is not known whether the end user was forgotten")
        return item is not None and job.created_at.timestamp() <= float(item["forgotten_at"]["N"])


def _key(label: str) -> dict[str, Any]:
    return {"pk": {"S": f"forgotten#{hashlib.sha256(label.encode()).hexdigest()}"}}
