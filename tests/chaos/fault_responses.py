"""What AWS's services respond when they fail, in their own formats."""

import json

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
    head = f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
    return f"{head}{body}".encode()
