"""Records as SQS hands them to Lambda, EventBridge's events, and lines of request files."""

import json
import uuid
from typing import Any

from sandbox.template import ACCOUNT, REGION

Record = dict[str, Any]


def record(body: Any, message_id: str | None = None, attributes: dict[str, str] | None = None) -> Record:
    """Return a record as SQS hands it to Lambda; `body` is sent as JSON unless it is a text."""
    return {
        "messageId": message_id or str(uuid.uuid4()),
        "receiptHandle": "MessageReceiptHandle",
        "body": body if isinstance(body, str) else json.dumps(body),
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": "1750000000123",
            "SenderId": ACCOUNT,
            "ApproximateFirstReceiveTimestamp": "1750000000129",
        },
        "messageAttributes": {
            name: {"stringValue": value, "dataType": "String", "stringListValues": [], "binaryListValues": []}
            for name, value in (attributes or {}).items()
        },
        "md5OfBody": "7b270e59b47ff90a553787216d55d91d",
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:{REGION}:{ACCOUNT}:jobs",
        "awsRegion": REGION,
    }


def event(detail: Any, detail_type: str = "Image Generation Requested", source: str = "shop", **fields: Any) -> Record:
    """Return an event as EventBridge puts it into a queue."""
    return {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": ACCOUNT,
        "time": "2026-01-02T03:04:05Z",
        "region": REGION,
        "resources": [],
        "detail": detail,
        **fields,
    }


def request_line(number: int = 1, **fields: Any) -> dict[str, Any]:
    """Return a line of a request file."""
    return {"kind": "generation", "request": {"prompt": f"fox {number}", "size": "64x64"}, **fields}
