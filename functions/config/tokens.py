"""Tokens, for administrators: who may use the gateway."""

import re
from typing import Annotated

from fastapi import APIRouter, Path, Query

from image_gateway.access.principals import Role
from image_gateway.api import Access, GatewayDep, GuardedRoute, access, refusals
from image_gateway.errors import Busy, Conflict, NotFound, StorageUnavailable
from image_gateway.models.tokens import NewToken, TokenForm, TokenPage

_ID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"

router = APIRouter(prefix="/api/v1/images/tokens", tags=["tokens"], route_class=GuardedRoute)


@router.get("")
@access(Access.ADMIN)
async def list_tokens(
    gateway: GatewayDep,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(pattern=f"^{_ID}$", description="As the page before answered it.")] = None,
) -> TokenPage:
    """All tokens, the newest first, without their secrets. What was just made or revoked may be a second late."""
    return await gateway.token_registry.page(limit=limit, cursor=cursor)


@router.post("", status_code=201, responses=refusals(Conflict, StorageUnavailable, Busy))
@access(Access.ADMIN)
async def create_token(form: TokenForm, gateway: GatewayDep) -> NewToken:
    """Make a token. Its secret is in this answer only: the gateway keeps but a hash of it."""
    return await gateway.token_registry.create(
        form.name, Role[form.role.upper()], expires_at=form.expires_at, engines=form.engines, models=form.models
    )


@router.delete("/{id}", status_code=204, responses=refusals(Conflict, StorageUnavailable, Busy))
@access(Access.ADMIN)
async def revoke_token(
    token_id: Annotated[str, Path(alias="id", description="The token's id.")], gateway: GatewayDep
) -> None:
    """Revoke a token: it stops working within 60 s.

    Refused where no administrator's token would be left that never expires.
    """
    if not re.fullmatch(_ID, token_id):
        raise NotFound("There is no such token")
    await gateway.token_registry.delete(token_id)
