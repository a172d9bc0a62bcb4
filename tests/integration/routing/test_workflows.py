"""Named workflows: run by routes and by trials, each as it was when its job was accepted."""

import copy
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any

import pytest
from starlette.types import ASGIApp

from sandbox.engines.comfyui_workflows import CHECKPOINT, EDIT
from sandbox.engines.state import Fault, SandboxState
from tests.integration.routing.routes import Routes
from tests.integration.worker_deployment import deploy_worker

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

WORKFLOWS = "/api/v1/images/workflows"
GENERATIONS = "/api/v1/images/generations"


@pytest.fixture
def gpu(queue_deployment: "Deployment", serve: Callable[[ASGIApp], str]) -> SandboxState:
    """A deployment with the connection `gpu-1` and the workflow `small`, whose images have 24 by 16 pixels."""
    queue_deployment.configure(ENABLE_IMAGE_EDIT=True, IMAGE_SIZE="auto")
    state = Routes(queue_deployment, serve).connect("gpu-1", "comfyui", key="")
    put(queue_deployment, "small", 24)
    return state


def put(deployment: "Deployment", name: str, width: int) -> None:
    """Store the checkpoint workflow with a width of its own."""
    workflow = copy.deepcopy(CHECKPOINT.workflow)
    workflow["5"]["inputs"] |= {"width": width, "height": 16}
    stored = deployment.call("PUT", f"{WORKFLOWS}/{name}", {"workflow": workflow})
    assert stored.status in (200, 201), stored.json


def submitted_widths(state: SandboxState) -> list[Any]:
    """Return the width of each submitted workflow."""
    record = [request.json for request in state.record if (request.method, request.path) == ("POST", "/prompt")]
    return [body["prompt"]["5"]["inputs"]["width"] for body in record]


def route(deployment: "Deployment", *targets: dict[str, Any], **fields: Any) -> None:
    """Store the route `poster`."""
    stored = deployment.call("PUT", "/api/v1/images/routes/poster", {"targets": list(targets), **fields})
    assert stored.status in (200, 201), stored.json


def test_a_target_runs_the_workflow_that_it_names(queue_deployment: "Deployment", gpu: SandboxState) -> None:
    """Two targets of one server are two workflows: what a caller gets depends on the route alone."""
    put(queue_deployment, "large", 40)
    route(queue_deployment, {"connection": "gpu-1", "workflow": "large"})

    response = queue_deployment.call("POST", GENERATIONS, {"prompt": "a fox", "model": "poster"})
    queue_deployment.process_queue()

    assert response.status in (200, 303)
    assert submitted_widths(gpu) == [40]


def test_a_queued_job_is_done_by_the_workflow_as_it_was(queue_deployment: "Deployment", gpu: SandboxState) -> None:
    """A workflow that is replaced meanwhile changes later requests only."""
    route(queue_deployment, {"connection": "gpu-1", "workflow": "small"})
    request = {"prompt": "a fox", "model": "poster"}
    queue_deployment.call("POST", GENERATIONS, request, headers={"Prefer": "respond-async"})
    put(queue_deployment, "small", 48)
    queue_deployment.call("POST", GENERATIONS, request, headers={"Prefer": "respond-async"})

    queue_deployment.process_queue()

    assert sorted(submitted_widths(gpu)) == [24, 48]
    assert [job.status for job in queue_deployment.jobs()] == ["succeeded", "succeeded"]


def test_the_configurations_workflows_have_names_too(queue_deployment: "Deployment", gpu: SandboxState) -> None:
    """`default` is the workflow for generations."""
    queue_deployment.configure(**CHECKPOINT.fields())
    route(queue_deployment, {"connection": "gpu-1", "workflow": "default"})

    queue_deployment.call("POST", GENERATIONS, {"prompt": "a fox", "model": "poster"})
    queue_deployment.process_queue()

    assert submitted_widths(gpu) == [CHECKPOINT.workflow["5"]["inputs"]["width"]]


def test_an_edit_is_done_by_a_workflow_with_image_nodes(queue_deployment: "Deployment", gpu: SandboxState) -> None:
    """The same name serves edits, if its map names an image node; a target whose map does not is passed over."""
    queue_deployment.call("PUT", f"{WORKFLOWS}/retouch", {"workflow": EDIT.workflow, "nodes": EDIT.nodes})
    route(
        queue_deployment,
        {"connection": "gpu-1", "workflow": "small"},
        {"connection": "gpu-1", "workflow": "retouch"},
    )

    response = queue_deployment.edit(model="poster", prompt="at night")
    queue_deployment.process_queue()

    assert response.status in (200, 303)
    (job,) = queue_deployment.jobs()
    assert (job.status, [each.code for each in job.tried]) == ("succeeded", ["not_configured", ""])


def test_errors_and_warnings_name_the_workflow(queue_deployment: "Deployment", gpu: SandboxState) -> None:
    """The fields of the configuration have nothing to do with a named workflow."""
    nodes = [{"type": "prompt", "key": "text", "node_ids": ["6"]}]
    queue_deployment.call("PUT", f"{WORKFLOWS}/plain", {"workflow": CHECKPOINT.workflow, "nodes": nodes})
    route(queue_deployment, {"connection": "gpu-1", "workflow": "plain"})

    queue_deployment.call("POST", GENERATIONS, {"prompt": "a fox", "model": "poster", "steps": 3})
    queue_deployment.edit(model="poster", prompt="at night")
    queue_deployment.process_queue()

    edit, generation = queue_deployment.jobs()
    ignored = "steps was ignored: the node map of the workflow plain names no node of type steps"
    assert ignored in generation.warnings
    assert edit.error
    assert "the node map of the workflow plain names no node of type image" in edit.error.detail


@pytest.mark.parametrize("connection", ["gpu-1", "comfyui"])
def test_a_trial_runs_the_workflow_once_as_a_job(
    queue_deployment: "Deployment", gpu: SandboxState, serve: Callable[[ASGIApp], str], connection: str
) -> None:
    """The response is that of a generation, on a stored connection and on the configuration's own."""
    own = SandboxState()
    queue_deployment.configure(COMFYUI_BASE_URL=serve(import_module("sandbox.engines.comfyui").create_app(own)))

    response = trial(queue_deployment, "small", connection=connection)
    queue_deployment.process_queue()

    (job,) = queue_deployment.jobs()
    assert (job.status, job.workflow, job.kind) == ("succeeded", "small", "generation")
    assert submitted_widths(own if connection == "comfyui" else gpu) == [24]
    assert response.status == 202
    assert queue_deployment.call("GET", f"/api/v1/images/jobs/{job.id}").json["images"][0]["width"] == 24


def test_a_trial_is_repeated_with_its_own_workflow(
    queue_deployment: "Deployment", serve: Callable[[ASGIApp], str], gpu: SandboxState
) -> None:
    """A second attempt, after a failure that cost nothing, runs the same workflow, although it was replaced."""
    own = SandboxState()
    queue_deployment.configure(COMFYUI_BASE_URL=serve(import_module("sandbox.engines.comfyui").create_app(own)))
    own.knobs.faults = [Fault(503, {}, times=3)]
    worker = deploy_worker(queue_deployment.gateway)
    queue_deployment.gateway = worker.gateway
    trial(queue_deployment, "small", connection="comfyui")
    put(queue_deployment, "small", 48)

    worker.process_queue()

    (job,) = worker.jobs()
    assert (job.status, job.attempts, job.workflow) == ("succeeded", 2, "small")
    assert submitted_widths(own)[-1] == 24


def test_the_link_of_a_trial_leads_to_its_job(queue_deployment: "Deployment", gpu: SandboxState) -> None:
    """The path of a trial is deeper than that of a generation, and its relative link takes that into account."""
    location = trial(queue_deployment, "small").headers["location"]

    assert location == f"../../jobs/{queue_deployment.jobs()[0].id}"


@pytest.mark.parametrize(
    ("name", "form", "status", "field"),
    [
        ("nothing", {"connection": "gpu-1"}, 404, None),
        ("small", {"connection": "gpu-9"}, 422, "connection"),
        ("small", {"connection": "openai"}, 422, "connection"),
        ("small", {"connection": "gpu-1", "prompt": " "}, 422, "prompt"),
    ],
)
def test_a_trial_that_cannot_run_is_refused(
    queue_deployment: "Deployment", gpu: SandboxState, name: str, form: dict[str, Any], status: int, field: str | None
) -> None:
    """A missing workflow is not found; a connection must exist and be one of ComfyUI."""
    response = trial(queue_deployment, name, **form)

    assert (response.status, response.json.get("field")) == (status, field)
    assert queue_deployment.jobs() == []


def trial(deployment: "Deployment", name: str, **form: Any) -> Any:
    body = {"connection": "gpu-1", "prompt": "a fox", **form}
    headers = {"Prefer": "respond-async"}
    return deployment.call("POST", f"{WORKFLOWS}/{name}/try", body, role="admin", headers=headers)
