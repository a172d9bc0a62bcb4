"""The same request by the images API, the OpenAI API and SQS: all channels use one service."""

import json
from typing import TYPE_CHECKING, Any

from image_gateway.event_loop import run
from image_gateway.models.jobs import utc_now
from image_gateway.worker.messages import Message
from tests.aws_clients import aws_client

if TYPE_CHECKING:
    from sandbox.engines.state import SandboxState
    from tests.integration.deployment import Deployment

REQUEST = {"prompt": "a fox", "size": "64x64", "model": "gpt-image-2.6-sunburst", "output_format": "webp"}


def send_by_http(deployment: "Deployment", path: str) -> None:
    """Send the request over HTTP."""
    assert deployment.call("POST", path, REQUEST, role="user").status == 200


def send_by_sqs(deployment: "Deployment") -> None:
    """Hand the request to the dispatcher as a message of SQS."""
    message = Message("a-message", json.dumps({"kind": "generation", "request": REQUEST}), utc_now())
    assert run(deployment.gateway.worker_parts.dispatcher.dispatch(message, lambda: 900.0))


def stored_object(deployment: "Deployment", key: str) -> dict[str, Any]:
    """Return what S3 says of an image that does not depend on its job."""
    head: dict[str, Any] = dict(aws_client("s3").head_object(Bucket=deployment.gateway.settings.bucket, Key=key))
    metadata = {name: value for name, value in head["Metadata"].items() if name != "job"}
    assert head["Metadata"]["job"] in key
    return {"metadata": metadata, "type": head["ContentType"], "extension": key.rpartition(".")[2]}


def test_three_channels_send_and_store_the_same(openai_deployment: "Deployment", openai: "SandboxState") -> None:
    """The engine receives the same request, and the stored images have the same metadata."""
    send_by_http(openai_deployment, "/api/v1/images/generations")
    send_by_http(openai_deployment, "/v1/images/generations")
    send_by_sqs(openai_deployment)

    jobs = openai_deployment.jobs()
    assert {job.channel for job in jobs} == {"images", "openai", "sqs"}
    assert [request.json for request in openai.record] == [openai.record[0].json] * 3
    expected = {
        "metadata": {"engine": "openai", "model": "gpt-image-2.6-sunburst"},
        "type": "image/webp",
        "extension": "webp",
    }
    assert [stored_object(openai_deployment, job.images[0].key) for job in jobs] == [expected] * 3
