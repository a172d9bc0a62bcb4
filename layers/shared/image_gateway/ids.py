"""UUIDs of version 7 (RFC 9562), which sort by time, and the ids of jobs, which are such UUIDs."""

import hashlib
import secrets
import time
import uuid
from datetime import UTC, datetime

UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
"""Regular expression for a UUID in lower case, the form of all ids of the gateway."""


def uuid7(milliseconds: int, random_part: int) -> str:
    """Return the UUID of a time and a random part.

    Args:
        milliseconds: the time, since 1970.
        random_part: at most 80 bits, which make the UUID unique within its millisecond.
    """
    value = (milliseconds << 80) | random_part
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    return str(uuid.UUID(int=(value & ~(0x3 << 62)) | (0x2 << 62)))


def new_job_id() -> str:
    """Return a new job id. Its time sorts jobs, and its day is part of the keys of the job's images."""
    return uuid7(time.time_ns() // 1_000_000, secrets.randbits(80))


def derived_job_id(moment: datetime, *parts: str) -> str:
    """Return the same job id for the same moment and parts, so that a redelivered message is the same job."""
    milliseconds = int(moment.timestamp() * 1000)
    random_part = int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:10], "big")
    return uuid7(milliseconds, random_part)


def job_time(job_id: str) -> datetime:
    """Return the time of a job id in UTC, to the millisecond."""
    return datetime.fromtimestamp((uuid.UUID(job_id).int >> 80) / 1000, UTC)
