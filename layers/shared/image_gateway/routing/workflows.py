"""The named workflows of destinations: their content takes the place of the configured one."""

from dataclasses import replace
from typing import Any

from image_gateway.config.workflow_store import WorkflowStore
from image_gateway.errors import NotConfigured
from image_gateway.models.names import RESERVED_WORKFLOWS
from image_gateway.routing.destination import Destination

_PREFIXES = ("COMFYUI", "IMAGES_EDIT_COMFYUI")
"""Of the fields of the two workflows of the configuration, `default` and `default-edit`."""


async def with_workflow(destination: Destination, contents: WorkflowStore) -> Destination:
    """Return a destination whose configuration has the content of its workflow, for generations and for edits.

    Raises:
        NotConfigured: there is no such workflow, or its content is lost.
        StorageUnavailable: it cannot be read.
    """
    name, config = destination.workflow, destination.config
    if name is None:
        return destination
    if name in RESERVED_WORKFLOWS:
        prefix = _PREFIXES[RESERVED_WORKFLOWS.index(name)]
        text, nodes = getattr(config, f"{prefix}_WORKFLOW"), getattr(config, f"{prefix}_WORKFLOW_NODES")
    elif destination.workflow_digest is None:
        raise NotConfigured(f"There is no workflow {name}", field="workflow")
    else:
        stored = await contents.read(name, destination.workflow_digest)
        text, nodes = stored.text, stored.nodes
    fields: dict[str, Any] = {}
    for prefix in _PREFIXES:
        fields |= {f"{prefix}_WORKFLOW": text, f"{prefix}_WORKFLOW_NODES": nodes}
    return replace(destination, config=config.model_copy(update=fields))
