"""Routes of the deployment's limits, for administrators."""

from fastapi import Response

from functions.config.versions import read_current
from image_gateway.api import Access, GatewayDep, IfMatchDep, access, create_router, error_responses
from image_gateway.config.versioned import VersionedConfig
from image_gateway.container import Gateway
from image_gateway.errors import Busy, NotConfigured, PreconditionFailed, StorageUnavailable, TooLarge
from image_gateway.metering.scopes import DEPLOYMENT, EVENTS, event_owner
from image_gateway.models.limits import DeploymentLimits, DeploymentLimitsForm, Limits

router = create_router(prefix="/api/v1/images", tags=["metering"])


@router.get("/limits", responses=error_responses(NotConfigured, StorageUnavailable))
@access(Access.ADMIN)
async def read_limits(gateway: GatewayDep, response: Response) -> DeploymentLimits:
    """Return the limits of the whole deployment, and what they leave. The `ETag` is the configuration's version."""
    current = await read_current(gateway, response)
    return await _deployment_limits(gateway, current)


@router.put(
    "/limits",
    responses=error_responses(NotConfigured, PreconditionFailed, TooLarge, StorageUnavailable, Busy),
)
@access(Access.ADMIN)
async def put_limits(
    form: DeploymentLimitsForm, gateway: GatewayDep, response: Response, if_match: IfMatchDep
) -> DeploymentLimits:
    """Replace the limits of the whole deployment, so that a stolen token cannot empty the account.

    Changed limits hold at once, the first ones as soon as all functions have read the configuration again.
    """
    store = gateway.limits
    limits = Limits().after(form)
    # The version first: limits that a refused request has changed would hold all the same.
    checked, _ = await gateway.config_parts.updates.update_catalogue(lambda _: None, if_match=if_match)
    before = checked.catalogue.metering()
    if before.limited or not limits.is_empty:
        await store.set_limits(DEPLOYMENT, limits)
    for source, budget in form.events.items():
        await store.set_limits(event_owner(source), Limits(budget=budget))
    current, _ = await gateway.config_parts.updates.update_catalogue(
        lambda draft: draft.put_limits(
            limited=not limits.is_empty, unknown_price=form.unknown_price, events=form.events
        )
    )
    for removed in before.limited_events - current.catalogue.metering().limited_events:
        # What was spent is kept: a budget that is set again in the same period is not a new one.
        await store.set_limits(removed, Limits())
    response.headers["ETag"] = current.etag
    return await _deployment_limits(gateway, current)


async def _deployment_limits(gateway: Gateway, current: VersionedConfig) -> DeploymentLimits:
    metering = current.catalogue.metering()
    scopes = [*metering.limited_events, *([DEPLOYMENT] if metering.limited else [])]
    states = await gateway.limits.states(scopes)
    whole = states.pop(DEPLOYMENT, None)
    return DeploymentLimits(
        **(dict(whole) if whole else {}),
        unknown_price="refuse" if metering.refuses_unknown_prices else "zero",
        events={scope.removeprefix(EVENTS): state for scope, state in sorted(states.items())},
    )
