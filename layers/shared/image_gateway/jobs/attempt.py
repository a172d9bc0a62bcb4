"""Does one attempt at a job, and records how it ended."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from image_gateway.engines.protocol import InputImage
from image_gateway.errors import GatewayError, StorageUnavailable
from image_gateway.jobs.execution import ImageContents, JobExecutor
from image_gateway.jobs.store import JobStore
from image_gateway.models.forms import CreateImageForm, EditImageForm
from image_gateway.models.jobs import Job

logger = logging.getLogger(__name__)

_FINISH_WAITS = (0.5, 1.0, 2.0)


async def run_attempt(
    executor: JobExecutor,
    job: Job,
    form: CreateImageForm | EditImageForm,
    images: Sequence[InputImage] = (),
    mask: InputImage | None = None,
    *,
    contents: ImageContents | None = None,
) -> GatewayError | None:
    """Do a running job, and set its status to `succeeded` or `failed`; nothing is written. Arguments as `execute`.

    Returns:
        Why it failed, or None. A defect of ours counts as a failure, so that no job stays running for it.
    """
    job.images, job.warnings, job.error = [], [], None
    try:
        await executor.execute(job, form, images, mask, contents)
    except GatewayError as error:
        job.fail(error)
        # Its frames hold images, and itself: only the garbage collector, in its own time, would let go of them.
        return error.with_traceback(None)
    except Exception as error:  # noqa: BLE001 - whatever it is, the job must end
        logger.error("unexpected error in a job", extra={"job_id": job.id, "error": type(error).__name__})  # noqa: TRY400 - its message may hold what a caller sent
        defect = GatewayError("The gateway failed; its log tells more under this job's id", may_have_cost=True)
        job.fail(defect)
        return defect
    job.status = "succeeded"
    return None


async def finish_with_retries(
    jobs: JobStore, job: Job, holder: str, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> bool:
    """As the store's `finish`, but persistent: with the record, images that are paid for would be lost."""
    for wait in _FINISH_WAITS:
        try:
            return await jobs.finish(job, holder)
        except StorageUnavailable:
            await sleep(wait)
    return await jobs.finish(job, holder)
