"""Inspecting a ComfyUI workflow over HTTP."""

import copy
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from starlette.types import ASGIApp

from sandbox.engines.comfyui import create_app
from sandbox.engines.comfyui_workflows import CHECKPOINT, EDIT
from sandbox.engines.state import Fault, SandboxState

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

INSPECT = "/api/v1/images/workflows/inspect"


@pytest.fixture
def state() -> SandboxState:
    return SandboxState()


@pytest.fixture
def comfyui(serve: Callable[[ASGIApp], str], state: SandboxState) -> str:
    """The URL of a ComfyUI server."""
    return serve(create_app(state))


def codes(response: Any) -> list[tuple[str, str | None]]:
    """Return code and node of each problem in a response."""
    assert response.status == 200, response.json
    return [(problem["code"], problem["node_id"]) for problem in response.json["problems"]]


def changed(node_id: str, **inputs: Any) -> dict[str, Any]:
    """Return the checkpoint workflow with other values of one node."""
    workflow = copy.deepcopy(CHECKPOINT.workflow)
    workflow[node_id]["inputs"].update(inputs)
    return workflow


def test_the_proposal_is_a_node_map_with_reasons(deployment: "Deployment") -> None:
    """Each entry says how sure the gateway is, why, and what else it could be."""
    response = deployment.call("POST", INSPECT, {"workflow": CHECKPOINT.workflow})

    nodes = {node["type"]: node for node in response.json["nodes"]}
    assert nodes["prompt"] == {
        "type": "prompt",
        "key": "text",
        "node_ids": ["6"],
        "sure": True,
        "why": "KSampler 3 is conditioned by CLIPTextEncode 6",
        "alternatives": [],
    }
    assert response.json["problems"] == []


def test_the_proposal_can_be_stored_as_it_is(deployment: "Deployment") -> None:
    """Entries of a node map may have more fields, so an answer is a map without being changed."""
    nodes = deployment.call("POST", INSPECT, {"workflow": json.dumps(EDIT.workflow)}).json["nodes"]

    stored = deployment.configure(COMFYUI_WORKFLOW=json.dumps(EDIT.workflow), COMFYUI_WORKFLOW_NODES=nodes)

    assert "warnings" not in stored
    assert [node["node_ids"] for node in stored["COMFYUI_WORKFLOW_NODES"] if node["type"] == "mask"] == [["13"]]


def test_what_is_no_workflow_is_a_problem_and_no_error(deployment: "Deployment") -> None:
    """The request was right: the answer says what is wrong with the file."""
    given: list[Any] = ["", "{", "\ufeff{}", "\ud800", {"nodes": []}, {"1": {"class_type": "\ud800"}}]
    for workflow in given:
        response = deployment.call("POST", INSPECT, {"workflow": workflow})

        assert codes(response)
        assert response.json["nodes"] == []


def test_an_unusable_request_names_the_field(deployment: "Deployment") -> None:
    """A workflow can be too long, and a connection must be one of ComfyUI."""
    requests: list[tuple[dict[str, Any], str]] = [
        ({"workflow": "x" * 1_000_001}, "workflow"),
        ({"workflow": {str(number): {"x": "y" * 100} for number in range(10_000)}}, "workflow"),
        ({"workflow": {}, "connection": "openai"}, "connection"),
        ({"workflow": {}, "connection": "gpu-9"}, "connection"),
        ({}, "workflow"),
    ]
    for form, field in requests:
        response = deployment.call("POST", INSPECT, form)

        assert (response.status, response.json["field"]) == (422, field)


def test_without_a_url_the_configurations_connection_cannot_be_compared(deployment: "Deployment") -> None:
    """`comfyui` is the server of the configuration's fields, which have no URL by default."""
    response = deployment.call("POST", INSPECT, {"workflow": CHECKPOINT.workflow, "connection": "comfyui"})

    assert (response.status, response.json["field"]) == (409, "COMFYUI_BASE_URL")


def test_a_workflow_is_compared_with_its_server(deployment: "Deployment", comfyui: str) -> None:
    """Classes, inputs, limits and names of models are compared; of seeds nothing is, because they are replaced."""
    deployment.configure(COMFYUI_BASE_URL=comfyui)
    workflows: list[tuple[dict[str, Any], tuple[str, str] | None]] = [
        (CHECKPOINT.workflow, None),
        (EDIT.workflow, None),
        (changed("4", ckpt_name="flux9.safetensors"), ("missing_model", "4")),
        (changed("3", scheduler="AYS SDXL"), ("missing_choice", "3")),
        (changed("3", cfg=1000), ("out_of_range", "3")),
        (changed("3", seed=-1), None),
        ({**CHECKPOINT.workflow, "50": {"class_type": "My Node", "inputs": {}}}, ("unknown_class", "50")),
    ]
    for workflow, problem in workflows:
        for connection in ("comfyui", "comfyui-edit"):
            response = deployment.call("POST", INSPECT, {"workflow": workflow, "connection": connection})

            assert codes(response) == ([problem] if problem else [])


def test_a_stored_connection_can_be_named(deployment: "Deployment", comfyui: str) -> None:
    """A server that routes use is compared in the same way."""
    form = {"engine": "comfyui", "base_url": comfyui}
    deployment.call("PUT", "/api/v1/images/connections/gpu-1", form)

    response = deployment.call("POST", INSPECT, {"workflow": changed("3", cfg=1000), "connection": "gpu-1"})

    assert codes(response) == [("out_of_range", "3")]


def test_declarations_are_read_once_for_some_minutes(
    deployment: "Deployment", comfyui: str, state: SandboxState
) -> None:
    """Each class of a workflow is one request, and the next inspection needs none."""
    deployment.configure(COMFYUI_BASE_URL=comfyui)
    for _ in range(2):
        deployment.call("POST", INSPECT, {"workflow": CHECKPOINT.workflow, "connection": "comfyui"})

    requested = [request.path for request in state.record if request.path.startswith("/object_info")]
    assert len(requested) == len(set(requested)) == len({node["class_type"] for node in CHECKPOINT.workflow.values()})


def test_a_server_that_fails_leaves_the_proposal(deployment: "Deployment", comfyui: str, state: SandboxState) -> None:
    """The file can be understood without its server, so the comparison alone is missing."""
    deployment.configure(COMFYUI_BASE_URL=comfyui)
    state.knobs.faults = [Fault(status=500, times=-1)]

    response = deployment.call("POST", INSPECT, {"workflow": CHECKPOINT.workflow, "connection": "comfyui"})

    assert codes(response) == [("not_compared", None)]
    assert response.json["nodes"]


def test_a_workflow_with_many_classes_is_compared_in_part(
    deployment: "Deployment", comfyui: str, state: SandboxState
) -> None:
    """The number of requests to the server has a limit."""
    deployment.configure(COMFYUI_BASE_URL=comfyui)
    many = {str(number): {"class_type": f"Class {number}", "inputs": {}} for number in range(100)}

    response = deployment.call("POST", INSPECT, {"workflow": many, "connection": "comfyui"})

    assert ("not_compared", None) in codes(response)
    assert len([request for request in state.record if request.path.startswith("/object_info")]) == 64


def test_storing_a_workflow_without_a_map_says_what_would_be_proposed(deployment: "Deployment") -> None:
    """The warning has the entries that are sure, ready to be stored, and names the others."""
    warnings = deployment.configure(COMFYUI_WORKFLOW=json.dumps(EDIT.workflow))["warnings"]

    (warning,) = [text for text in warnings if "proposes" in text]
    assert '{"type": "prompt", "key": "text", "node_ids": ["6"]}' in warning
    assert warning.endswith("and is not sure about image")
