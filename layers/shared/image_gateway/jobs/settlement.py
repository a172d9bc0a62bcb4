"""Settlement of ended jobs: their costs are charged and their usage is counted, once, after their end is stored.

The end itself is written as if there were no budgets, so that a hot counter never loses an image that was paid for.
"""

import logging
from datetime import UTC

from image_gateway.errors import Busy, EngineRejected, StorageUnavailable
from image_gateway.jobs.budget_events import BudgetEvents
from image_gateway.jobs.forgotten import ForgottenEndUsers
from image_gateway.jobs.store import JobStore
from image_gateway.metering.usage import UsageCounts, UsageKey, UsageTable
from image_gateway.models.jobs import Job
from image_gateway.models.money import to_micros
from image_gateway.routing.destination import connection_of

logger = logging.getLogger(__name__)


class Settlement:
    """Settles jobs.

    Args:
        jobs: the job records, with the ledger.
        usage: where usage is counted; None if the deployment does not count it.
        budgets: says when budgets are used; None if nobody wants to know.
        forgotten: the end users whose labels jobs lose; None if there are no end users.
    """

    def __init__(
        self,
        jobs: JobStore,
        usage: UsageTable | None,
        budgets: BudgetEvents | None = None,
        forgotten: ForgottenEndUsers | None = None,
    ) -> None:
        self._jobs = jobs
        self._usage = usage
        self._forgotten = forgotten
        self._budgets = budgets

    def is_due(self, job: Job) -> bool:
        """Whether a job has something to settle that is not."""
        return not job.settled and (self._usage is not None or bool(job.periods) or bool(job.end_user))

    async def settle(self, job: Job, *, announced: bool | None) -> bool:
        """Settle an ended job if that is due, and store with it whether its event was published.

        Args:
            job: the ended job.
            announced: as `Job.announced`; None leaves it as it is.

        Returns:
            False if the table did not accept it, so that it must be tried again.
        """
        uncertain = to_micros(job.uncertain_usd) if job.uncertain_usd else 0
        charged = to_micros(job.cost.usd) if job.cost else 0
        counts = UsageCounts(
            requests=1,
            images=len(job.images),
            failures=int(job.status != "succeeded"),
            micros=charged,
            uncertain_micros=uncertain,
        )
        day = job.created_at.astimezone(UTC).date()
        try:
            forgotten = self._forgotten is not None and await self._forgotten.include(job)
            end_user = "" if forgotten else job.end_user
            key = UsageKey(day, job.owner, connection_of(job), _counted_model(job), end_user=end_user)
            writes = self._usage.writes(key, counts) if self._usage else []
            await self._jobs.settle(job, charged + uncertain, writes, announced=announced, forgotten=forgotten)
        except (Busy, StorageUnavailable):
            logger.exception("a job was not settled", extra={"job_id": job.id})
            return False
        if self._budgets and job.periods:
            await self._budgets.publish(job.periods)
        return True


def _counted_model(job: Job) -> str:
    """Return the model that a job is counted for; empty if its engine has refused the request.

    Such a model may not exist: callers could fill the usage with names, and its reports would take many queries.
    """
    return "" if job.error and job.error.code == EngineRejected.code else job.model
