"""Jobs that a request names: for their owner or an administrator. To anybody else they do not exist."""

import re
from typing import Annotated

from fastapi import Depends, Path

from image_gateway.errors import NotFound
from image_gateway.http.routing import GatewayDep, PrincipalDep
from image_gateway.models.jobs import Job
from image_gateway.tokens import Role

_JOB = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PICTURE = re.compile(rf"{_JOB.pattern}-[0-9]{{1,4}}")


async def _job(
    job_id: Annotated[str, Path(alias="id", description="The job's id.")], gateway: GatewayDep, principal: PrincipalDep
) -> Job:
    job = await gateway.jobs.get(job_id) if _JOB.fullmatch(job_id) else None
    if job is None or (job.owner != principal.owner and principal.role < Role.ADMIN):
        raise NotFound("There is no such job")
    return job


async def _picture_url(
    picture_id: Annotated[str, Path(alias="id", description="The picture's id.")],
    gateway: GatewayDep,
    principal: PrincipalDep,
) -> str:
    key = await gateway.stored.key(picture_id, principal) if _PICTURE.fullmatch(picture_id) else None
    if key is None:
        raise NotFound("There is no such picture")
    return gateway.images.url(key)[0]


JobDep = Annotated[Job, Depends(_job)]
"""The job that the path names, if the caller may know of it."""

PictureUrlDep = Annotated[str, Depends(_picture_url)]
"""A fresh presigned URL of the picture that the path names, if the caller may have it."""
