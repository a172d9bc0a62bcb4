"""Queued jobs: stored with their input images, and sent to the worker."""

from collections.abc import Sequence

from image_gateway.aws import may_be_done
from image_gateway.engines.protocol import InputImage
from image_gateway.errors import StorageUnavailable
from image_gateway.images.store import ImageStore
from image_gateway.jobs.idempotency import Claim
from image_gateway.jobs.input_storage import store_inputs
from image_gateway.jobs.job_queue import JobQueue
from image_gateway.jobs.repeated_requests import create_job
from image_gateway.jobs.store import JobStore
from image_gateway.jobs.withdrawal import Withdrawal
from image_gateway.models.jobs import Job


class QueuedJobs:
    """Queues jobs for the worker.

    Args:
        jobs: the job records.
        queue: sends jobs to the worker.
        images: stores the input images.
        withdrawal: fails jobs that were not queued.
    """

    def __init__(self, jobs: JobStore, queue: JobQueue, images: ImageStore, withdrawal: Withdrawal) -> None:
        self._jobs = jobs
        self._queue = queue
        self._images = images
        self._withdrawal = withdrawal

    async def add(
        self,
        job: Job,
        images: Sequence[InputImage],
        *,
        mask: InputImage | None,
        claim: Claim | None,
        scopes: Sequence[str],
    ) -> Job:
        """Store a job and send it to the worker.

        Args:
            job: the new job.
            images: the images to edit.
            mask: their mask.
            claim: identifies repetitions of the request.
            scopes: whose limits count.

        Returns:
            The job, or the earlier job of the same request.

        Raises:
            BudgetExceeded, LimitExceeded: a limit refuses the job.
            StorageUnavailable: the job could not be stored or queued; nothing was paid.
        """
        await store_inputs(self._images, job, images, mask)
        try:
            earlier = await create_job(self._jobs, job, claim, scopes=scopes)
        except StorageUnavailable as error:
            if may_be_done(error) and not await self._withdrawal.fail_if_stored(job, error):
                # The recovery will find the job and run it.
                error.may_have_cost = True
            raise
        if earlier:
            return earlier
        try:
            await self._queue.send(job.id, owner=job.owner)
        except StorageUnavailable as error:
            return await self._withdrawal.fail_unless_leased(job, error)
        return job
