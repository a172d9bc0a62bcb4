"""Messages as Lambda's poller of SQS hands them on."""

from datetime import UTC, datetime
from typing import Any

from image_gateway.envelopes import Message


def message_of(record: Any) -> Message:
    """The message of a record; a sender's time is in milliseconds since 1970."""
    sent_at = datetime.fromtimestamp(int(record["attributes"]["SentTimestamp"]) / 1000, UTC)
    return Message(record["messageId"], record["body"], sent_at)
