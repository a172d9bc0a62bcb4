"""Job records in the deployment's DynamoDB table. `job_item` describes the items.

`JobReader` reads them and `JobCreator` writes new ones. `JobStore` adds what happens to a job after that: its leases
and its end.

Every change is one conditional write: of two concurrent writes one fails, and its caller learns that.

The AWS client sends a write again where the response was lost. The second write then fails its condition, because the
first one has been stored. `JobStore` recognizes its own item, and counts such a write as successful.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from image_gateway.aws import ConditionFailed, Remaining, may_be_done, persist, storage_errors
from image_gateway.errors import StorageUnavailable
from image_gateway.jobs import queries
from image_gateway.jobs.creation import NOT_STORED, JobCreator
from image_gateway.jobs.job_item import lease_attributes
from image_gateway.jobs.record_size import truncate_to_fit
from image_gateway.metering.ledger import Reservation, Write
from image_gateway.models.jobs import EVENT_CHANNELS, OPEN_STATUSES, Job, utc_now
from image_gateway.routing.destination import Destination

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef


@dataclass(frozen=True, slots=True)
class Lease:
    """A job that was leased.

    Attributes:
        job: the job, running.
        interrupted_engine: the engine of the attempt whose lease expired; None if there was no such attempt.
    """

    job: Job
    interrupted_engine: str | None


class JobStore(JobCreator):
    """The jobs of one deployment, from their creation to their end."""

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
            with storage_errors(NOT_STORED):
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
                NOT_STORED,
                Key=queries.item_key(job.id),
                UpdateExpression="SET announced = :announced",
                # The status of an ended job never changes, so the policies allow this write no other attribute.
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeValues={":announced": {"BOOL": announced}},
                # Sent although it is the default, because the functions' policies require it.
                ReturnValues="NONE",
            )
        job.announced = announced

    async def settle(
        self,
        job: Job,
        charged: int,
        usage: Sequence[Write],
        *,
        announced: bool | None,
        forgotten: bool = False,
    ) -> bool:
        """Charge an ended job and count its usage, once, and store whether its event was published.

        Args:
            job: the job. It is marked as settled.
            charged: what it cost and may have cost, in millionths of a dollar.
            usage: the writes that count its usage.
            announced: as `Job.announced`; None leaves it as it is.
            forgotten: whether the job loses the label of its end user.

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
                "UpdateExpression": "SET "
                + ", ".join(f"{name} = :{name}" for name in states)
                + (" REMOVE end_user" if forgotten else ""),
                "ConditionExpression": "attribute_exists(pk) AND attribute_not_exists(settled)",
                "ExpressionAttributeValues": {f":{name}": {"BOOL": value} for name, value in states.items()},
            }
        }
        settled = await self._ledger.settle(
            Reservation(job.reserved, job.periods, only_budgets=job.channel in EVENT_CHANNELS), charged, mark, usage
        )
        job.settled = True
        if settled and announced is not None:
            job.announced = announced
        return settled

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
