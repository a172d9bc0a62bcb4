"""Jobs in the gateway's table. Every change is one conditional write, so of two writers one loses and knows it.

An item holds the job as JSON in `job`; beside it stand the attributes that conditions and indexes need: `status`,
`owner`, `listed` (an index over all), `attempts`, the lease (`lease_holder`, `lease_until`, seconds since 1970) and
`expires_at`, after which DynamoDB removes it.

A write is sent again where its answer was lost, and then finds what it has written itself: that is no other writer.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from image_gateway.aws import Aws, ConditionFailed, Table
from image_gateway.errors import InvalidRequest, StorageUnavailable
from image_gateway.jobs import queries
from image_gateway.jobs.idempotency import Claim
from image_gateway.jobs.queries import JOB
from image_gateway.jobs.record_size import truncate_to_fit
from image_gateway.models.jobs import Job, Status, utc_now
from image_gateway.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

_NOT_READ = "The job cannot be read"
_NOT_STORED = "The job was not stored"
_TRIES = 5
_SHOWING = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
"""Has a write that does not happen tell what is there instead."""
_READ_AT_ONCE = 250
_MOST_QUERIES = 8
MAX_READ_PER_PAGE = _READ_AT_ONCE * _MOST_QUERIES
"""Most jobs that are looked at for one page, so that a rare state does not make a request long and dear."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A job that was taken up. `interrupted_engine` names the engine it was on when its last holder died, else None."""

    job: Job
    interrupted_engine: str | None


class JobStore:
    """Jobs of one deployment.

    Args:
        aws: DynamoDB.
        settings: names the table, and how many days a job is remembered.
        clock: seconds since 1970.
    """

    def __init__(self, aws: Aws, settings: Settings, *, clock: Callable[[], float] = time.time) -> None:
        self._table = Table(aws, settings.table)
        self._days = settings.job_retention_days
        self._clock = clock

    async def create(
        self, job: Job, *, lease_seconds: float | None = None, holder: str = "", claim: Claim | None = None
    ) -> str | None:
        """Store a new job; with a lease it is running from the start.

        Returns:
            None if it was stored; the id of the job that is there already, by its id or by the claim, which stays.

        Raises:
            InvalidRequest: the claim's key was used for another request.
        """
        if lease_seconds is not None:
            job.status, job.started_at, job.attempts = "running", utc_now(), 1
        item = self._item(job)
        if lease_seconds is not None:
            item |= _lease(holder, self._clock() + lease_seconds)
        put = {"Item": item, "ConditionExpression": "attribute_not_exists(pk)"}
        if claim is None:
            return None if await self._write(put) else job.id
        return await self._create_claimed(job, put, claim)

    async def _create_claimed(self, job: Job, put: dict[str, Any], claim: Claim) -> str | None:
        """Store the job and its claim together, or find the job that has the claim."""
        item: dict[str, AttributeValueTypeDef] = {
            "pk": {"S": claim.key},
            "claimed_by": {"S": job.id},
            "body": {"S": claim.body},
            "expires_at": {"N": str(int(self._clock() + claim.seconds))},
        }
        claiming: dict[str, Any] = {"TableName": self._table.name, "Item": item}
        if not claim.replaces:
            claiming["ConditionExpression"] = "attribute_not_exists(pk) OR expires_at < :now"
            claiming["ExpressionAttributeValues"] = {":now": {"N": str(int(self._clock()))}}
        writes = [{"Put": {"TableName": self._table.name, **put}}, {"Put": claiming}]
        for _ in range(_TRIES):
            if not await self._table.transact(writes, _NOT_STORED):
                return None
            found = await self._table.get({"pk": item["pk"]}, _NOT_READ)
            if found is not None and float(found["expires_at"]["N"]) >= self._clock():
                if found["body"]["S"] != claim.body:
                    raise InvalidRequest("The Idempotency-Key was used for another request", field="Idempotency-Key")
                return str(found["claimed_by"]["S"])
        raise StorageUnavailable(f"{_NOT_STORED}: others write the same claim", retry_after=1)

    async def get(self, job_id: str) -> Job | None:
        """The job of that id, as it is now."""
        found = await self._table.get(queries.item_key(job_id), _NOT_READ)
        return None if found is None else parse_item(found)

    async def lease(self, job_id: str, holder: str, seconds: float, engine: str = "") -> Lease | None:
        """Take a job up: one that is queued, or one whose last holder's lease ran out.

        Args:
            job_id: which one.
            holder: who takes it.
            seconds: for how long.
            engine: which engine it will be given to.

        Returns:
            The running job with one attempt more; None if it is not there to be taken.
        """
        job = await self.get(job_id)
        if job is None or job.ended:
            return None
        before, engine_before = job.status, job.engine
        # With the attempts, what was read is what is replaced: between reading and writing it may have been put back.
        condition = "#status = :before AND attempts = :attempts"
        values: dict[str, AttributeValueTypeDef] = {
            ":before": {"S": before},
            ":attempts": {"N": str(job.attempts)},
        }
        if before == "running":
            condition += " AND lease_until < :now"
            values[":now"] = {"N": str(int(self._clock()))}
        job.engine = engine
        job.status, job.attempts, job.started_at = "running", job.attempts + 1, utc_now()
        item = self._item(job) | _lease(holder, self._clock() + seconds)
        put = {
            "Item": item,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": values,
        }
        taken = await self._write(put)
        return Lease(job, engine_before if before == "running" else None) if taken else None

    async def finish(self, job: Job, holder: str) -> bool:
        """Store the end of a job that `holder` has leased, or put it back into the queue.

        A job that is too long for the table is cut, and says so: an image must not be lost for words about it.

        Returns:
            False if the job is no longer `holder`'s: canceled, or taken up by another.
        """
        # The same on another try, so that what an earlier one has written is known again.
        job.finished_at = (job.finished_at or utc_now()) if job.ended else None
        truncate_to_fit(job)
        return await self._write(
            {
                "Item": self._item(job),
                "ConditionExpression": "#status = :running AND lease_holder = :holder",
                "ExpressionAttributeNames": {"#status": "status"},
                "ExpressionAttributeValues": {":running": {"S": "running"}, ":holder": {"S": holder}},
            }
        )

    async def end(self, job: Job, *, expected_status: Status) -> bool:
        """Store the end of a job that nobody holds, or that is taken from its holder: a cancellation, a dead letter.

        Returns:
            False if the job is not in the state `before` any more.
        """
        job.finished_at = utc_now()
        return await self._write(
            {
                "Item": self._item(job),
                "ConditionExpression": "#status = :before",
                "ExpressionAttributeNames": {"#status": "status"},
                "ExpressionAttributeValues": {":before": {"S": expected_status}},
            }
        )

    async def page(
        self, *, owner: str | None, status: Status | None = None, limit: int = 20, cursor: str | None = None
    ) -> tuple[list[Job], str | None]:
        """Jobs, the newest first.

        Args:
            owner: whose; None for everybody's.
            status: only those in this state.
            limit: at most so many.
            cursor: where the last page ended.

        Returns:
            The jobs, and the cursor of the next page; None after the last. A page may be short, or empty, and still
            have a next one: no more than `MAX_READ_PER_PAGE` jobs are looked at for it.

        Raises:
            InvalidRequest: the cursor is not one of ours.
        """
        query = queries.jobs_query(owner, status)
        jobs: list[Job] = []
        start = queries.start_key(cursor, owner) if cursor is not None else None
        for _ in range(_MOST_QUERIES):
            position = {"ExclusiveStartKey": start} if start else {}
            # One more than is left tells whether there is another page; to find those in one state takes more.
            most = limit - len(jobs) + 1 if status is None else _READ_AT_ONCE
            found = await self._table.call("Query", _NOT_READ, Limit=most, **position, **query)
            jobs += [parse_item(item) for item in found["Items"]]
            start = found.get("LastEvaluatedKey")
            if len(jobs) > limit:
                return jobs[:limit], queries.encode_cursor(jobs[limit - 1].id)
            if not start:
                return jobs, None
        return jobs, queries.next_cursor(start)

    def _item(self, job: Job) -> "dict[str, AttributeValueTypeDef]":
        return {
            **queries.item_key(job.id),
            "owner": {"S": job.owner},
            "listed": {"S": JOB},
            "status": {"S": job.status},
            "attempts": {"N": str(job.attempts)},
            "expires_at": {"N": str(int(self._clock() + self._days * 86_400))},
            "job": {"S": job.model_dump_json(exclude_none=True)},
        }

    async def _write(self, put: dict[str, Any]) -> bool:
        try:
            await self._table.call("PutItem", _NOT_STORED, **put, **_SHOWING)
        except ConditionFailed as failed:
            return _is_ours(put["Item"], failed.item)
        return True


def _is_ours(written: "dict[str, AttributeValueTypeDef]", found: Any) -> bool:
    """Whether the job's item that is in the way is what was to be written: its times are to the microsecond."""
    return found is not None and all(found.get(name) == written.get(name) for name in ("pk", "job", "lease_holder"))


def _lease(holder: str, until: float) -> "dict[str, AttributeValueTypeDef]":
    return {"lease_holder": {"S": holder}, "lease_until": {"N": str(int(until))}}


def parse_item(item: Any) -> Job:
    """The job that an item of the table holds."""
    return Job.model_validate_json(item["job"]["S"])
