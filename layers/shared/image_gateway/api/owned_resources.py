"""The job or image that a path names. For callers who are neither its owner nor an administrator, it does not exist."""

import re
from typing import Annotated

from fastapi import Depends, Path, Request

from image_gateway.access.principals import Role
from image_gateway.api.routing import GatewayDep, PrincipalDep
from image_gateway.errors import NotFound
from image_gateway.ids import UUID
from image_gateway.models.jobs import Job

JOB_ID = re.compile(UUID)
"""The form of a job's id."""
IMAGE_ID = re.compile(rf"{UUID}-[0-9]{{1,4}}")
"""The form of an image's id: its job's id and its number."""


async def _job(
    job_id: Annotated[str, Path(alias="id", description="The job's id.")], gateway: GatewayDep, principal: PrincipalDep
) -> Job:
    job = await gateway.jobs.get(job_id) if JOB_ID.fullmatch(job_id) else None
    if job is None or (job.owner != principal.owner and principal.role < Role.ADMIN):
        raise NotFound("There is no such job")
    return job


async def _image_key(
    image_id: Annotated[str, Path(alias="id", description="The image's id.")],
    gateway: GatewayDep,
    principal: PrincipalDep,
) -> str:
    key = await gateway.library.key(image_id, principal) if IMAGE_ID.fullmatch(image_id) else None
    if key is None:
        raise NotFound("There is no such image")
    return key


async def _own_host(request: Request) -> str | None:
    return request.headers.get("host")


JobDep = Annotated[Job, Depends(_job)]
"""The job in the path. Another owner's job is not found."""

ImageKeyDep = Annotated[str, Depends(_image_key)]
"""The key in the bucket of the image in the path. Another owner's image is not found."""

OwnHostDep = Annotated[str | None, Depends(_own_host)]
"""The host that the request was sent to. Addresses of images on it are those of this gateway."""
