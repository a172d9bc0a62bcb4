"""DynamoDB queries for jobs, with their keys and cursors."""

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
"""The value of the attribute `listed` for every job, and the first part of every job's key."""


def jobs_query(owner: str | None, status: Status | None) -> dict[str, Any]:
    """Return DynamoDB's query for jobs, the newest first.

    Args:
        owner: only jobs of this owner; None for all jobs.
        status: only jobs with this status; None for any.
    """
    index, name, value = (LISTED, "listed", JOB) if owner is None else (BY_OWNER, "owner", owner)
    query: dict[str, Any] = {
        "IndexName": index,
        "KeyConditionExpression": "#key = :key AND begins_with(pk, :job)",
        "ExpressionAttributeNames": {"#key": name},
        "ExpressionAttributeValues": {":key": {"S": value}, ":job": {"S": f"{JOB}#"}},
        "ScanIndexForward": False,
    }
    if status is not None:
        query["FilterExpression"] = "#status = :status"
        query["ExpressionAttributeNames"]["#status"] = "status"
        query["ExpressionAttributeValues"][":status"] = {"S": status}
    return query


def unfinished_jobs_query(earliest: datetime, latest: datetime) -> dict[str, Any]:
    """Return DynamoDB's query for the keys and owners of jobs created between two times (UTC) that are not finished.

    These are queued jobs, running jobs, and ended jobs that are recorded as not announced.
    """
    first, last = (f"{JOB}#{uuid7(max(0, int(time.timestamp() * 1000)), 0)}" for time in (earliest, latest))
    return {
        "IndexName": LISTED,
        "KeyConditionExpression": "#key = :key AND pk BETWEEN :first AND :last",
        "FilterExpression": "#status IN (:queued, :running) OR announced = :no",
        "ProjectionExpression": "pk, #owner",
        "ExpressionAttributeNames": {"#key": "listed", "#status": "status", "#owner": "owner"},
        "ExpressionAttributeValues": {
            ":key": {"S": JOB},
            ":first": {"S": first},
            ":last": {"S": last},
            ":queued": {"S": "queued"},
            ":running": {"S": "running"},
            ":no": {"BOOL": False},
        },
    }


def item_job_id(item: Any) -> str:
    """Return the id of the job in an item of the table."""
    return str(item["pk"]["S"]).removeprefix(f"{JOB}#")


def item_owner(item: Any) -> str:
    """Return the owner of the job in an item of the table."""
    return str(item["owner"]["S"])


def encode_cursor(job_id: str) -> str:
    """Return the cursor of the page after this job."""
    return base64.urlsafe_b64encode(json.dumps(job_id).encode()).decode()


def next_cursor(last_evaluated_key: "dict[str, AttributeValueTypeDef] | None") -> str | None:
    """Return the cursor for a query's `LastEvaluatedKey`; None after the last page."""
    return encode_cursor(item_job_id(last_evaluated_key)) if last_evaluated_key else None


def start_key(cursor: str, owner: str | None) -> "dict[str, AttributeValueTypeDef]":
    """Return the `ExclusiveStartKey` for a cursor, in the list of this owner or, for None, of all jobs.

    Raises:
        InvalidRequest: the cursor was not made by `encode_cursor`.
    """
    try:
        job_id = str(uuid.UUID(json.loads(base64.urlsafe_b64decode(cursor))))
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise InvalidRequest("cursor: is not one that this list returned", field="cursor") from None
    index_key: dict[str, AttributeValueTypeDef] = {"listed": {"S": JOB}} if owner is None else {"owner": {"S": owner}}
    return {**item_key(job_id), **index_key}


def item_key(job_id: str) -> "dict[str, AttributeValueTypeDef]":
    """Return the key of a job's item in the table."""
    return {"pk": {"S": f"{JOB}#{job_id}"}}
