"""UUIDs of version 7 (RFC 9562), which sort by time."""

import uuid


def uuid7(milliseconds: int, random_part: int) -> str:
    """The UUID of a time, in milliseconds since 1970, and of at most 80 bits that tell it from others of that time."""
    value = (milliseconds << 80) | random_part
    value = (value & ~(0xF << 76)) | (0x7 << 76)
    return str(uuid.UUID(int=(value & ~(0x3 << 62)) | (0x2 << 62)))
