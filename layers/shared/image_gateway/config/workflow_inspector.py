"""Inspects ComfyUI workflows for administrators, also against one of the deployment's servers."""

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from image_gateway.config.projection import engine_of, for_connection
from image_gateway.config.versioned import VersionedConfig
from image_gateway.engines.comfyui.inspection import Inspection, Problem, inspect_workflow, read_workflow
from image_gateway.engines.comfyui.inspection.comparison import server_problems
from image_gateway.engines.comfyui.inspection.server_classes import MAX_CLASSES, NodeClasses, ServerClasses
from image_gateway.errors import EngineError, InvalidRequest
from image_gateway.models.config import ImagesConfig
from image_gateway.models.workflow import MAX_WORKFLOW_BYTES
from image_gateway.models.workflow_inspection import InspectionForm, InspectionInfo

CreateServer = Callable[[ImagesConfig, bool], NodeClasses]
"""Creates the engine of a ComfyUI server from a configuration; the second argument says whether it is for edits."""

_INSPECT = "POST /api/v1/images/workflows/inspect"


class WorkflowInspector:
    """Inspects workflows.

    Args:
        create_server: creates the engine of a server.
        classes: what servers have declared lately.
    """

    def __init__(self, create_server: CreateServer, classes: ServerClasses) -> None:
        self._create_server = create_server
        self._classes = classes

    async def inspect(self, form: InspectionForm, versioned: VersionedConfig) -> InspectionInfo:
        """Inspect a workflow.

        Raises:
            InvalidRequest: it is too long, or there is no such connection of ComfyUI.
            NotConfigured: the connection has no URL.
        """
        _check_length(form.workflow)
        inspection = inspect_workflow(form.workflow)
        problems = list(inspection.problems)
        if form.connection is not None:
            server = self._server(versioned, form.connection)
            problems += await self._compared(form.workflow, inspection, server)
        nodes = [asdict(node) for node in inspection.nodes]
        return InspectionInfo.model_validate({"nodes": nodes, "problems": [asdict(problem) for problem in problems]})

    def _server(self, versioned: VersionedConfig, name: str) -> NodeClasses:
        engine = engine_of(versioned, name)
        if engine != "comfyui":
            problem = (
                f"is a connection of {engine}: name one of comfyui" if engine else "does not exist: store it first"
            )
            raise InvalidRequest(f"The connection {name} {problem}", field="connection")
        return self._create_server(for_connection(versioned, name), name.endswith("-edit"))

    async def _compared(
        self, given: str | dict[str, Any], inspection: Inspection, server: NodeClasses
    ) -> list[Problem]:
        workflow = read_workflow(given).workflow
        if workflow is None:
            return []
        names = list(dict.fromkeys(node["class_type"] for node in workflow.values()))
        try:
            classes = await self._classes.declared(server, names)
        except EngineError as error:
            return [Problem("not_compared", f"The workflow was not compared with the server: {error.detail}")]
        problems = list(server_problems(workflow, inspection, classes))
        if len(names) > MAX_CLASSES:
            detail = f"Only the first {MAX_CLASSES} of {len(names)} classes were compared with the server."
            problems.append(Problem("not_compared", detail))
        return problems

    @staticmethod
    def warnings(config: ImagesConfig, changes: ImagesConfig) -> list[str]:
        """Return what an inspection proposes for each workflow that `changes` sets and that has no node map."""
        warnings = []
        for prefix in ("COMFYUI", "IMAGES_EDIT_COMFYUI"):
            field, map_field = f"{prefix}_WORKFLOW", f"{prefix}_WORKFLOW_NODES"
            workflow: str = getattr(config, field)
            if field in changes.model_fields_set and workflow.strip() and not getattr(config, map_field):
                warnings.append(_proposal_warning(map_field, inspect_workflow(workflow)))
        return warnings


def _proposal_warning(map_field: str, inspection: Inspection) -> str:
    sure = [
        {"type": node.type, "key": node.key, "node_ids": list(node.node_ids)} for node in inspection.nodes if node.sure
    ]
    unsure = sorted({node.type for node in inspection.nodes if not node.sure})
    doubt = f", and is not sure about {', '.join(unsure)}" if unsure else ""
    return f"{map_field} is empty. {_INSPECT} proposes {json.dumps(sure, ensure_ascii=False)}{doubt}"


def _check_length(workflow: str | dict[str, Any]) -> None:
    # An object is as long as it came in the request's body, which API Gateway limits.
    length = len(workflow.encode(errors="replace")) if isinstance(workflow, str) else _json_length(workflow)
    if length > MAX_WORKFLOW_BYTES:
        detail = f"workflow must not have more than {MAX_WORKFLOW_BYTES:,} bytes; it has {length:,}"
        raise InvalidRequest(detail, field="workflow")


def _json_length(value: Any) -> int:
    try:
        return len(json.dumps(value, separators=(",", ":")))
    except RecursionError:
        # Such a value is refused as no JSON.
        return 0
