"""One attempt at a job, and the write that records its outcome."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from image_gateway.aws import Remaining, persist, storage_errors
from image_gateway.engines.protocol import InputImage
from image_gateway.errors import GatewayError
from image_gateway.jobs.execution import ImageContents, JobExecutor
from image_gateway.jobs.store import JobStore
from image_gateway.models.forms import CreateImageForm, EditImageForm
from image_gateway.models.jobs import Job
from image_gateway.routing.destination import Destination

logger = logging.getLogger(__name__)


async def run_attempt(
    executor: JobExecutor,
    job: Job,
    destination: Destination,
    form: CreateImageForm | EditImageForm,
    images: Sequence[InputImage] = (),
    *,
    mask: InputImage | None = None,
    contents: ImageContents | None = None,
    remaining: Remaining,
) -> GatewayError | None:
    """Execute a running job, and set its status to `succeeded` or `failed`. The record is not written.

    The arguments are those of `JobExecutor.execute`.

    Returns:
        The error, or None where the job succeeded. An unexpected exception becomes an error too, so that no job stays
        running because of a defect in the gateway.
    """
    job.images, job.warnings, job.error = [], [], None
    job.cost, job.uncertain_usd = None, None
    try:
        await executor.execute(job, destination, form, images, mask=mask, contents=contents, remaining=remaining)
    except GatewayError as error:
        job.fail(error)
        # The traceback's frames refer to images and to the error itself. Without this, the images would stay in memory
        # until the garbage collector runs.
        return error.with_traceback(None)
    except Exception as error:  # noqa: BLE001 - whatever it is, the job must end
        logger.error("unexpected error in a job", extra={"job_id": job.id, "error": type(error).__name__})  # noqa: TRY400 - its message may contain the caller's input
        defect = GatewayError("The gateway failed; its log has the reason under this job's id", may_have_cost=True)
        job.fail(defect)
        return defect
    job.status = "succeeded"
    return None


async def finish_with_retries(
    jobs: JobStore,
    job: Job,
    holder: str,
    remaining: Remaining,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> bool:
    """Call `JobStore.finish`, again while the table fails and time is left: without the record, images are lost.

    Raises:
        StorageUnavailable: the last call failed too.
    """
    with storage_errors("The job was not stored"):
        return await persist(lambda: jobs.finish(job, holder), remaining, sleep=sleep)
