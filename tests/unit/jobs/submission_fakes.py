"""What a submission needs beside the table, controlled by the test: a configuration, an executor, a queue, a clock."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from image_gateway.access.principals import Principal, Role
from image_gateway.aws import Remaining
from image_gateway.config.versioned import VersionedConfig
from image_gateway.engines.protocol import InputImage
from image_gateway.errors import StorageUnavailable
from image_gateway.jobs.store import JobStore
from image_gateway.jobs.submission import LoadInputs, Submission
from image_gateway.models.config import ImagesConfig
from image_gateway.models.forms import CreateImageForm
from image_gateway.models.jobs import Job, JobImage
from image_gateway.routing.destination import Destination

OWNER = Principal("1", "owner", Role.USER)
FORM = CreateImageForm(prompt="a fox")
IMAGE = JobImage(key="images/2026/11/22/x/0.png", content_type="image/png")

MakeSubmission = Callable[..., Submission]


class FakeConfigs:
    """Has a configuration with everything enabled. `reading` is called when it is read."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] = {"IMAGE_ENGINE_TIMEOUT": 10}
        self.disabled = False
        self.reading: Callable[[Remaining], Awaitable[None]] | None = None

    async def read(self, remaining: Remaining | None = None) -> VersionedConfig:
        if self.reading and remaining:
            await self.reading(remaining)
        enabled = dict.fromkeys(("ENABLE_IMAGE_GENERATION", "ENABLE_IMAGE_EDIT"), not self.disabled)
        return VersionedConfig(ImagesConfig.model_validate({**enabled, **self.fields}), 1)


class FakeExecutor:
    """Executes jobs with the function `execution`."""

    def __init__(self) -> None:
        self.executed: list[tuple[Any, ...]] = []
        self.execution: Callable[[Job], Awaitable[None]] = succeed

    async def execute(self, job: Job, _destination: Destination, *arguments: Any, **options: Any) -> None:
        self.executed.append((*arguments, options["mask"]))
        await self.execution(job)


async def succeed(job: Job) -> None:
    job.engine, job.model, job.images = "openai", "m", [IMAGE]


class FakeQueue:
    """Records the jobs that are sent, and their owners; with `fails`, it does not accept any."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.delayed: list[tuple[str, float]] = []
        self.owners: set[str] = set()
        self.fails = False

    async def send(self, job_id: str, *, owner: str, delay_seconds: float = 0) -> None:
        if self.fails:
            raise StorageUnavailable("The job was not queued")
        self.owners.add(owner)
        if delay_seconds:
            self.delayed.append((job_id, delay_seconds))
        else:
            self.sent.append(job_id)


class FakeEvents:
    """Records the ids and statuses of completions; with `fails`, it does not accept any."""

    enabled = True

    def __init__(self) -> None:
        self.fails = False
        self.published: list[tuple[str, str]] = []

    async def publish_completion(self, job: Job) -> bool:
        if not self.fails:
            self.published.append((job.id, job.status))
        return not self.fails


class FakeTime:
    """A clock that advances when `sleep` is called. After each sleep, `after_sleep` gets the time."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.sleeps: list[float] = []
        self.after_sleep: Callable[[float], Awaitable[None]] | None = None

    def __call__(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.sleeps.append(seconds)
        if self.after_sleep:
            await self.after_sleep(self.seconds)


def given_inputs(*images: InputImage, mask: InputImage | None = None) -> LoadInputs:
    """Return the function that returns these input images and this mask."""

    async def load() -> tuple[Sequence[InputImage], InputImage | None]:
        return images, mask

    return load


async def list_jobs(jobs: JobStore) -> list[Job]:
    return (await jobs.page(owner=None))[0]
