"""Routes of the operator's prices, for administrators."""

from fastapi import Response

from functions.config.versions import read_current
from image_gateway.api import Access, GatewayDep, IfMatchDep, access, create_router, error_responses
from image_gateway.errors import Busy, NotConfigured, PreconditionFailed, TooLarge
from image_gateway.models.price_forms import Prices

router = create_router(prefix="/api/v1/images", tags=["metering"])


@router.get("/prices", response_model_exclude_none=True, responses=error_responses(NotConfigured))
@access(Access.ADMIN)
async def read_prices(gateway: GatewayDep, response: Response) -> Prices:
    """Return the operator's prices. The `ETag` is the configuration's version."""
    current = await read_current(gateway, response)
    return Prices(prices=list(current.catalogue.metering().prices))


@router.put(
    "/prices",
    response_model_exclude_none=True,
    responses=error_responses(NotConfigured, PreconditionFailed, TooLarge, Busy),
)
@access(Access.ADMIN)
async def put_prices(form: Prices, gateway: GatewayDep, response: Response, if_match: IfMatchDep) -> Prices:
    """Replace all of the operator's prices. They come before those that the gateway brings."""
    current, _ = await gateway.config_parts.updates.update_catalogue(
        lambda draft: draft.put_prices(form), if_match=if_match
    )
    response.headers["ETag"] = current.etag
    return Prices(prices=list(current.catalogue.metering().prices))
