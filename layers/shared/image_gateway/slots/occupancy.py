"""Who has the slots of a server, and how long a job that finds none should wait.

The item of a server, with times in seconds since 1970:

| attribute | content |
| --- | --- |
| `pk` | `slots#` and the server |
| `holders` | a map with an entry for each slot that is taken: the id of its holder → the fields of `Holder` |
| `job_seconds` | how long a job has a slot, learned from recent jobs; not there at first |
| `expires_at` | when DynamoDB may remove the item of a server that is no longer used |
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

LEASE_SECONDS = 40.0
"""How long a holder has its slot without renewing it."""
PROBATION_SECONDS = 20.0
"""How long a holder whose lease ran out has to renew it, after another process has noticed that."""
DEFAULT_JOB_SECONDS = 10.0
"""The duration of a job where none was learned yet."""
MIN_WAIT_SECONDS = 2.0
MAX_WAIT_SECONDS = 300.0
"""The longest wait before a job looks again, without jitter. The holder may die, or need less time than expected."""
_MAX_OVERDUE_WAIT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has a slot.

    Attributes:
        id: identifies the holder; a new one each time that a slot is taken.
        job_id: the job that runs.
        started_at: when that job got the slot.
        jobs: how many jobs the holder has for the slot, one after another, with the one that runs.
        lease_until: until when the holder has the slot without renewing it.
        suspected_at: when another process noticed that the lease had run out; None if none has, or if it was renewed.
    """

    id: str
    job_id: str
    started_at: float
    jobs: int
    lease_until: float
    suspected_at: float | None = None

    @classmethod
    def parse(cls, holder_id: str, value: Any) -> Self:
        """Return the holder of an entry of the item's map."""
        fields = value["M"]
        return cls(
            id=holder_id,
            job_id=fields["job_id"]["S"],
            started_at=float(fields["started_at"]["N"]),
            jobs=int(fields["jobs"]["N"]),
            lease_until=float(fields["lease_until"]["N"]),
            suspected_at=float(fields["suspected_at"]["N"]) if "suspected_at" in fields else None,
        )

    def to_value(self) -> dict[str, Any]:
        """Return the entry in the item's map, which is not suspected."""
        return {
            "M": {
                "job_id": {"S": self.job_id},
                "started_at": {"N": f"{self.started_at:.3f}"},
                "jobs": {"N": str(self.jobs)},
                "lease_until": {"N": f"{self.lease_until:.3f}"},
            }
        }

    def is_expired(self, now: float) -> bool:
        """Whether the lease ran out: the holder died, or could not reach the table."""
        return self.lease_until < now

    def is_dead(self, now: float) -> bool:
        """Whether the holder has not renewed its lease either since another process noticed that it ran out.

        While the table is unavailable, no holder can renew its lease. So none is dead before it had time to do that
        after the table has become available again.
        """
        return self.is_expired(now) and self.suspected_at is not None and self.suspected_at + PROBATION_SECONDS <= now

    def seconds_until_free(self, job_seconds: float, now: float) -> float:
        """Return the seconds after which the slot is probably free."""
        if self.is_expired(now):
            return (self.suspected_at or now) + PROBATION_SECONDS - now
        expected = self.started_at + self.jobs * job_seconds - now
        # A job that takes longer than expected probably needs about as long again, as with exponential backoff.
        return expected if expected > 0 else min(-expected, _MAX_OVERDUE_WAIT_SECONDS)


@dataclass(frozen=True, slots=True)
class Occupancy:
    """Who has the slots of a server.

    Attributes:
        holders: the holders, dead ones included.
        job_seconds: how long a job has a slot; None if that is not known yet.
    """

    holders: tuple[Holder, ...]
    job_seconds: float | None = None

    @classmethod
    def parse(cls, item: Mapping[str, Any]) -> Self:
        """Return the occupancy of a server's item."""
        holders = tuple(Holder.parse(holder_id, value) for holder_id, value in item["holders"]["M"].items())
        return cls(holders, float(item["job_seconds"]["N"]) if "job_seconds" in item else None)

    def wait_seconds(self, now: float) -> float:
        """Return how long a job that got no slot should wait: until the first slot is probably free, with jitter."""
        job_seconds = DEFAULT_JOB_SECONDS if self.job_seconds is None else self.job_seconds
        free = min((holder.seconds_until_free(job_seconds, now) for holder in self.holders), default=0.0)
        jitter = random.uniform(0.9, 1.2)  # noqa: S311 - no secret
        return min(max(free, MIN_WAIT_SECONDS), MAX_WAIT_SECONDS) * jitter
