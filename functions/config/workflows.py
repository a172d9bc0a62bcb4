"""Routes of ComfyUI workflows, for administrators."""

from fastapi import APIRouter

from image_gateway.api import Access, GatewayDep, GuardedRoute, access, error_responses
from image_gateway.errors import NotConfigured
from image_gateway.models.workflow_inspection import InspectionForm, InspectionInfo

router = APIRouter(prefix="/api/v1/images/workflows", tags=["workflows"], route_class=GuardedRoute)


@router.post("/inspect", responses=error_responses(NotConfigured))
@access(Access.ADMIN)
async def inspect_workflow(form: InspectionForm, gateway: GatewayDep) -> InspectionInfo:
    """Say what the gateway understands of a workflow: a proposed node map, and problems. Nothing is stored or run.

    With a `connection`, the workflow is compared with that server, too.
    """
    return await gateway.workflow_inspector.inspect(form, await gateway.configs.read())
