"""The jobs function: jobs and their results, images at URLs that do not expire, and the health of the queues."""

from typing import Annotated

from fastapi import Query, Response
from fastapi.responses import RedirectResponse
from pydantic import StringConstraints

from functions.jobs import health
from image_gateway.access.principals import Role
from image_gateway.api import (
    DOCUMENTED_LOCATION,
    Access,
    GatewayDep,
    ImageKeyDep,
    JobDep,
    PrincipalDep,
    access,
    create_app,
    error_responses,
    lambda_handler,
    result_router,
)
from image_gateway.errors import Busy, Conflict, Forbidden, StorageUnavailable
from image_gateway.jobs.views import job_info, job_page
from image_gateway.models.forms import MAX_END_USER
from image_gateway.models.images import ImageDownload, JobInfo, JobPage
from image_gateway.models.jobs import Status

# The function's policy allows no queries for other owners.
Owner = Annotated[str, StringConstraints(pattern="^(token|event):", max_length=256)]

app = create_app(result_router(documented=True), health.router)


@app.get("/api/v1/images/jobs", tags=["jobs"], response_model_exclude_none=True)
@access(Access.USER)
async def list_jobs(
    *,
    gateway: GatewayDep,
    principal: PrincipalDep,
    status: Annotated[Status | None, Query(description="Only jobs with this status.")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(max_length=128, description="The `cursor` of the previous page.")] = None,
    owner: Annotated[Owner | None, Query(description="Only jobs of this owner; for administrators.")] = None,
    end_user: Annotated[
        str | None,
        Query(
            min_length=1,
            max_length=MAX_END_USER,
            description="Only jobs for this end user: its label, or the id that the front end sends.",
        ),
    ] = None,
) -> JobPage:
    """List the caller's jobs, newest first. Administrators see the jobs of all owners."""
    if principal.role < Role.ADMIN:
        if owner not in (None, principal.owner):
            raise Forbidden("Jobs of other owners require a token with role admin", field="owner")
        owner = principal.owner
    label = (await gateway.end_users.meant(end_user))[0] if end_user else ""
    jobs, next_cursor = await gateway.jobs.page(owner=owner, end_user=label, status=status, limit=limit, cursor=cursor)
    return job_page(jobs, next_cursor, gateway.images, principal)


@app.get("/api/v1/images/jobs/{id}", tags=["jobs"], response_model_exclude_none=True)
@access(Access.USER)
async def read_job(job: JobDep, gateway: GatewayDep, principal: PrincipalDep) -> JobInfo:
    """Return a job, with fresh URLs of its images."""
    return job_info(job, gateway.images, principal)


@app.delete(
    "/api/v1/images/jobs/{id}",
    tags=["jobs"],
    response_model_exclude_none=True,
    responses=error_responses(Conflict, StorageUnavailable, Busy),
)
@access(Access.USER)
async def cancel(job: JobDep, gateway: GatewayDep, principal: PrincipalDep) -> JobInfo:
    """Cancel a job that has not ended. It will have no images. Its run at the engine is stopped if that is possible."""
    return job_info(await gateway.cancellation.cancel(job), gateway.images, principal)


@app.get(
    "/api/v1/images/{id}",
    tags=["images"],
    status_code=302,
    response_class=RedirectResponse,
    responses={302: {"description": "`Location` is a presigned URL of the image.", "headers": DOCUMENTED_LOCATION}},
)
@access(Access.USER)
async def image(key: ImageKeyDep, gateway: GatewayDep) -> Response:
    """Redirect to a fresh presigned URL of an image. This route's own URL does not expire."""
    return RedirectResponse(gateway.images.url(key)[0], 302)


@app.get("/api/v1/images/{id}/download", tags=["images"])
@access(Access.USER)
async def download(key: ImageKeyDep, gateway: GatewayDep) -> ImageDownload:
    """Return a presigned URL from which a browser saves an image as a file, for pages that cannot follow a redirect."""
    # The name is that of the image's document: its id and its extension.
    url, expires_at = gateway.images.url(key, file_name="-".join(key.split("/")[-2:]))
    return ImageDownload(url=url, expires_at=expires_at)


handler = lambda_handler(app)
