"""What the record of a job costs on each channel, in DynamoDB's write units."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from image_gateway.container import Gateway
from sandbox.engines.comfyui_workflows import CHECKPOINT
from tests.integration.sqs_records import record
from tests.integration.worker.queued_jobs import generate_with
from tests.integration.worker_deployment import WorkerDeployment
from tests.metering_aws import MeteringAws

if TYPE_CHECKING:
    from tests.integration.deployment import Deployment

PROMPT = "A lighthouse in a storm at dusk, seen from the sea, oil on canvas, warm light in its upper windows"
FORM = {"prompt": PROMPT, "size": "64x64"}
OPENAI = "/v1/images/generations"
IMAGES = "/api/v1/images/generations"
ASYNC = {"Prefer": "respond-async"}
KEY = {"Idempotency-Key": "order-1"}


@pytest.fixture
def meter(worker: WorkerDeployment, openai_deployment: "Deployment") -> MeteringAws:
    """The AWS of the functions and of the worker, with a bus and a queue. It counts writes of jobs and claims."""
    gateway = worker.gateway
    meter = MeteringAws(gateway.aws, gateway.settings.table, "job#", "idempotency#", "retry#")
    worker.gateway = openai_deployment.gateway = Gateway(gateway.settings, meter)
    return meter


@pytest.mark.parametrize(
    ("path", "headers", "table", "indexes"),
    [
        (IMAGES, {}, 4, 2),
        (OPENAI, {}, 4, 2),
        (OPENAI, KEY, 7, 2),
        (IMAGES, ASYNC, 5, 2),
        (IMAGES, ASYNC | KEY, 8, 2),
    ],
    ids=["inline", "inline OpenAI", "inline with a key", "respond-async", "respond-async with a key"],
)
def test_the_write_units_of_a_request(
    worker: WorkerDeployment,
    openai_deployment: "Deployment",
    meter: MeteringAws,
    path: str,
    headers: dict[str, str],
    table: int,
    indexes: int,
) -> None:
    """Inline: the job and its end. Queued: the job, its lease and its end. Both: a transaction that settles it."""
    response = openai_deployment.call("POST", path, FORM, role="user", headers=headers)
    assert response.status in (200, 202), response.text
    worker.process_queue()

    (job,) = worker.jobs()
    assert job.status == "succeeded"
    assert (meter.table_units, meter.index_units) == (table, indexes)
    assert max(meter.sizes) < 1_024 - 200


def test_the_write_units_of_a_request_for_an_end_user(
    worker: WorkerDeployment, openai_deployment: "Deployment", meter: MeteringAws
) -> None:
    """One key more in an index."""
    openai_deployment.tokens["front"] = openai_deployment.token("front", forwards_users=True)
    openai_deployment.call("POST", "/api/v1/images/tokens", {"name": "x", "role": "user", "forwards_users": True})
    meter.reset()

    response = openai_deployment.call("POST", IMAGES, FORM, role="front", headers={"X-OpenWebUI-User-Id": "alice"})

    assert response.status == 200, response.text
    assert (meter.table_units, meter.index_units) == (4, 3)
    assert max(meter.sizes) < 1_024 - 150


@pytest.mark.parametrize(
    ("of_deployment", "user", "units"),
    [(False, {}, 9), (True, {}, 13), (False, {"X-OpenWebUI-User-Id": "mary"}, 13)],
    ids=["a token", "a token and the deployment", "a token and an end user"],
)
def test_the_write_units_of_limits(
    worker: WorkerDeployment,
    openai_deployment: "Deployment",
    of_deployment: bool,
    user: dict[str, str],
    units: int,
) -> None:
    """The job is created in a transaction, and each limit is one write more there and one in the settlement."""
    budget = {"budget": {"usd": "100", "period": "month"}, "max_jobs": 10, "requests_per_minute": 100}
    token = {"forwards_users": True, "end_user_budget": budget["budget"], **budget}
    created = openai_deployment.call("POST", "/api/v1/images/tokens", {"name": "x", "role": "user", **token}).json
    openai_deployment.tokens["limited"] = created["token"]
    if of_deployment:
        assert openai_deployment.call("PUT", "/api/v1/images/limits", budget).status == 200
    gateway = worker.gateway
    meter = MeteringAws(gateway.aws, gateway.settings.table, "job#", "limits#")
    openai_deployment.gateway = Gateway(gateway.settings, meter)

    assert openai_deployment.call("POST", IMAGES, FORM, role="limited", headers=user).status == 200

    assert meter.table_units == units
    assert max(meter.sizes) < 1_024


def test_the_write_units_of_an_inline_edit(
    worker: WorkerDeployment,
    openai_deployment: "Deployment",
    meter: MeteringAws,
    use_edit_engine: Callable[[str], Any],
) -> None:
    """As many as those of a generation."""
    use_edit_engine("openai")
    meter.reset()

    assert openai_deployment.edit(prompt=PROMPT).status == 200

    assert worker.jobs()[0].status == "succeeded"
    assert (meter.table_units, meter.index_units) == (4, 2)
    assert max(meter.sizes) < 1_024 - 200


@pytest.mark.parametrize(("message_id", "table"), [(None, 5), ("order-1", 8)], ids=["without id", "with id"])
def test_the_write_units_of_a_message(
    worker: WorkerDeployment, meter: MeteringAws, message_id: str | None, table: int
) -> None:
    """The job, its lease, its end and its settlement."""
    envelope = {"kind": "generation", "request": FORM, **({"id": message_id} if message_id else {})}

    assert worker.deliver(record(envelope)) == []

    assert worker.jobs()[0].status == "succeeded"
    assert (meter.table_units, meter.index_units) == (table, 2)
    assert max(meter.sizes) < 1_024 - 200


def test_the_write_units_of_a_line_of_a_request_file(worker: WorkerDeployment, meter: MeteringAws) -> None:
    """As many as those of a message. The progress of the file is not counted here."""
    lines = [json.dumps({"kind": "generation", "request": FORM})] * 5
    worker.deliver(record(worker.upload("requests/lines.jsonl", lines)))
    worker.process_queue()

    assert [job.status for job in worker.jobs()] == ["succeeded"] * 5
    assert (meter.table_units, meter.index_units) == (25, 10)
    assert max(meter.sizes) < 1_024 - 200


def test_the_write_units_of_a_job_on_comfyui(
    worker: WorkerDeployment, openai_deployment: "Deployment", meter: MeteringAws, serve: Callable[..., str]
) -> None:
    """As many as those of another queued job."""
    generate_with(openai_deployment, serve, "comfyui", **CHECKPOINT.fields("COMFYUI"), IMAGE_ENGINE_TIMEOUT=20)

    response = openai_deployment.call("POST", IMAGES, FORM, role="user", headers=ASYNC)
    assert response.status == 202
    worker.process_queue()

    assert worker.jobs()[0].status == "succeeded"
    assert (meter.table_units, meter.index_units) == (5, 2)
    assert max(meter.sizes) < 1_024 - 200
