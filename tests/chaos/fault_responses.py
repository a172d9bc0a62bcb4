"""What AWS's services respond when they fail, in their own formats."""

import json
from typing import Any

from tests.chaos.faults import Fault

_CODES = {
    "dynamodb": ("InternalServerError", "ServiceUnavailable", "ProvisionedThroughputExceededException"),
    "events": ("InternalException", "ServiceUnavailable", "ThrottlingException"),
    "s3": ("InternalError", "ServiceUnavailable", "SlowDown"),
    "sqs": ("InternalFailure", "ServiceUnavailable", "RequestThrottled"),
    "ssm": ("InternalServerError", "ServiceUnavailable", "ThrottlingException"),
}
_FAULTS = (Fault.ERROR, Fault.UNAVAILABLE, Fault.THROTTLED)
_REASONS = {400: "Bad Request", 500: "Internal Server Error", 503: "Service Unavailable"}


def conflict_response(body: bytes) -> bytes:
    """Return DynamoDB's response to a write of one item, or a transaction, that conflicts with another transaction.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-conflict-handling
    """
    writes = json.loads(body).get("TransactItems")
    error: dict[str, Any] = {"__type": "com.amazonaws.dynamodb.v20120810#TransactionConflictException"}
    if writes:
        # There is one reason for each write, and a conflict is usually about one item.
        reasons = [*({"Code": "None"} for _ in writes[1:]), {"Code": "TransactionConflict", "Message": "chaos"}]
        error = {
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "CancellationReasons": reasons,
        }
    return _response(400, "application/x-amz-json-1.0", json.dumps({**error, "message": "chaos"}))


def fault_response(service: str, fault: Fault) -> bytes:
    """Return the whole HTTP response of a service that fails with a 500 or 503, or that throttles requests."""
    code = _CODES[service][_FAULTS.index(fault)]
    status = {Fault.ERROR: 500, Fault.UNAVAILABLE: 503}.get(fault, 503 if service == "s3" else 400)
    if service == "s3":
        kind = "application/xml"
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>chaos</Message></Error>'
    else:
        kind = "application/x-amz-json-1.0"
        body = json.dumps({"__type": f"com.amazonaws.{service}#{code}", "message": "chaos"})
    return _response(status, kind, body)


def _response(status: int, kind: str, body: str) -> bytes:
    head = f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return f"{head}{body}".encode()
