"""Routes of tokens, for administrators."""

import re
from typing import Annotated

from fastapi import Path, Query

from image_gateway.access.principals import Role
from image_gateway.api import Access, GatewayDep, access, create_router, error_responses
from image_gateway.errors import Busy, Conflict, NotFound, StorageUnavailable, TooLarge
from image_gateway.ids import UUID
from image_gateway.models.limits import Limits
from image_gateway.models.tokens import NewToken, TokenChanges, TokenForm, TokenInfo, TokenPage

router = create_router(prefix="/api/v1/images/tokens", tags=["tokens"])


@router.get("")
@access(Access.ADMIN)
async def list_tokens(
    gateway: GatewayDep,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    cursor: Annotated[str | None, Query(pattern=f"^{UUID}$", description="The `cursor` of the previous page.")] = None,
) -> TokenPage:
    """List all tokens, newest first, without their secrets. New and revoked tokens may appear a second late."""
    return await gateway.config_parts.token_registry.page(limit=limit, cursor=cursor)


@router.post("", status_code=201, responses=error_responses(Conflict, TooLarge, StorageUnavailable, Busy))
@access(Access.ADMIN)
async def create_token(form: TokenForm, gateway: GatewayDep) -> NewToken:
    """Create a token. Its secret is returned only here: the gateway stores a hash of it."""
    if form.forwards_users:
        await gateway.config_parts.updates.make_end_user_key()
    return await gateway.config_parts.token_registry.create(
        form.name,
        Role[form.role.upper()],
        expires_at=form.expires_at,
        engines=form.engines,
        models=form.models,
        connections=form.connections,
        routes=form.routes,
        limits=Limits().after(form),
        forwards_users=form.forwards_users,
    )


@router.patch("/{id}", responses=error_responses(TooLarge, StorageUnavailable, Busy))
@access(Access.ADMIN)
async def change_token(
    token_id: Annotated[str, Path(alias="id", description="The token's id.")],
    changes: TokenChanges,
    gateway: GatewayDep,
) -> TokenInfo:
    """Change a token. Changed limits hold at once; its first ones, and `forwards_users`, within 60 s."""
    if not re.fullmatch(UUID, token_id):
        raise NotFound("There is no such token")
    if changes.forwards_users:
        await gateway.config_parts.updates.make_end_user_key()
    return await gateway.config_parts.token_registry.change(token_id, changes)


@router.delete("/{id}", status_code=204, responses=error_responses(Conflict, StorageUnavailable, Busy))
@access(Access.ADMIN)
async def revoke_token(
    token_id: Annotated[str, Path(alias="id", description="The token's id.")], gateway: GatewayDep
) -> None:
    """Revoke a token. It stops working within 60 s.

    This is refused if no administrator's token without an expiry date would be left.
    """
    if not re.fullmatch(UUID, token_id):
        raise NotFound("There is no such token")
    await gateway.config_parts.token_registry.delete(token_id)
