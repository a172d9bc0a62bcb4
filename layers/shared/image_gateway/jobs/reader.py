"""Reading of job records: one by its id, lists in pages, and the job that has a claim."""

import time
from collections.abc import Callable
from typing import Any

from image_gateway.aws import Aws, Table
from image_gateway.jobs import queries
from image_gateway.jobs.claim_item import claim_key, claiming_job_id
from image_gateway.jobs.idempotency import Claim
from image_gateway.jobs.job_item import parse_item, parse_items
from image_gateway.models.jobs import Job, Status
from image_gateway.settings import Settings

_NOT_READ = "The job cannot be read"
_READ_LIMIT = 100
"""How many jobs are read at once while jobs of one status are looked for: as many as one batch read can have."""
_MAX_QUERIES = 20
MAX_READ_PER_PAGE = _READ_LIMIT * _MAX_QUERIES
"""The most jobs that are read for one page. It limits the time and cost of a request for jobs with a rare status."""


class JobReader:
    """Reads the jobs of one deployment.

    Args:
        aws: DynamoDB.
        settings: names the table.
        clock: returns seconds since 1970.
    """

    def __init__(self, aws: Aws, settings: Settings, *, clock: Callable[[], float] = time.time) -> None:
        self._table = Table(aws, settings.table)
        self._clock = clock

    async def get(self, job_id: str) -> Job | None:
        """Return the job with this id as it is now (a consistent read), or None.

        Raises:
            StorageUnavailable: the table does not respond.
        """
        item = await self._table.get(queries.item_key(job_id), _NOT_READ)
        return None if item is None else parse_item(item)

    async def claiming_job_id(self, claim: Claim) -> str | None:
        """Return the id of the job that has this claim, or None.

        Raises:
            InvalidRequest: the claim's key was used for another request.
            StorageUnavailable: the table does not respond.
        """
        return claiming_job_id(await self._table.get(claim_key(claim), _NOT_READ), claim, self._clock())

    async def page(
        self,
        *,
        owner: str | None,
        end_user: str = "",
        status: Status | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> tuple[list[Job], str | None]:
        """List jobs, the newest first.

        Args:
            owner: only jobs of this owner; None for all jobs.
            end_user: only jobs with this label; empty for any.
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
        query = queries.jobs_query(owner, end_user)
        jobs: list[Job] = []
        start = queries.start_key(cursor, owner, end_user) if cursor is not None else None
        # An index has the jobs of an owner or of an end user, not of both.
        only_owner = owner if end_user else None
        reads_all = status is None and only_owner is None
        for _ in range(_MAX_QUERIES):
            position = {"ExclusiveStartKey": start} if start else {}
            # One job more than the page has room for shows whether there is a next page.
            read_limit = limit - len(jobs) + 1 if reads_all else _READ_LIMIT
            response = await self._table.call("Query", _NOT_READ, Limit=read_limit, **position, **query)
            read = await self._read(response["Items"])
            jobs += [job for job in read if _fits(job, status, only_owner, end_user)]
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


def _fits(job: Job, status: Status | None, owner: str | None, end_user: str) -> bool:
    # The index may still have the label of an end user who was forgotten.
    return status in (None, job.status) and owner in (None, job.owner) and end_user in ("", job.end_user)
