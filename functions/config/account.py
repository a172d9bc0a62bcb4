"""The route of the caller's account."""

from image_gateway import __version__
from image_gateway.access.principals import Role
from image_gateway.api import Access, GatewayDep, PrincipalDep, access, create_router, error_responses
from image_gateway.errors import StorageUnavailable
from image_gateway.models.account import Account, Defaults
from image_gateway.routing.destination import configured_engine

router = create_router(prefix="/api/v1/images/account", tags=["tokens"])


@router.get("", responses=error_responses(StorageUnavailable))
@access(Access.USER)
async def account(gateway: GatewayDep, principal: PrincipalDep) -> Account:
    """Return who the token belongs to, what it may use, and the defaults of requests that name nothing."""
    config = (await gateway.configs.read()).config
    return Account(
        owner=principal.owner,
        name=principal.name,
        role="admin" if principal.role >= Role.ADMIN else "user",
        engines=None if principal.engines is None else sorted(principal.engines),
        models=None if principal.models is None else sorted(principal.models),
        connections=None if principal.connections is None else sorted(principal.connections),
        routes=None if principal.routes is None else sorted(principal.routes),
        limits=await gateway.limits.state(principal.owner) if principal.metered else None,
        deployment=gateway.settings.deployment,
        version=__version__,
        generation=Defaults(
            enabled=config.ENABLE_IMAGE_GENERATION,
            engine=configured_engine(config, edit=False),
            model=config.IMAGE_GENERATION_MODEL,
            size=config.IMAGE_SIZE,
        ),
        edit=Defaults(
            enabled=config.ENABLE_IMAGE_EDIT,
            engine=configured_engine(config, edit=True),
            model=config.IMAGE_EDIT_MODEL,
            size=config.IMAGE_EDIT_SIZE,
        ),
    )
