"""Completion of a job from its stored images, after its holder died or could not write the job's record."""

import logging

from image_gateway.images.sniff import sniff
from image_gateway.images.store import ImageStore
from image_gateway.models.jobs import Job, JobImage

logger = logging.getLogger(__name__)

_WARNING = (
    "The job's record was not written when its images were stored. The job was completed from the stored images: their "
    "seeds and revised prompts, the usage and other warnings are unknown"
)


async def restore_from_images(job: Job, images: ImageStore) -> bool:
    """Set a job's images to those that are in the bucket, and its status to `succeeded`. The record is not written.

    Args:
        job: a job whose last holder is dead, so that no further image is being stored.
        images: the stored images.

    Returns:
        False if no image is stored; the job is unchanged.

    Raises:
        StorageUnavailable: the bucket does not respond.
    """
    # One after the other: the jobs of an invocation share its memory.
    found = [await _read(key, images) for key in await images.find(job.id)]
    restored = [image for image in found if image]
    if not restored:
        return False
    job.images, job.error, job.status = restored, None, "succeeded"
    job.warnings = [_WARNING]
    requested = max(job.request.get("n") or 1, len(found))
    if len(restored) < requested:
        job.warnings = [*job.warnings, f"{requested - len(restored)} of {requested} images were not stored"]
    return True


async def _read(key: str, images: ImageStore) -> JobImage | None:
    data = await images.get(key)
    try:
        image_type = sniff(data)
    except ValueError as reason:
        logger.warning("a stored object is not an image", extra={"key": key, "reason": str(reason)})
        return None
    return JobImage(
        key=key,
        content_type=image_type.content_type,
        width=image_type.width,
        height=image_type.height,
        size=len(data),
    )
