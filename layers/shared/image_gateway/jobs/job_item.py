"""The DynamoDB item of a job: the job as JSON in `job`, and beside it the attributes for conditions and indexes.

These attributes are `status`, `owner`, `listed` (the partition key of an index over all jobs), `attempts`, the lease
(`lease_holder`, and `lease_until` in seconds since 1970) and `expires_at`, after which DynamoDB removes the item.
An ended job may have `announced`: see `jobs.announcement`.
"""

from typing import TYPE_CHECKING, Any

from image_gateway.jobs import queries
from image_gateway.models.jobs import Job

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef


def build_item(job: Job, expires_at: float) -> "dict[str, AttributeValueTypeDef]":
    """Return the item of a job, without a lease; `expires_at` is in seconds since 1970."""
    announced: dict[str, AttributeValueTypeDef] = {}
    if job.announced is not None:
        announced["announced"] = {"BOOL": job.announced}
    return {
        **queries.item_key(job.id),
        **announced,
        "owner": {"S": job.owner},
        "listed": {"S": queries.JOB},
        "status": {"S": job.status},
        "attempts": {"N": str(job.attempts)},
        "expires_at": {"N": str(int(expires_at))},
        "job": {"S": job.model_dump_json(exclude_none=True)},
    }


def lease_attributes(holder: str, until: float) -> "dict[str, AttributeValueTypeDef]":
    """Return the attributes of a lease; `until` is in seconds since 1970."""
    return {"lease_holder": {"S": holder}, "lease_until": {"N": str(int(until))}}


def parse_item(item: Any) -> Job:
    """Return the job of an item of the table."""
    job = Job.model_validate_json(item["job"]["S"])
    if "announced" in item:
        job.announced = item["announced"]["BOOL"]
    return job


def is_same_write(written: "dict[str, AttributeValueTypeDef]", stored: Any) -> bool:
    """Whether the stored item comes from this same write.

    Two writes of a job hardly ever have equal items, because the job's times are recorded to the microsecond.
    """
    return stored is not None and all(stored.get(name) == written.get(name) for name in ("pk", "job", "lease_holder"))
