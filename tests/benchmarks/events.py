"""Events in the formats of API Gateway and of Lambda's event source mapping for SQS."""

import json
import time
import uuid
from typing import Any


def http(method: str, path: str, token: str, body: Any = None, **headers: str) -> dict[str, Any]:
    """Return API Gateway's event for a request (payload format 2.0)."""
    route = f"{method} {path}"
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route,
        "rawPath": path,
        "rawQueryString": "",
        "headers": {
            "accept": "*/*",
            "authorization": f"Bearer {token}",
            "content-type": "application/json",
            "host": "benchmark.execute-api.eu-central-1.amazonaws.com",
            "user-agent": "benchmark/1.0",
            "x-amzn-trace-id": "Root=1-67891233-abcdef012345678912345678",
            "x-forwarded-for": "192.0.2.1",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
            **headers,
        },
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "benchmark",
            "domainName": "benchmark.execute-api.eu-central-1.amazonaws.com",
            "domainPrefix": "benchmark",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1",
                "userAgent": "benchmark/1.0",
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": route,
            "stage": "$default",
            "time": "22/Nov/2026:19:03:58 +0000",
            "timeEpoch": int(time.time() * 1000),
        },
        "isBase64Encoded": False,
    }
    if body is not None:
        event["body"] = json.dumps(body)
    return event


def messages(*bodies: Any) -> dict[str, Any]:
    """Return the event of Lambda's event source mapping for a batch of SQS messages."""
    return {"Records": [_record(body) for body in bodies]}


def _record(body: Any) -> dict[str, Any]:
    now = str(int(time.time() * 1000))
    return {
        "messageId": str(uuid.uuid4()),
        "receiptHandle": "MessageReceiptHandle",
        "body": json.dumps(body),
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": now,
            "SenderId": "123456789012",
            "ApproximateFirstReceiveTimestamp": now,
        },
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:eu-central-1:123456789012:benchmark-jobqueue",
        "awsRegion": "eu-central-1",
    }
