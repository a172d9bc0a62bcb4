"""Named workflows over HTTP: storing, reading and deleting."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from image_gateway.aws import Bucket
from image_gateway.event_loop import run
from sandbox.engines.comfyui_workflows import CHECKPOINT, EDIT, FLUX
from tests.workflow_samples import sample

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

WORKFLOWS = "/api/v1/images/workflows"
MAP = [{"type": "prompt", "key": "text", "node_ids": ["6"]}]


def put(deployment: "Deployment", name: str = "portrait", tag: str | None = None, **form: Any) -> Any:
    headers = {"If-Match": tag} if tag else None
    return deployment.call("PUT", f"{WORKFLOWS}/{name}", {"workflow": CHECKPOINT.workflow, **form}, headers=headers)


def types(shown: Any) -> set[str]:
    return {node["type"] for node in shown["nodes"]}


def test_new_workflow_is_201_and_a_replaced_one_200(deployment: "Deployment") -> None:
    """A PUT returns the workflow as it is shown from then on; text and object are the same."""
    created = put(deployment, nodes=MAP)
    replaced = put(deployment, workflow=json.dumps(FLUX.workflow), nodes=MAP)

    assert (created.status, created.json["workflow"]) == (201, CHECKPOINT.workflow)
    assert (replaced.status, replaced.json["workflow"]) == (200, FLUX.workflow)
    assert (replaced.json["name"], replaced.json["managed_by"]) == ("portrait", "api")
    read = deployment.call("GET", f"{WORKFLOWS}/portrait")
    assert (read.json, read.headers["etag"]) == (replaced.json, replaced.headers["etag"])


def test_without_a_map_the_sure_proposals_are_stored(deployment: "Deployment") -> None:
    """Nobody has to find node ids: what an inspection is sure about is the map."""
    shown = put(deployment).json

    assert types(shown) == {node["type"] for node in CHECKPOINT.nodes} | {"output"}
    assert "warnings" not in shown


def test_what_is_not_sure_and_not_needed_is_left_out(deployment: "Deployment") -> None:
    """A model that is not sure leaves the workflow its own models."""
    shown = put(deployment, workflow=sample("SDXL in two stages, with a refiner").workflow).json

    assert {"prompt", "seed", "width"} < types(shown)
    assert types(shown).isdisjoint({"model", "steps"})


@pytest.mark.parametrize(
    ("workflow", "question"),
    [
        (sample("Two prompts for two regions").workflow, "prompt: text of 2 or text of 3?"),
        (EDIT.workflow, "image: image of 10, 11, 12 or image of 10?"),
    ],
)
def test_what_is_needed_and_not_sure_is_asked(deployment: "Deployment", workflow: Any, question: str) -> None:
    """The refusal names the choices, so that the map can be sent with the answer."""
    response = put(deployment, workflow=workflow)

    assert (response.status, response.json["field"]) == (422, "nodes")
    assert question in response.json["detail"]
    assert deployment.call("GET", f"{WORKFLOWS}/portrait").status == 404


def test_a_workflow_that_cannot_be_used_is_refused_with_its_field(deployment: "Deployment") -> None:
    """A file in another format, a node or input that is not there, and a workflow that is too long are refused."""
    long = {**CHECKPOINT.workflow, "note": {"class_type": "Note", "inputs": {"text": "x" * 1_000_000}}}
    forms: list[tuple[dict[str, Any], str]] = [
        ({"workflow": {"nodes": [], "links": []}}, "workflow"),
        ({"workflow": "{"}, "workflow"),
        ({"workflow": long}, "workflow"),
        ({"nodes": [{"type": "prompt", "node_ids": ["99"]}]}, "nodes"),
        ({"nodes": [{"type": "prompt", "key": "prompt", "node_ids": ["6"]}]}, "nodes"),
        ({"nodes": [{"type": "colour", "node_ids": ["6"]}]}, "nodes.0.type"),
    ]
    for form, field in forms:
        response = put(deployment, **form)

        assert (response.status, response.json["field"]) == (422, field)
    assert deployment.call("GET", WORKFLOWS).headers["etag"] == '"0"'


def test_what_will_not_work_is_a_warning(deployment: "Deployment") -> None:
    """A workflow that only makes a video, or whose map takes no prompt, is stored all the same."""
    video = put(deployment, workflow=sample("Wan, a video").workflow).json
    unprompted = put(deployment, nodes=[]).json

    assert "saves a video" in video["warnings"][0]
    assert unprompted["warnings"] == ["nodes names no node of type prompt: every prompt will be ignored"]


def test_the_configurations_workflows_are_listed_and_cannot_be_stored_here(deployment: "Deployment") -> None:
    """`default` and `default-edit` are fields of the configuration."""
    put(deployment)
    deployment.configure(**EDIT.fields("IMAGES_EDIT_COMFYUI"))

    listed = deployment.call("GET", WORKFLOWS).json["workflows"]
    shown = deployment.call("GET", f"{WORKFLOWS}/default-edit").json
    refused = put(deployment, "default")

    assert listed == [{"name": "default-edit", "managed_by": "config"}, {"name": "portrait", "managed_by": "api"}]
    assert (shown["workflow"], shown["managed_by"]) == (EDIT.workflow, "config")
    assert (refused.status, deployment.call("GET", f"{WORKFLOWS}/default").status) == (409, 404)


def test_a_workflow_that_a_route_uses_is_not_deleted(deployment: "Deployment") -> None:
    """The refusal names the route. Without routes, the workflow is deleted, once."""
    put(deployment)
    target = {"connection": "comfyui", "workflow": "portrait"}
    deployment.call("PUT", "/api/v1/images/routes/poster", {"targets": [target]})

    refused = deployment.call("DELETE", f"{WORKFLOWS}/portrait")
    deployment.call("DELETE", "/api/v1/images/routes/poster")

    assert (refused.status, "route poster" in refused.json["detail"]) == (409, True)
    assert [deployment.call("DELETE", f"{WORKFLOWS}/portrait").status for _ in range(2)] == [204, 404]


def test_another_version_than_was_read_is_not_changed(deployment: "Deployment") -> None:
    """`If-Match` works as for the configuration, whose version workflows share."""
    tag = put(deployment).headers["etag"]
    put(deployment, workflow=FLUX.workflow)

    assert put(deployment, tag=tag).status == 412
    assert deployment.call("DELETE", f"{WORKFLOWS}/portrait", headers={"If-Match": tag}).status == 412


def test_a_workflow_whose_content_is_lost_says_so(deployment: "Deployment") -> None:
    """An object that somebody has deleted is an error of the configuration, and of no other workflow."""
    put(deployment)
    (key,) = deployment.stored("config/workflows/")
    put(deployment, "other", workflow=FLUX.workflow)
    bucket = Bucket(deployment.gateway.aws, deployment.gateway.settings.bucket)
    run(bucket.put(key, b"{}", "application/json"))
    deployment.redeploy()

    lost = deployment.call("GET", f"{WORKFLOWS}/portrait")

    assert (lost.status, lost.json["code"]) == (409, "not_configured")
    assert deployment.call("GET", f"{WORKFLOWS}/other").status == 200
