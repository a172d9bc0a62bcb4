"""Ids: UUIDs of version 7 (RFC 9562), which sort by time, and the ids of jobs, which are such UUIDs."""

import hashlib
import secrets
import time
import uuid
from datetime import UTC, datetime

UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
"""Regular expression of a UUID in lower case, as ids are written here."""


def uuid7(milliseconds: int, random_part: int) -> str:
    """The UUID of a time, in milliseconds since 1970, and of at most 80 bits that tell it from others of that time."""
    value = (milliseconds << 80) | random_part
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    return str(uuid.UUID(int=(value & ~(0x3 << 62)) | (0x2 << 62)))


def new_job_id() -> str:
    """A UUID of version 7 (RFC 9562): sorts by time, and tells the day under which the job's images lie."""
    return uuid7(time.time_ns() // 1_000_000, secrets.randbits(80))


def derived_job_id(moment: datetime, *parts: str) -> str:
    """The same UUID of version 7 for the same moment and parts: a message that comes twice is one job."""
    milliseconds = int(moment.timestamp() * 1000)
    random_part = int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:10], "big")
    return uuid7(milliseconds, random_part)


def job_time(job_id: str) -> datetime:
    """When a job id was made, UTC, to the millisecond."""
    return datetime.fromtimestamp((uuid.UUID(job_id).int >> 80) / 1000, UTC)
