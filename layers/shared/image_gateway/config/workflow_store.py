"""Storage of named workflows: one object in the bucket for each content, whose key is its SHA-256.

The catalogue has the hash of each name. An object never changes, so a job that was accepted with a catalogue is done by
the workflow as it was then.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter, ValidationError

from image_gateway.aws import TOO_LARGE, AwsError, Bucket, storage_errors, unavailable
from image_gateway.errors import NotConfigured
from image_gateway.models.workflow import Workflow, WorkflowNode, parse_workflow

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_MAX_BYTES: Final = 8_000_000
"""Largest object that is read: a workflow of 1 MB in which every character is escaped, and its node map."""
_MAX_CACHED: Final = 8
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
        self._bucket = bucket
        # An object with a given hash never changes, so it is read once.
        self._cached: dict[str, StoredWorkflow] = {}

    async def write(self, stored: StoredWorkflow) -> str:
        """Store a workflow and return its hash.

        Raises:
            StorageUnavailable: the bucket did not store it.
        """
        nodes = [node.model_dump(mode="json") for node in stored.nodes]
        body = json.dumps({"workflow": stored.workflow, "nodes": nodes}, separators=(",", ":")).encode()
        digest = hashlib.sha256(body).hexdigest()
        if digest not in self._cached:
            with storage_errors("The workflow was not stored"):
                await self._bucket.put(object_key(digest), body, "application/json")
            self._cache(digest, stored)
        return digest

    async def read(self, name: str, digest: str) -> StoredWorkflow:
        """Return the workflow with this hash; `name` is for messages.

        Raises:
            NotConfigured: its object is gone or damaged.
            StorageUnavailable: the bucket does not respond.
        """
        if digest not in self._cached:
            self._cache(digest, await self._stored(name, digest))
        return self._cached[digest]

    def _cache(self, digest: str, stored: StoredWorkflow) -> None:
        while len(self._cached) >= _MAX_CACHED:
            del self._cached[next(iter(self._cached))]
        self._cached[digest] = stored

    async def _stored(self, name: str, digest: str) -> StoredWorkflow:
        lost = NotConfigured(f"The content of the workflow {name} is lost: store it again", field="workflow")
        if not _DIGEST.fullmatch(digest):
            raise lost
        try:
            body = await self._bucket.get(object_key(digest), max_bytes=_MAX_BYTES)
        except AwsError as error:
            if error.gone or error.code == TOO_LARGE:
                raise lost from error
            raise unavailable(f"The workflow {name} cannot be read", error) from error
        if hashlib.sha256(body).hexdigest() != digest:
            raise lost
        document = json.loads(body)
        try:
            return StoredWorkflow(
                parse_workflow(json.dumps(document["workflow"])), _NODES.validate_python(document["nodes"])
            )
        except (KeyError, TypeError, ValueError, ValidationError):
            # A newer version has stored it before a rollback.
            raise lost from None


def object_key(digest: str) -> str:
    """Return the key of the object with the workflow of this hash."""
    return f"config/workflows/{digest}.json"
