"""Truncation of jobs that are too large for the table: DynamoDB rejects items over 400 KB."""

from image_gateway.models.jobs import Job

MAX_BYTES = 380_000
"""Maximum size of a job's JSON, in bytes of UTF-8. The rest of the 400 KB is for the item's other attributes."""
TRUNCATED = "Texts of this job were cut or left out, because the whole record would be too large to store"
_MAX_TEXT = 16_384


def truncate_to_fit(job: Job) -> None:
    """Shorten texts from engines, in place, until the job fits into the table, and add the warning `TRUNCATED`.

    These texts are revised prompts, warnings, and the error's detail and field. Nothing else can be too large: the
    request is limited when it is received, keys of images are short, and `engines.result_limits` limits the number of
    images and what engines report.
    """
    limit = _MAX_TEXT
    while limit and _size(job) > MAX_BYTES:
        for image in job.images:
            image.revised_prompt = image.revised_prompt and image.revised_prompt[:limit]
        if job.error:
            job.error.detail = job.error.detail[:limit]
            job.error.field = job.error.field and job.error.field[:limit]
        warnings = [warning[:limit] for warning in job.warnings if warning != TRUNCATED]
        job.warnings = [*warnings[:limit], TRUNCATED]
        limit //= 2


def _size(job: Job) -> int:
    return len(job.model_dump_json(exclude_none=True).encode())
