"""The DynamoDB item of a job: what conditions and indexes need as attributes, and everything else as JSON in `job`.

The attributes are `pk` with the id, `status`, `owner`, `listed` (the partition key of an index over all jobs),
`attempts`, the lease (`lease_holder`, and `lease_until` in seconds since 1970) and `expires_at`, after which DynamoDB
removes the item. An ended job may have `announced` (see `jobs.announcement`) and `settled` (see `jobs.settlement`).
A job for an end user has `end_user`, the partition key of an index: the label is in no other attribute of an ended job,
so that an end user is forgotten by removing this one.

A write costs one unit for each kilobyte, and the last one is of the whole job. So nothing is stored twice, and neither
what equals its default nor what an ended job no longer needs: the item of a usual ended job has some 600 bytes.
"""

import json
import logging
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from image_gateway.images.sniff import CONTENT_TYPES
from image_gateway.images.store import image_folder
from image_gateway.jobs import queries
from image_gateway.metering.scopes import end_user_scope, is_end_user
from image_gateway.models.forms import END_USER_FIELDS
from image_gateway.models.jobs import FINAL_STATUSES, OPEN_STATUSES, Job

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

logger = logging.getLogger(__name__)

STATE_ATTRIBUTES = ("pk", "owner", "status", "announced", "settled")
"""The attributes that the recovery needs: `is_unfinished`, and to queue the job again."""
_ATTRIBUTES = frozenset({"id", "owner", "status", "attempts", "end_user"})
"""Fields of a job that are attributes of its item, or its key."""
_ONLY_UNTIL_THE_END = frozenset(
    {"inputs", "mask", "input_bytes", "not_before", "stakes", "estimated"} | {"prompt_reserved", "charged", "at_risk"}
)
"""Fields that only another attempt would need."""
_TIMES = ("not_before", "created_at", "started_at", "finished_at")
"""Fields that are stored as microseconds since 1970."""
_END_USER = "end_user"
"""Stands for the scope of the job's end user among its periods."""
_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)


def build_item(job: Job, expires_at: float) -> "dict[str, AttributeValueTypeDef]":
    """Return the item of a job, without a lease; `expires_at` is in seconds since 1970."""
    optional: dict[str, AttributeValueTypeDef] = {}
    if job.announced is not None:
        optional["announced"] = {"BOOL": job.announced}
    if job.end_user:
        optional["end_user"] = {"S": job.end_user}
    return {
        **queries.item_key(job.id),
        **optional,
        "owner": {"S": job.owner},
        "listed": {"S": queries.JOB},
        "status": {"S": job.status},
        "attempts": {"N": str(job.attempts)},
        "expires_at": {"N": str(int(expires_at))},
        "job": {"S": json.dumps(_content(job), separators=(",", ":"), ensure_ascii=False)},
    }


def lease_attributes(holder: str, until: float) -> "dict[str, AttributeValueTypeDef]":
    """Return the attributes of a lease; `until` is in seconds since 1970."""
    return {"lease_holder": {"S": holder}, "lease_until": {"N": str(int(until))}}


def parse_item(item: Any) -> Job:
    """Return the job of an item of the table.

    Raises:
        ValueError, LookupError, TypeError, OverflowError: the item is not that of a job, as far as this version knows.
    """
    content = json.loads(item["job"]["S"])
    job_id = queries.item_job_id(item)
    for name in _TIMES:
        if name in content:
            content[name] = _EPOCH + content[name] * _MICROSECOND
    if "images" in content:
        folder = image_folder(job_id)
        content["images"] = [_unpacked_image(image, folder) for image in content["images"]]
    owner, end_user = item["owner"]["S"], item["end_user"]["S"] if "end_user" in item else ""
    if "periods" in content:
        content["periods"] = _unpacked_periods(content["periods"], owner, end_user)
    fields = {"id": job_id, "owner": owner, "status": item["status"]["S"], "end_user": end_user}
    announced = item["announced"]["BOOL"] if "announced" in item else None
    states = {"announced": announced, "settled": item.get("settled") == {"BOOL": True}}
    return Job.model_validate({**content, **fields, "attempts": int(item["attempts"]["N"]), **states})


def parse_items(items: Iterable[Any]) -> Iterator[Job]:
    """Yield the jobs of items. Those that cannot be read are logged and left out: no list fails because of one job."""
    for item in items:
        try:
            yield parse_item(item)
        except (ValueError, LookupError, TypeError, OverflowError) as error:
            extra = {"job_id": queries.item_job_id(item), "error": type(error).__name__}
            logger.error("a job's record cannot be read", extra=extra)  # noqa: TRY400 - its message may hold the prompt


def is_unfinished(item: Any, *, settles: bool) -> bool:
    """Whether a job is queued or running, or its end is recorded as not announced, or it is not settled.

    Args:
        item: the job's item, which may be partial.
        settles: whether every job of the deployment is settled.
    """
    status = item["status"]["S"]
    unsettled = settles and status in FINAL_STATUSES and "settled" not in item
    return status in OPEN_STATUSES or unsettled or item.get("announced") == {"BOOL": False}


def is_same_write(written: "dict[str, AttributeValueTypeDef]", stored: Any) -> bool:
    """Whether the stored item comes from this same write.

    Two writes of a job hardly ever have equal items, because the job's times are recorded to the microsecond.
    """
    names = ("pk", "status", "attempts", "job", "lease_holder")
    return stored is not None and all(stored.get(name) == written.get(name) for name in names)


def _content(job: Job) -> dict[str, Any]:
    """Return what is stored as JSON."""
    excluded = _ATTRIBUTES | (_ONLY_UNTIL_THE_END if job.ended else frozenset())
    content = job.model_dump(mode="json", exclude=set(excluded), exclude_none=True, exclude_defaults=True)
    for name in _TIMES:
        if name in content:
            content[name] = (getattr(job, name) - _EPOCH) // _MICROSECOND
    if "images" in content:
        folder = image_folder(job.id)
        content["images"] = [_packed_image(image, folder) for image in content["images"]]
    if job.end_user:
        _leave_label_out(content, job)
    return content


def _leave_label_out(content: dict[str, Any], job: Job) -> None:
    """Leave the label of the end user out of a job's JSON, as far as the job does not need it there any more."""
    if "periods" in content:
        content["periods"] = {
            _END_USER if is_end_user(scope) else scope: period for scope, period in content["periods"].items()
        }
    if job.ended:
        content["request"] = {name: value for name, value in job.request.items() if name not in END_USER_FIELDS}


def _unpacked_periods(periods: dict[str, str], owner: str, end_user: str) -> dict[str, str]:
    """Return the periods by scope. That of an end user who was forgotten is left out."""
    if _END_USER not in periods:
        return periods
    others = {scope: period for scope, period in periods.items() if scope != _END_USER}
    return {**others, end_user_scope(owner, end_user): periods[_END_USER]} if end_user else others


def _packed_image(image: dict[str, Any], folder: str) -> dict[str, Any]:
    """Return a stored image without the folder of its job and without the content type that its key implies."""
    packed = {**image, "key": image["key"].removeprefix(folder)}
    if packed["content_type"] == _content_type(packed["key"]):
        del packed["content_type"]
    return packed


def _unpacked_image(image: dict[str, Any], folder: str) -> dict[str, Any]:
    key = image["key"]
    return {"content_type": _content_type(key), **image, "key": key if "/" in key else folder + key}


def _content_type(key: str) -> str | None:
    return CONTENT_TYPES.get(key.rpartition(".")[2])
