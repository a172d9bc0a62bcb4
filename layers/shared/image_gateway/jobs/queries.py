"""DynamoDB queries for the keys of jobs, and cursors.

The indexes have keys only, so that a job's writes after the first cost nothing in them. The jobs are read by key.
"""

import base64
import json
import uuid
from datetime import datetime
from typing import TYPE_CHECKING, Any

from image_gateway.errors import InvalidRequest
from image_gateway.ids import uuid7

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

BY_OWNER = "by-owner"
BY_END_USER = "by-end-user"
LISTED = "listed"
JOB = "job"
"""The value of the attribute `listed` for every job, and the first part of every job's key."""


def jobs_query(owner: str | None, end_user: str = "") -> dict[str, Any]:
    """Return DynamoDB's query for the keys of jobs, the newest first.

    Args:
        owner: only jobs of this owner; None for all jobs.
        end_user: only jobs with this label, whoever owns them; empty for all jobs.
    """
    index, name, value = (LISTED, "listed", JOB) if owner is None else (BY_OWNER, "owner", owner)
    if end_user:
        index, name, value = BY_END_USER, "end_user", end_user
    return {
        "IndexName": index,
        "KeyConditionExpression": "#key = :key AND begins_with(pk, :job)",
        "ExpressionAttributeNames": {"#key": name},
        "ExpressionAttributeValues": {":key": {"S": value}, ":job": {"S": f"{JOB}#"}},
        "ScanIndexForward": False,
    }


def end_user_query(label: str) -> dict[str, Any]:
    """Return DynamoDB's query for the keys of everything that has the label of an end user: jobs and budgets."""
    return {
        "IndexName": BY_END_USER,
        "KeyConditionExpression": "end_user = :label",
        "ExpressionAttributeValues": {":label": {"S": label}},
    }


def created_between_query(earliest: datetime, latest: datetime) -> dict[str, Any]:
    """Return DynamoDB's query for the keys of all jobs that were created between two times (UTC)."""
    first, last = (f"{JOB}#{uuid7(max(0, int(time.timestamp() * 1000)), 0)}" for time in (earliest, latest))
    return {
        "IndexName": LISTED,
        "KeyConditionExpression": "#key = :key AND pk BETWEEN :first AND :last",
        "ExpressionAttributeNames": {"#key": "listed"},
        "ExpressionAttributeValues": {":key": {"S": JOB}, ":first": {"S": first}, ":last": {"S": last}},
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


def start_key(cursor: str, owner: str | None, end_user: str = "") -> "dict[str, AttributeValueTypeDef]":
    """Return the `ExclusiveStartKey` for a cursor, in the list that `jobs_query` has for the other arguments.

    Raises:
        InvalidRequest: the cursor was not made by `encode_cursor`.
    """
    try:
        job_id = str(uuid.UUID(json.loads(base64.urlsafe_b64decode(cursor))))
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise InvalidRequest("cursor: is not one that this list returned", field="cursor") from None
    index_key: dict[str, AttributeValueTypeDef] = {"listed": {"S": JOB}} if owner is None else {"owner": {"S": owner}}
    if end_user:
        index_key = {"end_user": {"S": end_user}}
    return {**item_key(job_id), **index_key}


def item_key(job_id: str) -> "dict[str, AttributeValueTypeDef]":
    """Return the key of a job's item in the table."""
    return {"pk": {"S": f"{JOB}#{job_id}"}}
