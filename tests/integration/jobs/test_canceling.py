"""Canceling over HTTP: queued, running and finished jobs."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from sandbox.engines.comfyui import create_app as create_comfyui
from sandbox.engines.comfyui_workflows import CHECKPOINT
from sandbox.engines.state import SandboxState
from tests import web
from tests.aws_clients import aws_client
from tests.integration.jobs.queued_generation import IMAGES, JOBS, get, submit
from tests.polling import LONG, wait_until

if TYPE_CHECKING:
    from tests.integration.deployment import ApiResponse, Deployment


def cancel(deployment: "Deployment", job: str, role: str = "user") -> "ApiResponse":
    """Cancel a job."""
    return deployment.call("DELETE", f"{JOBS}/{job}", role=role)


def test_a_queued_job_that_is_canceled_never_runs(queue_deployment: "Deployment", openai: SandboxState) -> None:
    """Its message is dropped, and its result is the error `canceled`."""
    job = submit(queue_deployment)

    response = cancel(queue_deployment, job)
    queue_deployment.process_queue()

    assert (response.status, response.json["status"]) == (200, "canceled")
    result = get(queue_deployment, f"{JOBS}/{job}/result")
    assert (result.status, result.json["code"]) == (409, "canceled")
    assert job in result.json["detail"]
    assert openai.record == []


def test_an_admin_can_cancel_the_job_of_another_owner(queue_deployment: "Deployment") -> None:
    """For instance to empty a queue."""
    assert cancel(queue_deployment, submit(queue_deployment), "admin").json["status"] == "canceled"


def test_images_of_a_canceled_job_are_not_shown(
    queue_deployment: "Deployment", openai: SandboxState, running_worker: None
) -> None:
    """An engine that cannot be stopped finishes its work, and its images are hidden."""
    openai.knobs.latency = LONG
    job = submit(queue_deployment)
    wait_until(lambda: len(openai.record) == 1)

    response = cancel(queue_deployment, job)
    openai.knobs.latency = 0
    wait_until(lambda: len(queue_deployment.stored()) == 1)

    assert response.json["status"] == "canceled"
    assert get(queue_deployment, f"{JOBS}/{job}").json["images"] == []
    assert get(queue_deployment, f"{JOBS}/{job}/result").json["code"] == "canceled"
    assert get(queue_deployment, f"{IMAGES}/{job}-0").status == 404


def test_canceling_stops_a_run_on_comfyui(
    queue_deployment: "Deployment", serve: Callable[..., str], running_worker: None
) -> None:
    """The server is idle afterwards, and no image is stored."""
    comfyui = SandboxState()
    comfyui.knobs.latency = LONG
    url = serve(create_comfyui(comfyui))
    fields = {"COMFYUI_BASE_URL": url, "IMAGE_GENERATION_MODEL": "", **CHECKPOINT.fields()}
    queue_deployment.configure(IMAGE_GENERATION_ENGINE="comfyui", IMAGE_ENGINE_TIMEOUT=30, **fields)
    job = submit(queue_deployment, size="64x64")

    def is_running() -> bool:
        return bool(web.get(f"{url}/queue").json()["queue_running"])

    wait_until(is_running)

    assert cancel(queue_deployment, job).json["status"] == "canceled"
    wait_until(lambda: not is_running())
    assert queue_deployment.stored() == []


def test_a_finished_job_cannot_be_canceled(queue_deployment: "Deployment") -> None:
    """The 409 leaves its status unchanged."""
    job = submit(queue_deployment)
    queue_deployment.process_queue()

    response = cancel(queue_deployment, job)

    assert (response.status, response.json["code"]) == (409, "conflict")
    assert get(queue_deployment, f"{JOBS}/{job}").json["status"] == "succeeded"
    canceled = submit(queue_deployment)
    cancel(queue_deployment, canceled)
    assert cancel(queue_deployment, canceled).status == 409


def test_a_cancellation_sends_an_event(queue_deployment: "Deployment") -> None:
    """The event `Image Job Canceled` does not contain the prompt."""
    name = queue_deployment.gateway.settings.table
    sqs, events = aws_client("sqs"), aws_client("events")
    queue_url = sqs.create_queue(QueueName=f"{name}-reported")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue_url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    events.create_event_bus(Name=name)
    events.put_rule(Name=name, EventBusName=name, EventPattern='{"source": ["image-gateway"]}')
    events.put_targets(Rule=name, EventBusName=name, Targets=[{"Id": "reported", "Arn": arn}])
    queue_deployment.redeploy(event_bus=name)
    job = submit(queue_deployment)

    cancel(queue_deployment, job)

    (message,) = sqs.receive_message(QueueUrl=queue_url)["Messages"]
    assert "Image Job Canceled" in message["Body"]
    assert job in message["Body"]
    assert "a fox" not in message["Body"]
