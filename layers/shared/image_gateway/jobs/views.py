"""What callers see of jobs: the API's models, made from job records."""

from image_gateway.access.principals import Principal, Role
from image_gateway.images.store import ImageStore
from image_gateway.jobs import queries
from image_gateway.metering.scopes import EVENTS
from image_gateway.models.images import ImageInfo, JobInfo, JobPage, JobProblem
from image_gateway.models.jobs import Job
from image_gateway.routing.destination import connection_of

MAX_PAGE_BYTES = 4_000_000
"""Maximum size of a page of jobs, as a JSON string in the function's response. Lambda's limit for that is 6 MB."""
_WITHHELD = "The error text is shown to the job's owner; an administrator finds it in the job's result"


def image_infos(job: Job, images: ImageStore) -> list[ImageInfo]:
    """Return the images of a job that has ended, with new presigned URLs.

    Raises:
        GatewayError: the job did not succeed; this is the error of the job.
    """
    return _image_infos(require_succeeded(job), images)


def require_succeeded(job: Job) -> Job:
    """Return a job that has ended, if it succeeded.

    Raises:
        GatewayError: the job did not succeed; this is the error of the job.
    """
    if job.status != "succeeded":
        raise job.to_error()
    return job


def job_info(job: Job, images: ImageStore, principal: Principal) -> JobInfo:
    """Return a job as the API shows it to `principal`, with new presigned URLs.

    Only the owner sees the request; only administrators see the owner. Engines quote requests, so the texts of errors
    and warnings, and revised prompts, are also for the owner only. Jobs that arrived as events are an exception: no
    caller could read these texts, so administrators see them.
    """
    error = job.error
    if job.owner != principal.owner and not job.owner.startswith(EVENTS):
        shown = [image.model_copy(update={"revised_prompt": None}) for image in job.images]
        job = job.model_copy(update={"images": shown, "warnings": []})
        error = error and error.model_copy(update={"detail": _WITHHELD})
    return JobInfo(
        id=job.id,
        kind=job.kind,
        status=job.status,
        owner=job.owner if principal.role >= Role.ADMIN else None,
        end_user=job.end_user or None,
        engine=job.engine or None,
        model=job.model or None,
        connection=connection_of(job) or None,
        route=job.route or None,
        tried=job.tried,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        attempts=job.attempts,
        request=job.request if job.owner == principal.owner else None,
        images=_image_infos(job, images) if job.status == "succeeded" else [],
        warnings=job.warnings,
        cost=job.cost,
        uncertain_usd=job.uncertain_usd,
        error=JobProblem(code=error.code, title=error.title, status=error.status, detail=error.detail)
        if error
        else None,
    )


def job_page(jobs: list[Job], cursor: str | None, images: ImageStore, principal: Principal) -> JobPage:
    """Return as many of the jobs as fit into one response, at least one, and the cursor of the next page.

    Args:
        jobs: the jobs.
        cursor: the cursor of the page after all of them; None if there is none.
        images: signs URLs.
        principal: the caller.
    """
    infos: list[JobInfo] = []
    length = 0
    for job in jobs:
        info = job_info(job, images, principal)
        length += json_string_length(info.model_dump_json(exclude_none=True).encode())
        if infos and length > MAX_PAGE_BYTES:
            return JobPage(jobs=infos, cursor=queries.encode_cursor(infos[-1].id))
        infos.append(info)
    return JobPage(jobs=infos, cursor=cursor)


def json_string_length(body: bytes | bytearray) -> int:
    """Return the length of a body as a JSON string, which is how a Lambda function returns it, in bytes."""
    return len(body) + body.count(b'"') + body.count(b"\\")


def _image_infos(job: Job, images: ImageStore) -> list[ImageInfo]:
    infos = []
    for stored in job.images:
        url, expires_at = images.url(stored.key)
        image_id = f"{job.id}-{stored.number}"
        infos.append(
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
    return infos
