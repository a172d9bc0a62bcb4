"""Queries for jobs: pages of them with the cursor that leads to the next, and those of a time that have not ended."""

import base64
import json
import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any

from image_gateway.errors import InvalidRequest
from image_gateway.ids import uuid7
from image_gateway.models.jobs import Status

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

BY_OWNER = "by-owner"
LISTED = "listed"
JOB = "job"
"""What all jobs are listed under, and the first part of their keys."""


def jobs_query(owner: str | None, status: Status | None) -> dict[str, Any]:
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


def unfinished_jobs_query(earliest: datetime, latest: datetime) -> dict[str, Any]:
    """DynamoDB's query for the keys of everybody's jobs that have not ended and came in between two moments (UTC)."""
    first, last = (f"{JOB}#{uuid7(max(0, int(moment.timestamp() * 1000)), 0)}" for moment in (earliest, latest))
    return {
        "IndexName": LISTED,
        "KeyConditionExpression": "#key = :key AND pk BETWEEN :first AND :last",
        "FilterExpression": "#status IN (:queued, :running)",
        "ProjectionExpression": "pk",
        "ExpressionAttributeNames": {"#key": "listed", "#status": "status"},
        "ExpressionAttributeValues": {
            ":key": {"S": JOB},
            ":first": {"S": first},
            ":last": {"S": last},
            ":queued": {"S": "queued"},
            ":running": {"S": "running"},
        },
    }


def item_job_id(item: Any) -> str:
    """The id of the job that an item of the table is."""
    return str(item["pk"]["S"]).removeprefix(f"{JOB}#")


def encode_cursor(last: str) -> str:
    """What leads to the page after the job of that id."""
    return base64.urlsafe_b64encode(json.dumps(last).encode()).decode()


def next_cursor(key: "dict[str, AttributeValueTypeDef] | None") -> str | None:
    """What leads on from the place where a query ended; None where it ended for good."""
    return encode_cursor(item_job_id(key)) if key else None


def start_key(given: str, owner: str | None) -> "dict[str, AttributeValueTypeDef]":
    """The key after which the page of a cursor begins.

    Raises:
        InvalidRequest: the cursor is not one of ours.
    """
    try:
        last = str(uuid.UUID(json.loads(base64.urlsafe_b64decode(given))))
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise InvalidRequest("cursor: is not one that this list answered", field="cursor") from None
    listed: dict[str, AttributeValueTypeDef] = {"listed": {"S": JOB}} if owner is None else {"owner": {"S": owner}}
    return {**item_key(last), **listed}


def item_key(job_id: str) -> "dict[str, AttributeValueTypeDef]":
    """The key of a job's item."""
    return {"pk": {"S": f"{JOB}#{job_id}"}}
