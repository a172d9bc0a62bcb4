"""Job records in the deployment's DynamoDB table. `job_item` describes the items.

Every change is one conditional write: of two concurrent writes one fails, and its caller learns that.

The AWS client sends a write again where the response was lost. The second write then fails its condition, because the
first one has been stored. `JobStore` recognizes its own item, and counts such a write as successful.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from image_gateway.aws import Aws, ConditionFailed, Remaining, Table, may_be_done, persist, storage_errors
from image_gateway.errors import StorageUnavailable
from image_gateway.jobs import queries
from image_gateway.jobs.claim_item import claim_key, claim_put, claiming_job_id
from image_gateway.jobs.idempotency import Claim
from image_gateway.jobs.job_item import build_item, is_same_write, lease_attributes, parse_item, parse_items
from image_gateway.jobs.record_size import truncate_to_fit
from image_gateway.metering.ledger import Ledger, Reservation, Write
from image_gateway.models.jobs import EVENT_CHANNELS, OPEN_STATUSES, Job, Status, utc_now
from image_gateway.routing.destination import Destination
from image_gateway.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

_NOT_READ = "The job cannot be read"
_NOT_STORED = "The job was not stored"
_MAX_CLAIM_TRIES = 5
_RETURN_STORED_ITEM = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
"""Makes DynamoDB return the stored item with the error of a write whose condition fails."""
_READ_LIMIT = 100
"""How many jobs are read at once while jobs of one status are looked for: as many as one batch read can have."""
_MAX_QUERIES = 20
MAX_READ_PER_PAGE = _READ_LIMIT * _MAX_QUERIES
"""The most jobs that are read for one page. It limits the time and cost of a request for jobs with a rare status."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A job that was leased.

    Attributes:
        job: the job, running.
        interrupted_engine: the engine of the attempt whose lease expired; None if there was no such attempt.
    """

    job: Job
    interrupted_engine: str | None


class JobStore:
    """The jobs of one deployment.

    Args:
        aws: DynamoDB.
        settings: names the table, and says for how many days jobs are kept.
        clock: returns seconds since 1970.
    """

    def __init__(self, aws: Aws, settings: Settings, *, clock: Callable[[], float] = time.time) -> None:
        self._table = Table(aws, settings.table)
        self.ledger = Ledger(aws, settings, now=clock)
        self._retention_seconds = settings.job_retention_days * 86_400
        self._clock = clock

    async def create(
        self,
        job: Job,
        *,
        lease_seconds: float | None = None,
        holder: str = "",
        claim: Claim | None = None,
        scopes: Sequence[str] = (),
    ) -> str | None:
        """Store a new job; with a lease, it is running from the start.

        Args:
            job: the job. What it may cost is in `reserved`.
            lease_seconds: the duration of its lease, if it is running from the start.
            holder: who holds that lease.
            claim: identifies repetitions of the request.
            scopes: whose limits count. What the job may cost is held there in the same transaction.

        Returns:
            None if the job was stored; else the id of the job that already has this id or this claim, which is
            unchanged.

        Raises:
            InvalidRequest: the claim's key was used for another request.
            BudgetExceeded, LimitExceeded: a limit refuses the job.
            Busy: other requests keep changing the same limits.
            StorageUnavailable: the table does not respond, or other requests keep writing the same claim.
        """
        if lease_seconds is not None:
            job.status, job.started_at, job.attempts = "running", utc_now(), 1
        lease = {} if lease_seconds is None else lease_attributes(holder, self._clock() + lease_seconds)
        if claim is None and not scopes:
            return None if await self._write(self._new(job, lease)) else job.id
        return await self._create_by_transaction(job, lease, claim, scopes)

    def _new(self, job: Job, lease: "dict[str, AttributeValueTypeDef]") -> dict[str, Any]:
        return {"Item": self._item(job) | lease, "ConditionExpression": "attribute_not_exists(pk)"}

    async def _create_by_transaction(
        self, job: Job, lease: "dict[str, AttributeValueTypeDef]", claim: Claim | None, scopes: Sequence[str]
    ) -> str | None:
        """Store a job with its claim and its reservation, or return the id of the job that is there already."""
        claimed = [claim_put(claim, job.id, self._clock())] if claim else []

        def writes(reservation: Reservation) -> list[Write]:
            job.periods = dict(reservation.periods)
            return [{"Put": {"TableName": self._table.name, **put}} for put in (self._new(job, lease), *claimed)]

        for _ in range(_MAX_CLAIM_TRIES):
            reservation, _ = await self.ledger.reserve(
                scopes, job.reserved, writes, only_budgets=job.channel in EVENT_CHANNELS
            )
            if reservation is not None:
                return None
            job.periods = {}
            if claim is None:
                return job.id
            if claiming_id := await self.claiming_job_id(claim):
                return claiming_id
        raise StorageUnavailable(f"{_NOT_STORED}: other requests write the same claim", retry_after=1)

    async def settle(self, job: Job, charged: int, usage: Sequence[Write], *, announced: bool | None) -> bool:
        """Charge an ended job and count its usage, once, and store whether its event was published.

        Args:
            job: the job. It is marked as settled.
            charged: what it cost and may have cost, in millionths of a dollar.
            usage: the writes that count its usage.
            announced: as `Job.announced`; None leaves it as it is.

        Returns:
            False if that was done before.

        Raises:
            Busy: other requests keep changing the same limits.
            StorageUnavailable: the table does not respond.
        """
        states = {"settled": True, **({} if announced is None else {"announced": announced})}
        mark = {
            "Update": {
                "TableName": self._table.name,
                "Key": queries.item_key(job.id),
                "UpdateExpression": "SET " + ", ".join(f"{name} = :{name}" for name in states),
                "ConditionExpression": "attribute_exists(pk) AND attribute_not_exists(settled)",
                "ExpressionAttributeValues": {f":{name}": {"BOOL": value} for name, value in states.items()},
            }
        }
        settled = await self.ledger.settle(
            Reservation(job.reserved, job.periods, only_budgets=job.channel in EVENT_CHANNELS), charged, mark, usage
        )
        job.settled = True
        if settled and announced is not None:
            job.announced = announced
        return settled

    async def claiming_job_id(self, claim: Claim) -> str | None:
        """Return the id of the job that has this claim, or None.

        Raises:
            InvalidRequest: the claim's key was used for another request.
            StorageUnavailable: the table does not respond.
        """
        return claiming_job_id(await self._table.get(claim_key(claim), _NOT_READ), claim, self._clock())

    async def set_claim(self, claim: Claim, job_id: str) -> None:
        """Store the claim of a job that exists already, in place of any other claim on its key.

        Raises:
            StorageUnavailable: the table does not respond.
        """
        await self._table.call("PutItem", _NOT_STORED, **claim_put(claim, job_id, self._clock()))

    async def get(self, job_id: str) -> Job | None:
        """Return the job with this id as it is now (a consistent read), or None.

        Raises:
            StorageUnavailable: the table does not respond.
        """
        item = await self._table.get(queries.item_key(job_id), _NOT_READ)
        return None if item is None else parse_item(item)

    async def lease(
        self,
        job_id: str,
        holder: str,
        seconds: float,
        engine: str = "",
        *,
        destination: Destination | None = None,
        spare: Remaining | None = None,
    ) -> Lease | None:
        """Lease a job that is queued, or that is running under a lease that has expired.

        Args:
            job_id: the job.
            holder: identifies the new holder.
            seconds: the duration of the lease.
            engine: the engine of the new attempt, if it has no destination.
            destination: where the new attempt goes. A job that is running or pinned is leased only for where it went
                before. Its state may have changed since the destination was chosen.
            spare: returns the seconds in which the write is tried again if it is not known whether the table has it.
                By default it is not tried again.

        Returns:
            The running job, with its attempts counted up; None if there is no such job to lease.

        Raises:
            StorageUnavailable: the table does not respond.
        """
        job = await self.get(job_id)
        if job is None or job.status not in OPEN_STATUSES:
            return None
        previous_status, previous_engine = job.status, job.engine
        # The condition includes the attempts, because after the read another holder may have leased the job and put it
        # back: its status would be the same again.
        condition = "#status = :status AND attempts = :attempts"
        values: dict[str, AttributeValueTypeDef] = {
            ":status": {"S": previous_status},
            ":attempts": {"N": str(job.attempts)},
        }
        if previous_status == "running":
            condition += " AND lease_until < :now"
            values[":now"] = {"N": str(int(self._clock()))}
        previous = (job.engine, job.connection, job.target)
        if destination is None:
            job.engine = engine
        else:
            destination.record_in(job)
            stays = previous_status == "running" or job.pinned
            if stays and previous != (job.engine, job.connection, job.target):
                return None
        job.status, job.attempts, job.started_at = "running", job.attempts + 1, utc_now()
        put = {
            "Item": self._item(job) | lease_attributes(holder, self._clock() + seconds),
            "ConditionExpression": condition,
            "ExpressionAttributeNames": {"#status": "status"},
            "ExpressionAttributeValues": values,
        }
        try:
            leased = await self._write(put)
        except StorageUnavailable as error:
            if spare is None or not may_be_done(error):
                raise
            # If the table has it, nobody else can run the job. It would end as interrupted, though nothing was paid.
            with storage_errors(_NOT_STORED):
                leased = await persist(lambda: self._write(put), spare)
        return Lease(job, previous_engine if previous_status == "running" else None) if leased else None

    async def move(self, job: Job, holder: str, seconds: float) -> bool:
        """Record that a job that `holder` has leased goes to another destination now, before that may be paid.

        Args:
            job: the job, running, with its new engine and connection.
            holder: who holds its lease.
            seconds: for how long the lease goes on.

        Returns:
            False if `holder` no longer has the lease.

        Raises:
            StorageUnavailable: the table does not respond.
        """
        return await self._write_held(self._item(job) | lease_attributes(holder, self._clock() + seconds), holder)

    async def finish(self, job: Job, holder: str) -> bool:
        """Store the completion of a job that `holder` has leased, or put the job back into the queue.

        A job that is too large for the table is truncated, so that no image is lost because of long texts about it.

        Returns:
            False if `holder` no longer has the lease: the job was canceled, or leased by another holder.

        Raises:
            StorageUnavailable: the table does not respond.
        """
        # A time that an earlier call has set stays, so that a write of that call is recognized.
        job.finished_at = (job.finished_at or utc_now()) if job.ended else None
        truncate_to_fit(job)
        return await self._write_held(self._item(job), holder)

    async def end(self, job: Job, *, expected_status: str) -> bool:
        """Store the completion of a job whoever holds its lease, as a cancellation or a dead letter does.

        Returns:
            False if the stored job does not have the status `expected_status`.

        Raises:
            StorageUnavailable: the table does not respond.
        """
        job.finished_at = utc_now()
        return await self._write(
            {
                "Item": self._item(job),
                "ConditionExpression": "#status = :status",
                "ExpressionAttributeNames": {"#status": "status"},
                "ExpressionAttributeValues": {":status": {"S": expected_status}},
            }
        )

    async def set_announced(self, job: Job, *, announced: bool) -> None:
        """Store whether the event about the end of an ended job was published. Nothing else of the job is changed.

        Raises:
            StorageUnavailable: the table does not respond.
        """
        with suppress(ConditionFailed):
            await self._table.call(
                "UpdateItem",
                _NOT_STORED,
                Key=queries.item_key(job.id),
                UpdateExpression="SET announced = :announced",
                # The status of an ended job never changes, so the policies allow this write no other attribute.
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeValues={":announced": {"BOOL": announced}},
                # Sent although it is the default, because the functions' policies require it.
                ReturnValues="NONE",
            )
        job.announced = announced

    async def page(
        self, *, owner: str | None, status: Status | None = None, limit: int = 20, cursor: str | None = None
    ) -> tuple[list[Job], str | None]:
        """List jobs, the newest first.

        Args:
            owner: only jobs of this owner; None for all jobs.
            status: only jobs with this status; None for any.
            limit: the maximum number of jobs on the page.
            cursor: the cursor that came with the previous page.

        Returns:
            The jobs, and the cursor of the next page; None after the last page. A page can be shorter than `limit`, or
            empty, and still have a next page, because at most `MAX_READ_PER_PAGE` jobs are read for it.

        Raises:
            InvalidRequest: the cursor is invalid.
            StorageUnavailable: the table does not respond.
        """
        query = queries.jobs_query(owner)
        jobs: list[Job] = []
        start = queries.start_key(cursor, owner) if cursor is not None else None
        for _ in range(_MAX_QUERIES):
            position = {"ExclusiveStartKey": start} if start else {}
            # One job more than the page has room for shows whether there is a next page.
            read_limit = limit - len(jobs) + 1 if status is None else _READ_LIMIT
            response = await self._table.call("Query", _NOT_READ, Limit=read_limit, **position, **query)
            jobs += [job for job in await self._read(response["Items"]) if status in (None, job.status)]
            start = response.get("LastEvaluatedKey")
            if len(jobs) > limit:
                return jobs[:limit], queries.encode_cursor(jobs[limit - 1].id)
            if not start:
                return jobs, None
        return jobs, queries.next_cursor(start)

    async def _read(self, index_entries: list[Any]) -> list[Job]:
        """Return the jobs of an index's entries, in their order. Jobs that were removed in the meantime are left out.

        The index may lag behind, but the jobs are read as they are now.
        """
        keys = [entry["pk"]["S"] for entry in index_entries]
        items = await self._table.get_many([{"pk": {"S": key}} for key in keys], _NOT_READ)
        by_key = {item["pk"]["S"]: item for item in items}
        return [*parse_items(by_key[key] for key in keys if key in by_key)]

    def _item(self, job: Job) -> "dict[str, AttributeValueTypeDef]":
        return build_item(job, self._clock() + self._retention_seconds)

    async def _write_held(self, item: "dict[str, AttributeValueTypeDef]", holder: str) -> bool:
        """Write the item of a job that `holder` has leased; return False if it no longer has the lease."""
        return await self._write(
            {
                "Item": item,
                "ConditionExpression": "#status = :running AND lease_holder = :holder",
                "ExpressionAttributeNames": {"#status": "status"},
                "ExpressionAttributeValues": {":running": {"S": "running"}, ":holder": {"S": holder}},
            }
        )

    async def _write(self, put: dict[str, Any]) -> bool:
        """Write an item; return False where its condition fails because of another write."""
        try:
            await self._table.call("PutItem", _NOT_STORED, **put, **_RETURN_STORED_ITEM)
        except ConditionFailed as failed:
            return is_same_write(put["Item"], failed.item)
        return True
