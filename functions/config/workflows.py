"""Routes of ComfyUI workflows, for administrators."""

from typing import Annotated

from fastapi import Path, Response

from functions.config.versions import CHANGE_ERRORS, read_current, show_stored
from image_gateway.api import Access, GatewayDep, IfMatchDep, access, create_router, error_responses
from image_gateway.errors import NotConfigured
from image_gateway.models.names import CONNECTION_NAME
from image_gateway.models.workflow_forms import WorkflowForm, WorkflowInfo, WorkflowList
from image_gateway.models.workflow_inspection import InspectionForm, InspectionInfo

router = create_router(prefix="/api/v1/images/workflows", tags=["workflows"])

Name = Annotated[str, Path(pattern=CONNECTION_NAME, description="The workflow's name.", examples=["portrait"])]


@router.post("/inspect", responses=error_responses(NotConfigured))
@access(Access.ADMIN)
async def inspect_workflow(form: InspectionForm, gateway: GatewayDep) -> InspectionInfo:
    """Say what the gateway understands of a workflow: a proposed node map, and problems. Nothing is stored or run.

    With a `connection`, the workflow is compared with that server, too.
    """
    return await gateway.config_parts.workflow_inspector.inspect(form, await gateway.configs.read())


@router.get("", responses=error_responses(NotConfigured))
@access(Access.ADMIN)
async def read_workflows(gateway: GatewayDep, response: Response) -> WorkflowList:
    """List all workflows by name. The `ETag` is the configuration's version."""
    current = await read_current(gateway, response)
    return gateway.config_parts.workflow_catalogue.list(current)


@router.get("/{name}", responses=error_responses(NotConfigured))
@access(Access.ADMIN)
async def read_workflow(name: Name, gateway: GatewayDep, response: Response) -> WorkflowInfo:
    """Return a workflow with its node map. The `ETag` is the configuration's version."""
    current = await read_current(gateway, response)
    return await gateway.config_parts.workflow_catalogue.get(name, current)


@router.put(
    "/{name}",
    responses={
        201: {"model": WorkflowInfo, "description": "The workflow is new"},
        **error_responses(*CHANGE_ERRORS),
    },
)
@access(Access.ADMIN)
async def put_workflow(
    name: Name, form: WorkflowForm, gateway: GatewayDep, response: Response, if_match: IfMatchDep
) -> WorkflowInfo:
    """Store a workflow, in place of the one with this name. Without a node map, the proposed one is used if it is sure.

    Jobs that were accepted before are done by the workflow as it was.
    """
    current, shown, created = await gateway.config_parts.workflow_catalogue.put(name, form, if_match)
    show_stored(response, current, created=created)
    return shown


@router.delete(
    "/{name}",
    status_code=204,
    responses=error_responses(*CHANGE_ERRORS),
)
@access(Access.ADMIN)
async def delete_workflow(name: Name, gateway: GatewayDep, if_match: IfMatchDep) -> None:
    """Delete a workflow. This is refused while a route refers to it."""
    await gateway.config_parts.updates.update_catalogue(lambda draft: draft.delete_workflow(name), if_match=if_match)
