"""How a request becomes a job: the table is moto's, the engine a stand-in that does what a test wants."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, cast

import boto3
import pytest

from image_gateway.access.principals import Principal, Role
from image_gateway.aws import Aws
from image_gateway.engines.protocol import InputImage
from image_gateway.errors import (
    Disabled,
    EngineRateLimited,
    EngineRejected,
    EngineTimeout,
    EngineUnavailable,
    GatewayError,
    StorageUnavailable,
)
from image_gateway.images.store import ImageStore
from image_gateway.jobs.idempotency import Claim
from image_gateway.jobs.store import JobStore
from image_gateway.jobs.submission import Submission
from image_gateway.models.config import ImagesConfig
from image_gateway.models.forms import CreateImageForm, EditImageForm
from image_gateway.models.jobs import Job, JobImage
from image_gateway.settings import Settings

if TYPE_CHECKING:
    from image_gateway.jobs.events import JobEvents
    from image_gateway.jobs.execution import JobExecutor
    from image_gateway.jobs.job_queue import JobQueue

pytestmark = pytest.mark.anyio

OWNER = Principal("1", "owner", Role.USER)
FORM = CreateImageForm(prompt="a fox")
IMAGE = JobImage(key="images/2026/11/22/x/0.png", content_type="image/png")
INPUT = InputImage(b"input", "image/jpeg", 1, 1)
MASK = InputImage(b"mask", "image/png", 1, 1)


class Service:
    """Does a job by `work`, and switches generation off by `off`."""

    def __init__(self) -> None:
        self.config = ImagesConfig(IMAGE_ENGINE_TIMEOUT=10)
        self.off = False
        self.requested: list[tuple[Any, ...]] = []
        self.work: Callable[[Job], Awaitable[None]] = self._paint

    async def require_enabled(self, *, edit: bool = False) -> ImagesConfig:
        if self.off:
            raise Disabled(f"edit={edit}")
        return self.config

    async def execute(self, job: Job, *arguments: Any) -> None:
        self.requested.append(arguments)
        await self.work(job)

    @staticmethod
    async def _paint(job: Job) -> None:
        job.engine, job.model, job.images = "openai", "m", [IMAGE]


class Queue:
    """Remembers what was sent, or fails."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.later: list[tuple[str, float]] = []
        self.broken = False

    async def send(self, job_id: str, *, delay_seconds: float = 0) -> None:
        if self.broken:
            raise StorageUnavailable("The job was not queued")
        if delay_seconds:
            self.later.append((job_id, delay_seconds))
        else:
            self.sent.append(job_id)


class Events:
    """Remembers how jobs ended."""

    def __init__(self) -> None:
        self.reported: list[tuple[str, str]] = []

    async def publish_completion(self, job: Job) -> bool:
        self.reported.append((job.id, job.status))
        return True


class Time:
    """A clock that sleeping moves on, and what happens meanwhile."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []
        self.meanwhile: Callable[[float], Awaitable[None]] | None = None

    def __call__(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.slept.append(seconds)
        if self.meanwhile:
            await self.meanwhile(self.seconds)


@pytest.fixture
def service() -> Service:
    return Service()


@pytest.fixture
def queue() -> Queue:
    return Queue()


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def jobs(settings: Settings, aws: Aws) -> JobStore:
    return JobStore(aws, settings)


@pytest.fixture
def make(
    settings: Settings, aws: Aws, jobs: JobStore, service: Service, queue: Queue, events: Events, time: Time
) -> Callable[..., Submission]:
    """Make a submission; `queue_url` says whether there is a queue."""

    def make(**changes: Any) -> Submission:
        changed = settings.model_copy(update=changes)
        return Submission(
            settings=changed,
            jobs=jobs,
            queue=cast("JobQueue", queue),
            images=ImageStore(aws, changed),
            executor=cast("JobExecutor", service),
            events=cast("JobEvents", events),
            sleep=time.sleep,
            clock=time,
        )

    return make


Make = Callable[..., Submission]


async def listed(jobs: JobStore) -> list[Job]:
    return (await jobs.page(owner=None))[0]


async def test_a_success_is_recorded(make: Make, jobs: JobStore, events: Events) -> None:
    """The job that comes back is the one in the table: whose, what for, by which engine, with which images."""
    job = await make().submit(CreateImageForm(prompt="a fox", n=2), OWNER, channel="openai")

    assert await listed(jobs) == [job]
    assert (job.status, job.owner, job.channel, job.kind) == ("succeeded", "token:1", "openai", "generation")
    assert (job.engine, job.model, job.attempts, job.images) == ("openai", "m", 1, [IMAGE])
    assert job.finished_at is not None
    assert events.reported == [(job.id, "succeeded")]


async def test_a_job_keeps_what_was_asked(make: Make, service: Service) -> None:
    """Only fields that were set, unknown ones by name alone, and of images nothing."""
    form = EditImageForm.model_validate(
        {"prompt": "a hat", "image": "aW1hZ2U=", "mask": "bWFzaw==", "n": 2, "size": None, "zoom": "x" * 500_000}
    )

    job = await make().submit(form, OWNER, images=[INPUT], mask=MASK)

    assert job.kind == "edit"
    assert job.request == {"prompt": "a hat", "n": 2, "size": None, "zoom": None}
    assert service.requested == [(form, [INPUT], MASK, None)]


async def test_a_kept_request_is_the_same_form_again(make: Make) -> None:
    """What the caller set and what is unknown reads the same from the job, so warnings stay the same."""
    form = CreateImageForm.model_validate({"prompt": "a fox", "zoom": 1, "size": "512x512"})

    job = await make().submit(form, OWNER)

    again = CreateImageForm.model_validate(job.request)
    assert (again.requested(), again.unknown_fields()) == (form.requested(), ["zoom"])


async def test_a_failure_is_recorded(make: Make, jobs: JobStore, service: Service, events: Events) -> None:
    """The error is kept with all that its answer needs."""

    async def fail(_job: Job) -> None:
        raise EngineRateLimited("slow down", retry_after=17)

    service.work = fail

    job = await make().submit(FORM, OWNER)

    assert await listed(jobs) == [job]
    assert job.status == "failed"
    assert job.error
    assert (job.error.code, job.error.detail, job.error.retry_after) == ("engine_rate_limited", "slow down", 17)
    assert events.reported == [(job.id, "failed")]


async def test_a_defect_ends_the_job(
    make: Make, jobs: JobStore, service: Service, caplog: pytest.LogCaptureFixture
) -> None:
    """No job stays running for it, and its message, which may hold anything, is neither kept nor logged."""

    async def break_down(_job: Job) -> None:
        raise KeyError("planted-prompt")

    service.work = break_down

    job = await make().submit(FORM, OWNER)

    assert (await listed(jobs))[0].status == "failed"
    assert job.error
    assert (job.error.status, job.error.may_have_cost) == (500, True)
    assert "planted" not in job.model_dump_json() + caplog.text
    assert "KeyError" in str([record.__dict__ for record in caplog.records])


async def test_images_are_answered_even_if_their_record_fails(
    make: Make, settings: Settings, service: Service, events: Events, caplog: pytest.LogCaptureFixture
) -> None:
    """What was made and paid for is not lost for a table that fails afterwards."""

    async def lose_the_table(job: Job) -> None:
        job.images = [IMAGE]
        boto3.client("dynamodb").delete_table(TableName=settings.table)

    service.work = lose_the_table

    job = await make().submit(FORM, OWNER)

    assert (job.status, job.images) == ("succeeded", [IMAGE])
    assert "was not recorded" in caplog.text
    assert events.reported == []


async def test_a_table_that_fails_costs_nothing(make: Make, settings: Settings, service: Service) -> None:
    """Without a record no engine is asked."""
    boto3.client("dynamodb").delete_table(TableName=settings.table)

    with pytest.raises(StorageUnavailable):
        await make().submit(FORM, OWNER)

    assert service.requested == []


@pytest.mark.parametrize("queue_url", ["", "a queue"])
async def test_what_is_switched_off_leaves_no_record(
    make: Make, jobs: JobStore, service: Service, queue: Queue, queue_url: str
) -> None:
    """Neither a job nor a message."""
    service.off = True

    with pytest.raises(Disabled, match="edit=True"):
        await make(queue_url=queue_url).submit(EditImageForm(prompt="a hat", image="x"), OWNER)

    assert await listed(jobs) == []
    assert queue.sent == []


async def test_a_job_that_was_canceled_meanwhile_stays_canceled(
    make: Make, jobs: JobStore, service: Service, events: Events
) -> None:
    """The images came too late."""

    async def be_canceled(job: Job) -> None:
        await jobs.end(job.model_copy(update={"status": "canceled"}), expected_status="running")
        job.images = [IMAGE]

    service.work = be_canceled

    job = await make().submit(FORM, OWNER)

    assert (job.status, job.images) == ("canceled", [])
    assert events.reported == []


@pytest.mark.parametrize(
    ("queue_url", "seconds", "asked_to", "queued"),
    [
        ("", 240, True, False),
        ("a queue", 24, False, False),
        ("a queue", 25, False, True),
        ("a queue", 1, True, True),
    ],
    ids=["no queue", "quick", "slow", "asked for"],
)
async def test_a_slow_engines_jobs_are_queued(
    make: Make, service: Service, queue: Queue, queue_url: str, seconds: int, *, asked_to: bool, queued: bool
) -> None:
    """Where there is a queue, all but what fits into one request goes there, and what is wished to."""
    service.config = ImagesConfig(IMAGE_ENGINE_TIMEOUT=seconds)

    job = await make(queue_url=queue_url, inline_seconds=24).submit(FORM, OWNER, queue=asked_to)

    assert (job.status, queue.sent) == (("queued", [job.id]) if queued else ("succeeded", []))
    assert bool(service.requested) is not queued


COMFYUI = {"IMAGE_GENERATION_ENGINE": "comfyui"}
REWRITING = {"ENABLE_IMAGE_PROMPT_GENERATION": True, "IMAGE_PROMPT_GENERATION_MODEL": "gpt-5-mini"}


@pytest.mark.parametrize(
    ("config", "n", "spent", "queued"),
    [
        ({"IMAGE_ENGINE_TIMEOUT": 24}, 10, 1.9, False),
        ({"IMAGE_ENGINE_TIMEOUT": 24}, 1, 2.1, True),
        ({"IMAGE_ENGINE_TIMEOUT": 9, **REWRITING}, 1, 0, False),
        ({"IMAGE_ENGINE_TIMEOUT": 10, **REWRITING}, 1, 0, True),
        ({"IMAGE_ENGINE_TIMEOUT": 12, **COMFYUI}, 1, 0, False),
        ({"IMAGE_ENGINE_TIMEOUT": 12, **COMFYUI}, 2, 0, True),
    ],
    ids=["in time", "late", "rewritten", "rewritten too long", "with a queue of its own", "queued there too long"],
)
async def test_all_that_may_take_time_counts(
    make: Make, service: Service, config: dict[str, Any], n: int, spent: float, *, queued: bool
) -> None:
    """What went before, what rewrites the prompt, and the engine's own queue: API Gateway cuts a request at 30 s."""
    service.config = ImagesConfig.model_validate(config)
    form = CreateImageForm(prompt="a fox", n=n)

    job = await make(queue_url="a queue", inline_seconds=24).submit(form, OWNER, spent=spent)

    assert job.status == ("queued" if queued else "succeeded")


async def test_an_end_that_is_not_recorded_at_once_is_recorded_later(
    make: Make, jobs: JobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table that fails for a moment does not make a paid job look interrupted."""
    finish, failures = jobs.finish, [1, 2, 3]

    async def falter(job: Job, holder: str) -> bool:
        if failures:
            failures.pop()
            raise StorageUnavailable("planted")
        return await finish(job, holder)

    monkeypatch.setattr(jobs, "finish", falter)

    job = await make().submit(FORM, OWNER)

    kept = await jobs.get(job.id)
    assert kept
    assert (kept.status, kept.images) == ("succeeded", [IMAGE])


@pytest.mark.parametrize("broken", [False, True])
async def test_the_worker_looks_after_a_job_that_is_done_at_once(make: Make, queue: Queue, broken: bool) -> None:
    """Should the function die, the worker finds the job when its lease is over; a queue that fails stops nothing."""
    queue.broken = broken

    job = await make(queue_url="a queue", function_timeout_seconds=60).submit(FORM, OWNER)

    assert job.status == "succeeded"
    assert queue.later == ([] if broken else [(job.id, 61)])


async def test_inputs_of_a_queued_job_wait_in_the_bucket(make: Make, settings: Settings, jobs: JobStore) -> None:
    """Messages carry an id only, so images and mask lie under the job's own prefix."""
    form = EditImageForm(prompt="a hat", image="x")

    job = await make(queue_url="a queue").submit(form, OWNER, images=[INPUT, INPUT], mask=MASK, queue=True)

    assert job.inputs == [f"inputs/{job.id}/{number}.jpg" for number in (0, 1)]
    assert job.mask == f"inputs/{job.id}/mask.png"
    found = boto3.client("s3").get_object(Bucket=settings.bucket, Key=job.mask)
    assert (found["Body"].read(), found["ContentType"]) == (b"mask", "image/png")
    assert await jobs.get(job.id) == job


async def test_a_job_that_could_not_be_queued_has_failed(make: Make, jobs: JobStore, queue: Queue) -> None:
    """Nobody waits for what no worker will hear of."""
    queue.broken = True

    with pytest.raises(StorageUnavailable):
        await make(queue_url="a queue").submit(FORM, OWNER, queue=True)

    (job,) = await listed(jobs)
    assert job.status == "failed"
    assert job.error
    assert job.error.code == "storage_unavailable"


@pytest.mark.parametrize("queued", [False, True])
async def test_the_same_request_is_the_same_job(
    make: Make, jobs: JobStore, service: Service, queue: Queue, *, queued: bool
) -> None:
    """Who comes second with a claim gets the first one's job, and nothing is done for it."""
    submission = make(queue_url="a queue")
    claim = Claim("idempotency#token:1#x", "body", 600)

    first = await submission.submit(FORM, OWNER, queue=queued, claim=claim)
    second = await submission.submit(FORM, OWNER, queue=queued, claim=claim)

    assert second == first
    assert await listed(jobs) == [first]
    assert len(service.requested) + len(queue.sent) == 1


async def test_a_claim_can_outlive_its_job(make: Make, settings: Settings) -> None:
    """Where the first job is gone, the same request is a new one."""
    claim = Claim("idempotency#token:1#x", "body", 600)
    first = await make().submit(FORM, OWNER, claim=claim)
    boto3.client("dynamodb").delete_item(TableName=settings.table, Key={"pk": {"S": f"job#{first.id}"}})

    second = await make().submit(FORM, OWNER, claim=claim)

    assert second.id != first.id
    assert second.status == "succeeded"


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (EngineRateLimited("slow down", retry_after=1), True),
        (EngineUnavailable("connection refused"), True),
        (EngineUnavailable("nonsense", may_have_cost=True), False),
        (EngineRejected("no such size"), False),
        (EngineTimeout("too slow", may_have_cost=True), False),
    ],
    ids=["passes", "away", "paid nonsense", "stays", "paid"],
)
async def test_a_failure_that_passes_is_tried_again(
    make: Make, service: Service, error: GatewayError, *, again: bool
) -> None:
    """The same request is a new job only where the first one cost nothing and may succeed now."""

    async def fail(_job: Job) -> None:
        raise error

    claim = Claim("idempotency#token:1#x", "body", 600)
    service.work = fail
    first = await make().submit(FORM, OWNER, claim=claim)
    service.work = Service().work

    second = await make().submit(FORM, OWNER, claim=claim)

    assert (second.id != first.id) is again
    assert second.status == ("succeeded" if again else "failed")


async def test_waiting_ends_with_the_job(make: Make, jobs: JobStore, time: Time) -> None:
    """Looking adds at most a twentieth to what the job has taken, or the first interval."""
    submission = make(queue_url="a queue")
    job = await submission.submit(FORM, OWNER, queue=True)

    async def end(seconds: float) -> None:
        if seconds >= 5:
            await jobs.end(job.model_copy(update={"status": "succeeded"}), expected_status="queued")

    time.meanwhile = end

    found = await submission.wait(job, 25)

    assert found.status == "succeeded"
    assert time.seconds < 5 * 1.06
    assert len(time.slept) < 100


async def test_waiting_ends_with_its_time(make: Make, time: Time) -> None:
    """A job that takes longer comes back as it is."""
    submission = make(queue_url="a queue")
    job = await submission.submit(FORM, OWNER, queue=True)

    assert (await submission.wait(job, 25)).status == "queued"
    assert time.seconds == pytest.approx(25)
    assert max(time.slept) <= 1


async def test_nobody_waits_for_a_job_that_has_ended(make: Make, time: Time) -> None:
    """Nor longer than they want to."""
    submission = make()
    job = await submission.submit(FORM, OWNER)

    assert await submission.wait(job, 25) == job
    assert time.slept == []


async def test_waiting_outlasts_a_table_that_fails(make: Make, settings: Settings, time: Time) -> None:
    """What becomes of a job does not depend on who looks at it."""
    submission = make(queue_url="a queue")
    job = await submission.submit(FORM, OWNER, queue=True)
    boto3.client("dynamodb").delete_table(TableName=settings.table)

    assert await submission.wait(job, 2) == job
    assert time.seconds == pytest.approx(2)


@pytest.mark.parametrize("queued", [False, True])
async def test_a_job_that_was_stored_twice_is_done(
    make: Callable[..., Submission],
    service: Service,
    queue: Queue,
    jobs: JobStore,
    monkeypatch: pytest.MonkeyPatch,
    queued: bool,
) -> None:
    """A put whose answer was lost finds its own job when it is sent again: the job is done as any other."""
    create = jobs.create

    async def twice(job: Job, **options: Any) -> str | None:
        await create(job, **options)
        return await create(job, **options)

    monkeypatch.setattr(jobs, "create", twice)

    job = await make(queue_url="q").submit(FORM, OWNER, queue=queued)

    kept = await jobs.get(job.id)
    assert kept
    assert kept.status == ("queued" if queued else "succeeded")
    assert (len(service.requested), len(queue.sent)) == ((0, 1) if queued else (1, 0))


async def test_an_engine_with_few_places_is_left_to_the_worker(
    make: Callable[..., Submission], service: Service, queue: Queue
) -> None:
    """However quick it is: only the worker knows whether a place is free."""
    service.config = ImagesConfig(IMAGE_ENGINE_TIMEOUT=10, IMAGE_GENERATION_ENGINE="automatic1111")

    job = await make(queue_url="q").submit(FORM, OWNER)

    assert (job.status, service.requested, len(queue.sent)) == ("queued", [], 1)
