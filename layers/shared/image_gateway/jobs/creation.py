"""Creation of job records, in one transaction with the request's claim and the reservation of costs, if it has any."""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from image_gateway.aws import Aws, ConditionFailed
from image_gateway.errors import LimitExceeded, StorageUnavailable
from image_gateway.jobs.claim_item import claim_put
from image_gateway.jobs.idempotency import Claim
from image_gateway.jobs.job_item import build_item, is_same_write, lease_attributes
from image_gateway.jobs.reader import JobReader
from image_gateway.metering.ledger import Ledger, Reservation, Write
from image_gateway.models.jobs import EVENT_CHANNELS, Job, utc_now
from image_gateway.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.type_defs import AttributeValueTypeDef

NOT_STORED = "The job was not stored"
_MAX_CLAIM_TRIES = 5
_MIN_OPEN_SECONDS = 30 * 86_400
"""How long a job is kept that has not ended: for longer than its message can be in the queues, as a dead letter too."""
_RETURN_STORED_ITEM = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
"""Makes DynamoDB return the stored item with the error of a write whose condition fails."""


class JobCreator(JobReader):
    """Stores new jobs of one deployment, and reads jobs.

    Args:
        aws: DynamoDB.
        settings: names the table, and says for how many days jobs are kept.
        clock: returns seconds since 1970.
    """

    def __init__(self, aws: Aws, settings: Settings, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__(aws, settings, clock=clock)
        self._ledger = Ledger(aws, settings, now=clock)
        self._retention_seconds = settings.job_retention_days * 86_400

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
            InvalidToken: the token that the limits belong to was revoked.
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

    async def set_claim(self, claim: Claim, job_id: str) -> None:
        """Store the claim of a job that exists already, in place of any other claim on its key.

        Raises:
            StorageUnavailable: the table does not respond.
        """
        await self._table.call("PutItem", NOT_STORED, **claim_put(claim, job_id, self._clock()))

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
            try:
                reservation, _ = await self._ledger.reserve(
                    scopes, job.reserved, writes, only_budgets=job.channel in EVENT_CHANNELS
                )
            except LimitExceeded:
                job.periods = {}
                raise
            if reservation is not None:
                return None
            # A job with this id is there from this same write, which was sent twice, with this same reservation.
            claiming_id = await self.claiming_job_id(claim) if claim else job.id
            if claiming_id:
                job.periods = job.periods if claiming_id == job.id else {}
                return claiming_id
        raise StorageUnavailable(f"{NOT_STORED}: other requests write the same claim", retry_after=1)

    def _item(self, job: Job) -> "dict[str, AttributeValueTypeDef]":
        # A job that was removed before its end could not be settled, and would hold its reservation for good.
        seconds = self._retention_seconds if job.ended else max(self._retention_seconds, _MIN_OPEN_SECONDS)
        return build_item(job, self._clock() + seconds)

    async def _write(self, put: dict[str, Any]) -> bool:
        """Write an item; return False where its condition fails because of another write."""
        try:
            await self._table.call("PutItem", NOT_STORED, **put, **_RETURN_STORED_ITEM)
        except ConditionFailed as failed:
            return is_same_write(put["Item"], failed.item)
        return True
