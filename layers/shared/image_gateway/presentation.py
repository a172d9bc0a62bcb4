"""What callers see of a job."""

from image_gateway.image_store import ImageStore
from image_gateway.job_runner import error_of
from image_gateway.models.jobs import Job
from image_gateway.models.pictures import Picture


def pictures(job: Job, images: ImageStore) -> list[Picture]:
    """The pictures of a job that has ended, with fresh URLs.

    Raises:
        GatewayError: it did not succeed; the error it ended with.
    """
    if job.status != "succeeded":
        raise error_of(job)
    answers = []
    for stored in job.pictures:
        url, expires_at = images.url(stored.key)
        picture_id = f"{job.id}-{stored.number}"
        answers.append(
            Picture(
                url=url,
                id=picture_id,
                name=f"{picture_id}.{stored.key.rpartition('.')[2]}",
                content_type=stored.content_type,
                width=stored.width,
                height=stored.height,
                expires_at=expires_at,
                seed=stored.seed,
                revised_prompt=stored.revised_prompt,
                warnings=job.warnings or None,
            )
        )
    return answers
