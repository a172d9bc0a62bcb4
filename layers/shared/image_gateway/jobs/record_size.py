"""How long a job may be in the table: DynamoDB takes items of 400 KB, and nothing of a longer one."""

import json

from image_gateway.models.jobs import Job

MAX_BYTES = 380_000
"""Longest JSON of a job, in bytes of UTF-8; the rest of the 400 KB is for the attributes beside it."""
TRUNCATED = "Texts of this job were cut, or left out: all of them would be too long to be remembered"
_LONGEST_TEXT = 16_384


def truncate_to_fit(job: Job) -> None:
    """Cut what engines have said of a job, in place, until the table takes it; a warning says so.

    These are revised prompts, warnings, an error's words, token counts and what was told of the images. What was
    asked for is bounded where it comes in, and keys of images are short, so that these always fit.
    """
    longest = _LONGEST_TEXT
    if _size(job) > MAX_BYTES and len(json.dumps(job.usage)) > longest:
        job.usage, job.warnings = None, [*job.warnings, TRUNCATED]
    while longest and _size(job) > MAX_BYTES:
        for image in job.images:
            image.revised_prompt = image.revised_prompt and image.revised_prompt[:longest]
        if job.error:
            job.error.detail = job.error.detail[:longest]
            job.error.field = job.error.field and job.error.field[:longest]
        job.reported = {name: text[:longest] for name, text in job.reported.items()}
        said = [warning[:longest] for warning in job.warnings if warning != TRUNCATED]
        job.warnings = [*said[:longest], TRUNCATED]
        longest //= 2


def _size(job: Job) -> int:
    return len(job.model_dump_json(exclude_none=True).encode())
