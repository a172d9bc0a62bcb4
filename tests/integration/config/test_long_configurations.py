"""A configuration is only as long as a response that returns it may be."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from image_gateway.config.response_size import MAX_RESPONSE_BYTES
from image_gateway.models.workflow import MAX_WORKFLOW_BYTES
from sandbox.lambda_environment import MAX_PAYLOAD_BYTES
from tests.aws_clients import aws_client

if TYPE_CHECKING:
    from tests.integration.deployment import ApiResponse, Deployment

CONFIG = "/api/v1/images/config"
UPDATE = "/api/v1/images/config/update"
WORKFLOWS = ("COMFYUI_WORKFLOW", "IMAGES_EDIT_COMFYUI_WORKFLOW")


def workflow(length: int) -> str:
    """Return a workflow of this many bytes, of nodes as ComfyUI exports them."""
    count = length // 210
    nodes = {
        str(number): {"class_type": "KSampler", "inputs": {"model": ["1", 0], "seed": 1, "_": "x" * 120}}
        for number in range(count)
    }
    text = json.dumps(nodes)
    return text[:-1] + " " * (length - len(text)) + text[-1]


def payload_bytes(response: "ApiResponse") -> int:
    """Return the length of a response as the function returns it to Lambda."""
    return len(json.dumps({"headers": response.headers, "body": response.text}, ensure_ascii=False).encode())


def test_two_workflows_of_the_maximum_length_are_returned(deployment: "Deployment") -> None:
    """The longest workflows fit into a response together."""
    longest = workflow(MAX_WORKFLOW_BYTES)
    updated = deployment.call("POST", UPDATE, dict.fromkeys(WORKFLOWS, longest))

    read = deployment.call("GET", CONFIG)

    assert (updated.status, read.status) == (200, 200)
    assert read.json["COMFYUI_WORKFLOW"] == read.json["IMAGES_EDIT_COMFYUI_WORKFLOW"] == longest
    assert payload_bytes(read) < MAX_PAYLOAD_BYTES


@pytest.mark.parametrize("field", WORKFLOWS)
def test_a_longer_workflow_is_refused(deployment: "Deployment", field: str) -> None:
    """The error has the limit and the length."""
    response = deployment.call("POST", UPDATE, {field: workflow(MAX_WORKFLOW_BYTES + 1)})

    assert (response.status, response.json["field"]) == (422, field)
    assert "must not have more than 1,000,000 bytes; it has 1,000,001" in response.json["detail"]
    assert deployment.call("GET", CONFIG).headers["etag"] == '"0"'


@pytest.mark.parametrize(
    "fields",
    [
        {"AUTOMATIC1111_PARAMS": {"a": "x" * 3_000_000}, "IMAGES_OPENAI_API_PARAMS": {"b": "x" * 2_600_000}},
        {"AUTOMATIC1111_PARAMS": {"a": '"' * 1_000_000}, "IMAGE_EDIT_MODEL": "x" * 2_000_000},
        {
            "COMFYUI_WORKFLOW_NODES": [{"type": "prompt", "node_ids": ["x" * 3_000_000]}],
            "IMAGE_EDIT_MODEL": "x" * 2_600_000,
        },
    ],
    ids=["parameters", "many quotation marks", "nodes"],
)
def test_a_configuration_that_no_response_could_return_is_refused(
    deployment: "Deployment", fields: dict[str, Any]
) -> None:
    """The error names the longest field. The fields are sent in several requests, because one could not hold them."""
    *first, last = fields
    for name in first:
        assert deployment.call("POST", UPDATE, {name: fields[name]}).status == 200

    response = deployment.call("POST", UPDATE, {last: fields[last]})

    assert (response.status, response.json["code"], response.json["field"]) == (413, "too_large", first[0])
    assert f"{MAX_RESPONSE_BYTES:,}" in response.json["detail"]
    read = deployment.call("GET", CONFIG)
    assert read.status == 200
    assert payload_bytes(read) < MAX_PAYLOAD_BYTES


def test_an_object_that_is_too_large_is_not_read(deployment: "Deployment", monkeypatch: pytest.MonkeyPatch) -> None:
    """An object that somebody else put in a long value's place cannot use up the memory."""
    monkeypatch.setattr("image_gateway.config.document.MAX_LONG_VALUE_BYTES", 1_000)
    deployment.configure(IMAGES_OPENAI_API_PARAMS={"a": "x" * 5_000}, IMAGE_STEPS=7)
    deployment.redeploy()
    assert aws_client("s3").list_objects_v2(Bucket=deployment.gateway.settings.bucket, Prefix="config/")["KeyCount"]

    config = deployment.call("GET", CONFIG).json

    assert (config["IMAGES_OPENAI_API_PARAMS"], config["IMAGE_STEPS"]) == (None, 7)
