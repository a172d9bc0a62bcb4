"""What callers see of a job."""

from image_gateway.access.principals import Principal, Role
from image_gateway.images.store import ImageStore
from image_gateway.jobs import queries
from image_gateway.models.images import ImageInfo, JobInfo, JobPage, JobProblem
from image_gateway.models.jobs import Job

MAX_PAGE = 4_000_000
"""Longest page of jobs, in bytes as they stand in the function's own answer: Lambda answers 6 MB."""


def image_infos(job: Job, images: ImageStore) -> list[ImageInfo]:
    """The images of a job that has ended, with fresh URLs.

    Raises:
        GatewayError: it did not succeed; the error it ended with.
    """
    return _image_infos(require_succeeded(job), images)


def require_succeeded(job: Job) -> Job:
    """A job that has ended, if it succeeded.

    Raises:
        GatewayError: it did not; the error it ended with.
    """
    if job.status != "succeeded":
        raise job.to_error()
    return job


_WITHHELD = "What was said is for who asked; an administrator finds it in the job's result"


def job_info(job: Job, images: ImageStore, principal: Principal) -> JobInfo:
    """A job, with fresh URLs: what was asked for only for its owner, and the owner only for administrators.

    Engines quote what they were asked, so their words in errors and warnings, and the prompts that were made of it, are
    the owner's too; of jobs that came by events, which nobody else could read, administrators get them.
    """
    error = job.error
    if job.owner != principal.owner and not job.owner.startswith("event:"):
        shown = [image.model_copy(update={"revised_prompt": None}) for image in job.images]
        job = job.model_copy(update={"images": shown, "warnings": []})
        error = error and error.model_copy(update={"detail": _WITHHELD})
    return JobInfo(
        id=job.id,
        kind=job.kind,
        status=job.status,
        owner=job.owner if principal.role >= Role.ADMIN else None,
        engine=job.engine or None,
        model=job.model or None,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        attempts=job.attempts,
        request=job.request if job.owner == principal.owner else None,
        images=_image_infos(job, images) if job.status == "succeeded" else [],
        warnings=job.warnings,
        error=JobProblem(code=error.code, title=error.title, status=error.status, detail=error.detail)
        if error
        else None,
    )


def job_page(jobs: list[Job], cursor: str | None, images: ImageStore, principal: Principal) -> JobPage:
    """As many of the jobs as fit into one answer, at least one, and the cursor to what comes after them."""
    described: list[JobInfo] = []
    length = 0
    for job in jobs:
        info = job_info(job, images, principal)
        length += json_string_length(info.model_dump_json(exclude_none=True).encode())
        if described and length > MAX_PAGE:
            return JobPage(jobs=described, cursor=queries.encode_cursor(described[-1].id))
        described.append(info)
    return JobPage(jobs=described, cursor=cursor)


def json_string_length(body: bytes | bytearray) -> int:
    """How long a body is as a JSON string, as which a function answers it."""
    return len(body) + body.count(b'"') + body.count(b"\\")


def _image_infos(job: Job, images: ImageStore) -> list[ImageInfo]:
    answers = []
    for stored in job.images:
        url, expires_at = images.url(stored.key)
        image_id = f"{job.id}-{stored.number}"
        answers.append(
            ImageInfo(
                url=url,
                id=image_id,
                name=f"{image_id}.{stored.key.rpartition('.')[2]}",
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
