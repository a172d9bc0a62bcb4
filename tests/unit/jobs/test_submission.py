"""Submission of requests: which jobs run inline, and what their records contain."""

from typing import Any

import pytest

from image_gateway.aws import Remaining
from image_gateway.engines.protocol import InputImage
from image_gateway.errors import Disabled, StorageUnavailable
from image_gateway.jobs.store import JobStore
from image_gateway.models.forms import CreateImageForm, EditImageForm
from image_gateway.settings import Settings
from tests.aws_clients import aws_client
from tests.unit.jobs.submission_fakes import (
    FORM,
    OWNER,
    FakeConfigs,
    FakeExecutor,
    FakeQueue,
    FakeTime,
    MakeSubmission,
    given_inputs,
    list_jobs,
)

pytestmark = pytest.mark.anyio

INPUT = InputImage(b"input", "image/jpeg", 1, 1)
MASK = InputImage(b"mask", "image/png", 1, 1)


async def test_a_job_has_its_request_without_images(make_submission: MakeSubmission, executor: FakeExecutor) -> None:
    """It contains only fields that were set. Of unknown fields it contains only the names."""
    form = EditImageForm.model_validate(
        {"prompt": "a hat", "image": "aW1hZ2U=", "mask": "bWFzaw==", "n": 2, "size": None, "zoom": "x" * 500_000}
    )

    job = await make_submission().submit(form, OWNER, load_inputs=given_inputs(INPUT, mask=MASK))

    assert job.kind == "edit"
    assert job.request == {"prompt": "a hat", "n": 2, "size": None, "zoom": None}
    assert executor.executed == [(form, (INPUT,), MASK)]


async def test_a_jobs_request_validates_to_the_same_form(make_submission: MakeSubmission) -> None:
    """The same fields are set and unknown, so that the worker's warnings are the same."""
    form = CreateImageForm.model_validate({"prompt": "a fox", "zoom": 1, "size": "512x512"})

    job = await make_submission().submit(form, OWNER)

    restored = CreateImageForm.model_validate(job.request)
    assert (restored.requested(), restored.unknown_fields()) == (form.requested(), ["zoom"])


async def test_without_a_record_no_engine_is_called(
    make_submission: MakeSubmission, settings: Settings, executor: FakeExecutor
) -> None:
    """A table that fails costs nothing."""
    aws_client("dynamodb").delete_table(TableName=settings.table)

    with pytest.raises(StorageUnavailable):
        await make_submission().submit(FORM, OWNER)

    assert executor.executed == []


@pytest.mark.parametrize("queue_url", ["", "a queue"])
async def test_a_disabled_request_has_neither_a_job_nor_a_message(
    make_submission: MakeSubmission, jobs: JobStore, configs: FakeConfigs, queue: FakeQueue, queue_url: str
) -> None:
    """It is rejected before anything is written."""
    configs.disabled = True

    with pytest.raises(Disabled, match="ENABLE_IMAGE_EDIT"):
        await make_submission(queue_url=queue_url).submit(EditImageForm(prompt="a hat", image="x"), OWNER)

    assert await list_jobs(jobs) == []
    assert queue.sent == []


@pytest.mark.parametrize(
    ("queue_url", "engine_timeout", "queue_requested", "is_queued"),
    [
        ("", 240, True, False),
        ("a queue", 24, False, False),
        ("a queue", 25, False, True),
        ("a queue", 1, True, True),
    ],
    ids=["no queue", "fast", "slow", "requested"],
)
async def test_jobs_that_do_not_fit_inline_are_queued(
    make_submission: MakeSubmission,
    configs: FakeConfigs,
    executor: FakeExecutor,
    queue: FakeQueue,
    queue_url: str,
    engine_timeout: int,
    *,
    queue_requested: bool,
    is_queued: bool,
) -> None:
    """Jobs are also queued on request. Without a queue, every job runs inline."""
    configs.fields = {"IMAGE_ENGINE_TIMEOUT": engine_timeout}

    job = await make_submission(queue_url=queue_url, inline_seconds=24).submit(FORM, OWNER, queue=queue_requested)

    assert (job.status, queue.sent) == (("queued", [job.id]) if is_queued else ("succeeded", []))
    assert bool(executor.executed) is not is_queued


COMFYUI = {"IMAGE_GENERATION_ENGINE": "comfyui"}
REWRITING = {"ENABLE_IMAGE_PROMPT_GENERATION": True, "IMAGE_PROMPT_GENERATION_MODEL": "gpt-5-mini"}


@pytest.mark.parametrize(
    ("config", "n", "spent", "is_queued"),
    [
        ({"IMAGE_ENGINE_TIMEOUT": 24}, 10, 1.9, False),
        ({"IMAGE_ENGINE_TIMEOUT": 24}, 1, 2.1, True),
        ({"IMAGE_ENGINE_TIMEOUT": 9, **REWRITING}, 1, 0, False),
        ({"IMAGE_ENGINE_TIMEOUT": 10, **REWRITING}, 1, 0, True),
        ({"IMAGE_ENGINE_TIMEOUT": 12, **COMFYUI}, 1, 0, False),
        ({"IMAGE_ENGINE_TIMEOUT": 12, **COMFYUI}, 2, 0, True),
    ],
    ids=["in time", "late", "rewritten", "rewritten too long", "in the engine's queue", "too long in its queue"],
)
async def test_the_whole_duration_of_a_job_decides_whether_it_is_queued(
    make_submission: MakeSubmission,
    configs: FakeConfigs,
    config: dict[str, Any],
    n: int,
    spent: float,
    *,
    is_queued: bool,
) -> None:
    """API Gateway's limit of 30 s includes earlier work, rewriting of the prompt, and the engine's own queue."""
    configs.fields = config
    form = CreateImageForm(prompt="a fox", n=n)

    job = await make_submission(queue_url="a queue", inline_seconds=24).submit(form, OWNER, spent=lambda: spent)

    assert job.status == ("queued" if is_queued else "succeeded")


async def test_a_job_whose_request_waited_for_the_configuration_is_queued(
    make_submission: MakeSubmission, configs: FakeConfigs, time: FakeTime
) -> None:
    """The wait for Parameter Store is earlier work too. It ends early enough for the job to be queued."""
    left: list[float] = []

    async def wait_for_configuration(remaining: Remaining) -> None:
        left.append(remaining())
        await time.sleep(20)
        left.append(remaining())

    configs.reading = wait_for_configuration

    job = await make_submission(queue_url="a queue").submit(
        FORM, OWNER, spent=lambda: time.seconds, remaining=lambda: 28 - time.seconds
    )

    assert job.status == "queued"
    assert left == [22, 2]


async def test_jobs_for_an_engine_with_slots_are_queued(
    make_submission: MakeSubmission, configs: FakeConfigs, executor: FakeExecutor, queue: FakeQueue
) -> None:
    """Even if the engine is fast: only the worker knows whether a slot is free."""
    configs.fields["IMAGE_GENERATION_ENGINE"] = "automatic1111"

    job = await make_submission(queue_url="q").submit(FORM, OWNER)

    assert (job.status, executor.executed, len(queue.sent)) == ("queued", [], 1)


async def test_input_images_of_a_queued_job_are_stored_in_the_bucket(
    make_submission: MakeSubmission, settings: Settings, jobs: JobStore
) -> None:
    """They have the job's own prefix, because a message contains only an id."""
    form = EditImageForm(prompt="a hat", image="x")

    submission = make_submission(queue_url="a queue")
    job = await submission.submit(form, OWNER, load_inputs=given_inputs(INPUT, INPUT, mask=MASK), queue=True)

    assert job.inputs == [f"inputs/{job.id}/{number}.jpg" for number in (0, 1)]
    assert job.mask == f"inputs/{job.id}/mask.png"
    stored = aws_client("s3").get_object(Bucket=settings.bucket, Key=job.mask)
    assert (stored["Body"].read(), stored["ContentType"]) == (b"mask", "image/png")
    assert await jobs.get(job.id) == job


async def test_a_job_whose_message_arrived_although_its_response_did_not_continues(
    make_submission: MakeSubmission, jobs: JobStore, queue: FakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker has the job already, so that the caller must not send the request again."""

    async def send(job_id: str, **_options: object) -> None:
        assert await jobs.lease(job_id, "worker", 60)
        raise StorageUnavailable("The job was not queued", retry_after=1)

    monkeypatch.setattr(queue, "send", send)

    job = await make_submission(queue_url="a queue").submit(FORM, OWNER, queue=True)

    assert (job.status, job.error) == ("running", None)
    assert await jobs.get(job.id) == job


async def test_a_job_that_can_neither_be_queued_nor_failed_may_have_cost(
    make_submission: MakeSubmission, jobs: JobStore, queue: FakeQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays queued, and the hourly recovery sends it to the worker."""

    async def fail(*_arguments: object, **_options: object) -> bool:
        raise StorageUnavailable("The job was not stored", retry_after=1)

    queue.fails = True
    monkeypatch.setattr(jobs, "end", fail)

    with pytest.raises(StorageUnavailable, match="not queued") as caught:
        await make_submission(queue_url="a queue").submit(FORM, OWNER, queue=True)

    assert not caught.value.should_retry
    assert [job.status for job in await list_jobs(jobs)] == ["queued"]


async def test_a_job_that_cannot_be_queued_has_failed(
    make_submission: MakeSubmission, jobs: JobStore, queue: FakeQueue
) -> None:
    """No worker would ever run it."""
    queue.fails = True

    with pytest.raises(StorageUnavailable):
        await make_submission(queue_url="a queue").submit(FORM, OWNER, queue=True)

    (job,) = await list_jobs(jobs)
    assert job.status == "failed"
    assert job.error
    assert job.error.code == "storage_unavailable"
