"""Named workflows: what may be stored, and how they are shown. Those of the configuration's fields are among them."""

from collections.abc import Mapping, Sequence
from typing import Final

from image_gateway.config.updates import ConfigUpdates
from image_gateway.config.versioned import VersionedConfig
from image_gateway.config.workflow_store import StoredWorkflow, WorkflowStore
from image_gateway.engines.comfyui.inspection import Inspection, Proposal, inspect_workflow, read_workflow
from image_gateway.errors import InvalidRequest, NotFound
from image_gateway.models.names import RESERVED_WORKFLOWS
from image_gateway.models.workflow import MAX_WORKFLOW_BYTES, Workflow, WorkflowNode, missing_input, parse_workflow
from image_gateway.models.workflow_forms import WorkflowForm, WorkflowInfo, WorkflowList, WorkflowSummary

_FIELDS: Final[Mapping[str, str]] = {"default": "COMFYUI_WORKFLOW", "default-edit": "IMAGES_EDIT_COMFYUI_WORKFLOW"}
"""Reserved name → the configuration's field."""
_NEEDED: Final = ("prompt", "seed", "image", "mask")
"""What a proposal must be sure about. The others keep the workflow's own value if the map lacks them."""
_MAX_WARNINGS: Final = 20


class WorkflowCatalogue:
    """The named workflows of a deployment.

    Args:
        updates: updates the configuration, with the catalogue.
        contents: the workflows' contents.
    """

    def __init__(self, updates: ConfigUpdates, contents: WorkflowStore) -> None:
        self._updates = updates
        self._contents = contents

    async def put(
        self, name: str, form: WorkflowForm, if_match: frozenset[int] | None
    ) -> tuple[VersionedConfig, WorkflowInfo, bool]:
        """Store a workflow under a name, and return the new configuration, the workflow, and whether it is new.

        Raises:
            InvalidRequest: the workflow or its map cannot be used; or there is no map, and the proposal is not sure.
            Conflict: the name is reserved.
            PreconditionFailed: another version is current.
            TooLarge: there are too many workflows.
            StorageUnavailable: it was not stored.
        """
        stored, warnings = _checked(form)
        digest = await self._contents.write(stored)
        current, created = await self._updates.update_catalogue(
            lambda draft: draft.put_workflow(name, digest), if_match=if_match
        )
        return current, _shown(name, stored, "api", warnings), created

    async def get(self, name: str, current: VersionedConfig) -> WorkflowInfo:
        """Return a workflow.

        Raises:
            NotFound: there is none with this name.
            NotConfigured: its content is lost.
            StorageUnavailable: it cannot be read.
        """
        if field := _FIELDS.get(name):
            text: str = getattr(current.config, field)
            if not text.strip():
                raise NotFound(f"The workflow {name} is not configured: set {field} by POST config/update")
            return _shown(
                name, StoredWorkflow(parse_workflow(text), getattr(current.config, f"{field}_NODES")), "config"
            )
        digest = current.catalogue.workflow(name)
        if digest is None:
            raise NotFound(f"There is no workflow {name}")
        return _shown(name, await self._contents.read(name, digest), "api")

    @staticmethod
    def list(current: VersionedConfig) -> WorkflowList:
        """Return the names of all workflows.

        Raises:
            StorageUnavailable: the catalogue is lost.
        """
        configured = [name for name in RESERVED_WORKFLOWS if getattr(current.config, _FIELDS[name]).strip()]
        names = [(name, "config") for name in configured]
        names += [(name, "api") for name in current.catalogue.names("workflows")]
        return WorkflowList(workflows=[WorkflowSummary(name=name, managed_by=by) for name, by in names])


def _shown(name: str, stored: StoredWorkflow, managed_by: str, warnings: Sequence[str] = ()) -> WorkflowInfo:
    return WorkflowInfo(
        name=name, workflow=stored.workflow, nodes=stored.nodes, managed_by=managed_by, warnings=list(warnings)
    )


def _checked(form: WorkflowForm) -> tuple[StoredWorkflow, list[str]]:
    """Return the workflow to store, and what will not work as one may expect."""
    reading = read_workflow(form.workflow)
    if reading.workflow is None:
        raise InvalidRequest(f"workflow: {reading.problems[-1].detail}", field="workflow")
    stored = StoredWorkflow(reading.workflow, [])
    if (length := len(stored.text)) > MAX_WORKFLOW_BYTES:
        detail = f"workflow must not have more than {MAX_WORKFLOW_BYTES:,} bytes; it has {length:,}"
        raise InvalidRequest(detail, field="workflow")
    inspection = inspect_workflow(reading.workflow)
    nodes = _proposed(inspection) if form.nodes is None else form.nodes
    _check_map(reading.workflow, nodes)
    warnings = [problem.detail for problem in (*reading.problems, *inspection.problems)][:_MAX_WARNINGS]
    if not any(node.type == "prompt" and node.node_ids for node in nodes):
        warnings.append("nodes names no node of type prompt: every prompt will be ignored")
    return StoredWorkflow(reading.workflow, nodes), warnings


def _proposed(inspection: Inspection) -> list[WorkflowNode]:
    doubts = [node for node in inspection.nodes if node.type in _NEEDED and not node.sure]
    if doubts:
        questions = "; ".join(map(_question, doubts))
        raise InvalidRequest(f"nodes cannot be left out, because not everything is sure. {questions}", field="nodes")
    return [
        WorkflowNode(type=node.type, key=node.key, node_ids=list(node.node_ids))
        for node in inspection.nodes
        if node.sure
    ]


def _question(node: Proposal) -> str:
    found = [(node.key, node.node_ids), *((other.key, other.node_ids) for other in node.alternatives)]
    choices = " or ".join(f"{key} of {', '.join(node_ids)}" for key, node_ids in found)
    return f"{node.type}: {choices}? ({node.why})"


def _check_map(workflow: Workflow, nodes: Sequence[WorkflowNode]) -> None:
    unknown = sorted({node_id for node in nodes for node_id in node.node_ids if node_id not in workflow})
    if unknown:
        names = ", ".join(unknown[:10])
        raise InvalidRequest(f"nodes names nodes that the workflow does not have: {names}", field="nodes")
    if problem := missing_input(workflow, nodes):
        raise InvalidRequest(f"nodes {problem}", field="nodes")
