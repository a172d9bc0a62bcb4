"""The route that forgets an end user, for administrators."""

import time
from typing import Annotated, Final

from fastapi import Path

from image_gateway.api import Access, GatewayDep, access, create_router, error_responses
from image_gateway.errors import InvalidRequest, StorageUnavailable
from image_gateway.models.end_users import ForgottenEndUser
from image_gateway.models.forms import MAX_END_USER

router = create_router(prefix="/api/v1/images/end-users", tags=["metering"])

_SECONDS: Final = 20.0
"""How long the route works. API Gateway responds after 30 s."""


@router.delete("/{id:path}", responses=error_responses(InvalidRequest, StorageUnavailable))
@access(Access.ADMIN)
async def forget_end_user(
    end_user: Annotated[
        str,
        Path(
            alias="id",
            min_length=1,
            max_length=MAX_END_USER,
            description="The label of the end user, or the id that the front end sends, percent-encoded.",
        ),
    ],
    gateway: GatewayDep,
) -> ForgottenEndUser:
    """Forget an end user: in jobs, budgets and usage. What it cost stays in the usage of its tokens.

    Jobs that have not ended lose the label at their end. The request can be repeated, and must be if `complete` is
    false: it works for 20 s at most.
    """
    if not end_user.strip():
        raise InvalidRequest("id: must not be blank", field="id")
    labels = await gateway.end_users.meant(end_user.strip())
    ends = time.monotonic() + _SECONDS
    return await gateway.config_parts.forgetting.forget(labels, lambda: ends - time.monotonic())
