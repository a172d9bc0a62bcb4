"""Storage of named workflows: one object in the bucket for each content, whose key is its SHA-256.

The catalogue has the hash of each name. An object never changes, so a job that was accepted with a catalogue is done by
the workflow as it was then.
"""

import json
from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter, ValidationError

from image_gateway.aws import Bucket, storage_errors
from image_gateway.config.immutable_objects import ImmutableObjects, digest_of
from image_gateway.errors import NotConfigured
from image_gateway.models.workflow import Workflow, WorkflowNode, parse_workflow

_MAX_BYTES: Final = 8_000_000
"""Largest object that is read: a workflow of 1 MB in which every character is escaped, and its node map."""
_NODES: Final = TypeAdapter(list[WorkflowNode])


@dataclass(frozen=True, slots=True)
class StoredWorkflow:
    """A workflow and its node map."""

    workflow: Workflow
    nodes: list[WorkflowNode]

    @property
    def text(self) -> str:
        """The workflow as the configuration's fields have it."""
        return json.dumps(self.workflow)


class WorkflowStore:
    """The contents of a deployment's named workflows.

    Args:
        bucket: the bucket for the configuration's long values.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._objects: ImmutableObjects[StoredWorkflow] = ImmutableObjects(
            bucket, "config/workflows/", max_bytes=_MAX_BYTES, parse=_parse
        )

    async def write(self, stored: StoredWorkflow) -> str:
        """Store a workflow and return its hash.

        Raises:
            StorageUnavailable: the bucket did not store it.
        """
        nodes = [node.model_dump(mode="json") for node in stored.nodes]
        body = json.dumps({"workflow": stored.workflow, "nodes": nodes}, separators=(",", ":")).encode()
        digest = digest_of(body)
        with storage_errors("The workflow was not stored"):
            await self._objects.write(body, digest, stored)
        return digest

    async def read(self, name: str, digest: str) -> StoredWorkflow:
        """Return the workflow with this hash; `name` is for messages.

        Raises:
            NotConfigured: its object is gone or damaged.
            StorageUnavailable: the bucket does not respond.
        """
        with storage_errors(f"The workflow {name} cannot be read"):
            stored = await self._objects.read(digest)
        if stored is None:
            raise NotConfigured(f"The content of the workflow {name} is lost: store it again", field="workflow")
        return stored


def _parse(content: bytes, _digest: str) -> StoredWorkflow | None:
    """Return a stored workflow; None if a newer version has stored it before a rollback, in another form."""
    try:
        document = json.loads(content)
        return StoredWorkflow(
            parse_workflow(json.dumps(document["workflow"])), _NODES.validate_python(document["nodes"])
        )
    except (KeyError, TypeError, ValueError, ValidationError):
        return None
