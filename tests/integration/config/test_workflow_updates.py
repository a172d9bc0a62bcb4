"""Storing a ComfyUI workflow and its node map over HTTP."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

from image_gateway.models.config import ImagesConfig
from sandbox.engines.comfyui import create_app
from sandbox.engines.comfyui_workflows import CHECKPOINT, Sample
from sandbox.engines.state import SandboxState

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

CONFIG = "/api/v1/images/config"
UPDATE = "/api/v1/images/config/update"
VERIFY = "/api/v1/images/verify"


def test_a_node_that_the_workflow_does_not_have_is_named_with_its_field(deployment: "Deployment") -> None:
    """The workflow comes in the same request, or is stored already."""
    nodes = [{"type": "prompt", "node_ids": ["99"]}]
    together = deployment.call(
        "POST", UPDATE, {"COMFYUI_WORKFLOW": json.dumps(CHECKPOINT.workflow), "COMFYUI_WORKFLOW_NODES": nodes}
    )
    deployment.configure(COMFYUI_WORKFLOW=json.dumps(CHECKPOINT.workflow))
    alone = deployment.call("POST", UPDATE, {"COMFYUI_WORKFLOW_NODES": nodes})

    for response in (together, alone):
        assert (response.status, response.json["field"]) == (422, "COMFYUI_WORKFLOW_NODES")
        assert response.json["detail"] == ("COMFYUI_WORKFLOW_NODES: names nodes that the workflow does not have: 99")


def test_a_key_that_the_node_does_not_have_is_refused_and_nothing_is_stored(deployment: "Deployment") -> None:
    """The first caller would find it otherwise."""
    nodes = [{"type": "seed", "key": "noise_seed", "node_ids": ["3"]}]

    response = deployment.call(
        "POST", UPDATE, {"COMFYUI_WORKFLOW": json.dumps(CHECKPOINT.workflow), "COMFYUI_WORKFLOW_NODES": nodes}
    )

    assert (response.status, response.json["field"]) == (422, "COMFYUI_WORKFLOW_NODES")
    assert "noise_seed" in response.json["detail"]
    assert deployment.call("GET", CONFIG).headers["etag"] == '"0"'


def test_an_update_warns_about_a_map_that_takes_no_prompt(deployment: "Deployment") -> None:
    """The warning is in the response to the update, and the configuration itself has no further field."""
    updated = deployment.configure(COMFYUI_WORKFLOW=json.dumps(CHECKPOINT.workflow))

    ignored = "COMFYUI_WORKFLOW_NODES names no node of type prompt: every prompt will be ignored"
    assert updated["warnings"][0] == ignored
    assert set(deployment.call("GET", CONFIG).json) == set(ImagesConfig.model_fields)


def test_verify_compares_the_workflow_for_edits(deployment: "Deployment", serve: Callable[[ASGIApp], str]) -> None:
    """With `edit`, the server and workflow for edits are checked in place of those for generation."""
    edit = Sample({"1": {"class_type": "NoSuchClass", "inputs": {}}}, [])
    deployment.configure(
        COMFYUI_BASE_URL=serve(create_app(SandboxState())), **CHECKPOINT.fields(), **edit.fields("IMAGES_EDIT_COMFYUI")
    )

    good = deployment.call("POST", VERIFY, {"engine": "comfyui"})
    bad = deployment.call("POST", VERIFY, {"engine": "comfyui", "edit": True})

    assert (good.status, good.json) == (200, True)
    assert (bad.status, bad.json["field"]) == (400, "IMAGES_EDIT_COMFYUI_WORKFLOW")
    assert "NoSuchClass" in bad.json["detail"]
