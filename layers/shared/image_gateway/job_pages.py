"""Pages of jobs: the query that gives one, and the cursor that leads to the next."""

import base64
import json
import uuid
from typing import TYPE_CHECKING, Any

from image_gateway.errors import InvalidRequest
from image_gateway.models.jobs import Status

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

BY_OWNER = "by-owner"
LISTED = "listed"
JOB = "job"
"""What all jobs are listed under, and the first part of their keys."""


def query(owner: str | None, status: Status | None) -> dict[str, Any]:
    """DynamoDB's query for jobs, the newest first: an owner's, or everybody's; in one state, or in any."""
    index, name, value = (LISTED, "listed", JOB) if owner is None else (BY_OWNER, "owner", owner)
    found: dict[str, Any] = {
        "IndexName": index,
        "KeyConditionExpression": "#key = :key AND begins_with(pk, :job)",
        "ExpressionAttributeNames": {"#key": name},
        "ExpressionAttributeValues": {":key": {"S": value}, ":job": {"S": f"{JOB}#"}},
        "ScanIndexForward": False,
    }
    if status is not None:
        found["FilterExpression"] = "#status = :status"
        found["ExpressionAttributeNames"]["#status"] = "status"
        found["ExpressionAttributeValues"][":status"] = {"S": status}
    return found


def cursor(job_id: str) -> str:
    """What leads to the page after a job."""
    return base64.urlsafe_b64encode(json.dumps(job_id).encode()).decode()


def cursor_at(key: "dict[str, AttributeValueTypeDef] | None") -> str | None:
    """What leads on from the place where a query ended; None where it ended for good."""
    return cursor(key["pk"]["S"].removeprefix(f"{JOB}#")) if key else None


def start(given: str, owner: str | None) -> "dict[str, AttributeValueTypeDef]":
    """The key after which the page of a cursor begins.

    Raises:
        InvalidRequest: the cursor is not one of ours.
    """
    try:
        job_id = str(uuid.UUID(json.loads(base64.urlsafe_b64decode(given))))
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise InvalidRequest("cursor: is not one that this list answered", field="cursor") from None
    listed: dict[str, AttributeValueTypeDef] = {"listed": {"S": JOB}} if owner is None else {"owner": {"S": owner}}
    return {**key(job_id), **listed}


def key(job_id: str) -> "dict[str, AttributeValueTypeDef]":
    """The key of a job's item."""
    return {"pk": {"S": f"{JOB}#{job_id}"}}
