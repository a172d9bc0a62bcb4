"""The route of the queues' health, for administrators."""

from image_gateway.api import Access, GatewayDep, access, create_router
from image_gateway.models.health import HealthReport

router = create_router(prefix="/api/v1/images/health", tags=["service"])


@router.get("")
@access(Access.ADMIN)
async def health_report(gateway: GatewayDep) -> HealthReport:
    """Report what waits in the queues, the oldest job that waits, dead letters, and the version of the gateway.

    The counts are SQS's, which are approximate.
    """
    return await gateway.backlog.report()
