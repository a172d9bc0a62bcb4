"""Does one attempt at a job, records how it ended, and turns errors into what a job remembers of them and back."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence

from image_gateway.engines.protocol import InputImage
from image_gateway.errors import GatewayError, StorageUnavailable
from image_gateway.jobs.image_service import ImageService
from image_gateway.jobs.store import JobStore
from image_gateway.models.forms import CreateImageForm, EditImageForm
from image_gateway.models.jobs import Job, JobError

logger = logging.getLogger(__name__)

_FINISH_WAITS = (0.5, 1.0, 2.0)


async def attempt(
    service: ImageService,
    job: Job,
    form: CreateImageForm | EditImageForm,
    images: Sequence[InputImage] = (),
    mask: InputImage | None = None,
) -> GatewayError | None:
    """Do a running job, and set its status to `succeeded` or `failed`; nothing is written.

    Returns:
        Why it failed, or None. A defect of ours counts as a failure, so that no job stays running for it.
    """
    job.images, job.warnings, job.error = [], [], None
    try:
        await service.execute(job, form, images, mask)
    except GatewayError as error:
        fail(job, error)
        # Its frames hold images, and itself: only the garbage collector, in its own time, would let go of them.
        return error.with_traceback(None)
    except Exception as error:  # noqa: BLE001 - whatever it is, the job must end
        logger.error("unexpected error in a job", extra={"job_id": job.id, "error": type(error).__name__})  # noqa: TRY400 - its message may hold what a caller sent
        defect = GatewayError("The gateway failed; its log tells more under this job's id", may_have_cost=True)
        fail(job, defect)
        return defect
    job.status = "succeeded"
    return None


async def finish(
    jobs: JobStore, job: Job, holder: str, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
) -> bool:
    """As the store's `finish`, but persistent: with the record, images that are paid for would be lost."""
    for wait in _FINISH_WAITS:
        try:
            return await jobs.finish(job, holder)
        except StorageUnavailable:
            await sleep(wait)
    return await jobs.finish(job, holder)


def fail(job: Job, error: GatewayError) -> None:
    """Set a job's status to `failed`, with what it remembers of the error."""
    job.status = "failed"
    job.error = JobError(
        status=error.status,
        code=error.code,
        title=error.title,
        detail=error.detail,
        field=error.field,
        retry_after=error.retry_after,
        may_have_cost=error.may_have_cost,
    )


def error_of(job: Job) -> GatewayError:
    """The error that a failed or canceled job's answer is."""
    known = job.error
    if known is None:
        return GatewayError(f"The job {job.id} was {job.status}")
    kind = _KINDS.get(known.code, GatewayError)
    return kind(known.detail, field=known.field, retry_after=known.retry_after, may_have_cost=known.may_have_cost)


def _tree(kind: type[GatewayError]) -> Iterator[type[GatewayError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _tree(below)


_KINDS = {kind.code: kind for kind in reversed(list(_tree(GatewayError)))}
