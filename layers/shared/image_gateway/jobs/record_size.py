"""Truncation of jobs that are too large for the table: DynamoDB rejects items over 400 KB."""

import json

from image_gateway.models.jobs import Job

MAX_BYTES = 380_000
"""Maximum size of a job's JSON, in bytes of UTF-8. The rest of the 400 KB is for the item's other attributes."""
TRUNCATED = "Texts of this job were cut or left out, because the whole record would be too large to store"
_MAX_TEXT = 16_384


def truncate_to_fit(job: Job) -> None:
    """Shorten texts from engines, in place, until the job fits into the table, and add the warning `TRUNCATED`.

    These texts are revised prompts, warnings, the error's detail and field, token counts and `reported`. Nothing else
    can be too large: the request is limited when it is received, and keys of images are short.
    """
    limit = _MAX_TEXT
    if _size(job) > MAX_BYTES and len(json.dumps(job.usage)) > limit:
        job.usage, job.warnings = None, [*job.warnings, TRUNCATED]
    while limit and _size(job) > MAX_BYTES:
        for image in job.images:
            image.revised_prompt = image.revised_prompt and image.revised_prompt[:limit]
        if job.error:
            job.error.detail = job.error.detail[:limit]
            job.error.field = job.error.field and job.error.field[:limit]
        job.reported = {name: text[:limit] for name, text in job.reported.items()}
        warnings = [warning[:limit] for warning in job.warnings if warning != TRUNCATED]
        job.warnings = [*warnings[:limit], TRUNCATED]
        limit //= 2


def _size(job: Job) -> int:
    return len(job.model_dump_json(exclude_none=True).encode())
