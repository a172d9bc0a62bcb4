"""Who has the slots of a server, and how long a job that finds none should wait.

The item of a server, with times in seconds since 1970:

| attribute | content |
| --- | --- |
| `pk` | `slots#` and the server |
| `holders` | a map with an entry for each slot that is taken: the id of its holder → the fields of `Holder` |
| `job_seconds` | how long a job has a slot, learned from recent jobs; not there at first |
| `wanted_by` | the owner for whose jobs the next slot is reserved, because others have all of them |
| `wanted_until` | until when it is reserved |
| `expires_at` | when DynamoDB may remove the item of a server that is no longer used |
"""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

LEASE_SECONDS = 40.0
"""How long a holder has its slot without renewing it."""
PROBATION_SECONDS = 20.0
"""How long a holder whose lease ran out has to renew it, after another process has noticed that."""
QUANTUM_SECONDS = 60.0
"""How long the jobs of one process may have a slot, one after another, while another owner wants it."""
DEFAULT_JOB_SECONDS = 10.0
"""The duration of a job where none was learned yet."""
MIN_WAIT_SECONDS = 2.0
MAX_WAIT_SECONDS = 300.0
"""The longest wait before a job looks again, without jitter. The holder may die, or need less time than expected."""
_MAX_OVERDUE_WAIT_SECONDS = 60.0
_MAX_JITTER = 1.2
_RESERVED_SECONDS = 30.0
"""How long a slot is reserved beyond the time at which it should be free: the message of a job may come late."""


@dataclass(frozen=True, slots=True)
class Holder:
    """Who has a slot.

    Attributes:
        id: identifies the holder; a new one each time that a slot is taken.
        owner: the owner of the job that runs.
        job_id: the job that runs.
        taken_at: when the slot was taken.
        started_at: when that job got the slot.
        jobs: how many jobs the holder has for the slot, one after another, with the one that runs.
        lease_until: until when the holder has the slot without renewing it.
        suspected_at: when another process noticed that the lease had run out; None if none has, or if it was renewed.
    """

    id: str
    owner: str
    job_id: str
    taken_at: float
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
            owner=fields["owner"]["S"],
            job_id=fields["job_id"]["S"],
            taken_at=float(fields["taken_at"]["N"]),
            started_at=float(fields["started_at"]["N"]),
            jobs=int(fields["jobs"]["N"]),
            lease_until=float(fields["lease_until"]["N"]),
            suspected_at=float(fields["suspected_at"]["N"]) if "suspected_at" in fields else None,
        )

    def to_value(self) -> dict[str, Any]:
        """Return the entry in the item's map, which is not suspected."""
        return {
            "M": {
                "owner": {"S": self.owner},
                "job_id": {"S": self.job_id},
                "taken_at": {"N": f"{self.taken_at:.3f}"},
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

    def seconds_until_free(self, job_seconds: float, now: float, *, yields: bool) -> float:
        """Return the seconds after which the slot is probably free.

        Args:
            job_seconds: how long a job has a slot.
            now: the time.
            yields: whether the slot is reserved for another owner.
        """
        if self.is_expired(now):
            return (self.suspected_at or now) + PROBATION_SECONDS - now
        expected = self.started_at + self.jobs * job_seconds - now
        if yields:
            expected = min(expected, max(self.started_at + job_seconds, self.taken_at + QUANTUM_SECONDS) - now)
        # A job that takes longer than expected probably needs about as long again, as with exponential backoff.
        return expected if expected > 0 else min(-expected, _MAX_OVERDUE_WAIT_SECONDS)


@dataclass(frozen=True, slots=True)
class Occupancy:
    """Who has the slots of a server.

    Attributes:
        holders: the holders, dead ones included.
        job_seconds: how long a job has a slot; None if that is not known yet.
        wanted_by: the owner for whose jobs the next slot is reserved; None if it is not.
        wanted_until: until when it is reserved.
    """

    holders: tuple[Holder, ...]
    job_seconds: float | None = None
    wanted_by: str | None = None
    wanted_until: float = 0.0

    @classmethod
    def parse(cls, item: Mapping[str, Any]) -> Self:
        """Return the occupancy of a server's item."""
        holders = tuple(Holder.parse(holder_id, value) for holder_id, value in item["holders"]["M"].items())
        return cls(
            holders,
            float(item["job_seconds"]["N"]) if "job_seconds" in item else None,
            item["wanted_by"]["S"] if "wanted_by" in item else None,
            float(item["wanted_until"]["N"]) if "wanted_until" in item else 0.0,
        )

    def is_reserved(self, owner: str, now: float) -> bool:
        """Whether the next slot is reserved for another owner."""
        return self.wanted_by not in (None, owner) and self.wanted_until >= now

    def reservation(self, owner: str, now: float) -> Self | None:
        """Return the occupancy in which the next slot is reserved for an owner who has none.

        Returns:
            None if the owner has a slot, or if the next one is reserved already.
        """
        if self.is_reserved(owner, now) or any(holder.owner == owner for holder in self.holders):
            return None
        reserved = replace(self, wanted_by=owner, wanted_until=math.inf)
        free_at = now + reserved.expected_wait(owner, now) * _MAX_JITTER
        if self.wanted_by == owner and self.wanted_until >= free_at:
            return None
        return replace(reserved, wanted_until=free_at + _RESERVED_SECONDS)

    def wait_seconds(self, owner: str, now: float) -> float:
        """Return how long a job of an owner should wait: until a slot is probably free for it, with jitter."""
        jitter = random.uniform(0.9, _MAX_JITTER)  # noqa: S311 - no secret
        return self.expected_wait(owner, now) * jitter

    def expected_wait(self, owner: str, now: float) -> float:
        """Return `wait_seconds` without jitter."""
        job_seconds = DEFAULT_JOB_SECONDS if self.job_seconds is None else self.job_seconds
        yields = self.wanted_by == owner
        seconds = [holder.seconds_until_free(job_seconds, now, yields=yields) for holder in self.holders]
        free = min(seconds, default=0.0) + (job_seconds if self.is_reserved(owner, now) else 0.0)
        return min(max(free, MIN_WAIT_SECONDS), MAX_WAIT_SECONDS)
