"""Jobs that a request names: for their owner or an administrator. To anybody else they do not exist."""

import re
from typing import Annotated

from fastapi import Depends, Path

from image_gateway.access.principals import Role
from image_gateway.api.routing import GatewayDep, PrincipalDep
from image_gateway.errors import NotFound
from image_gateway.ids import UUID
from image_gateway.models.jobs import Job

_JOB = re.compile(UUID)
_IMAGE = re.compile(rf"{UUID}-[0-9]{{1,4}}")


async def _job(
    job_id: Annotated[str, Path(alias="id", description="The job's id.")], gateway: GatewayDep, principal: PrincipalDep
) -> Job:
    job = await gateway.jobs.get(job_id) if _JOB.fullmatch(job_id) else None
    if job is None or (job.owner != principal.owner and principal.role < Role.ADMIN):
        raise NotFound("There is no such job")
    return job


async def _image_url(
    image_id: Annotated[str, Path(alias="id", description="The image's id.")],
    gateway: GatewayDep,
    principal: PrincipalDep,
) -> str:
    key = await gateway.library.key(image_id, principal) if _IMAGE.fullmatch(image_id) else None
    if key is None:
        raise NotFound("There is no such image")
    return gateway.images.url(key)[0]


JobDep = Annotated[Job, Depends(_job)]
"""The job that the path names, if the caller may know of it."""

ImageUrlDep = Annotated[str, Depends(_image_url)]
"""A fresh presigned URL of the image that the path names, if the caller may have it."""
