"""A job store on moto's server, and a submission whose other parts the test controls."""

from typing import TYPE_CHECKING, Any, cast

import pytest

from image_gateway.aws import Aws
from image_gateway.images.store import ImageStore
from image_gateway.jobs.announcement import Announcements
from image_gateway.jobs.inline_jobs import InlineJobs
from image_gateway.jobs.queued_jobs import QueuedJobs
from image_gateway.jobs.settlement import Settlement
from image_gateway.jobs.store import JobStore
from image_gateway.jobs.submission import Submission
from image_gateway.jobs.withdrawal import Withdrawal
from image_gateway.routing.cooldown import Cooldowns
from image_gateway.routing.rounds import Rounds
from image_gateway.routing.router import Router
from image_gateway.settings import Settings
from image_gateway.slots.store import SlotStore
from tests.unit.jobs.job_records import Clock
from tests.unit.jobs.submission_fakes import (
    FakeConfigs,
    FakeEvents,
    FakeExecutor,
    FakeQueue,
    FakeTime,
    MakeSubmission,
)

if TYPE_CHECKING:
    from image_gateway.config.reader import ConfigReader
    from image_gateway.jobs.events import JobEvents
    from image_gateway.jobs.execution import JobExecutor
    from image_gateway.jobs.job_queue import JobQueue


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(settings: Settings, aws: Aws, clock: Clock) -> JobStore:
    """A job store whose clock the test advances."""
    return JobStore(aws, settings, clock=clock)


@pytest.fixture
def jobs(settings: Settings, aws: Aws) -> JobStore:
    return JobStore(aws, settings)


@pytest.fixture
def configs() -> FakeConfigs:
    return FakeConfigs()


@pytest.fixture
def executor() -> FakeExecutor:
    return FakeExecutor()


@pytest.fixture
def queue() -> FakeQueue:
    return FakeQueue()


@pytest.fixture
def events() -> FakeEvents:
    return FakeEvents()


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def make_submission(
    settings: Settings,
    aws: Aws,
    jobs: JobStore,
    configs: FakeConfigs,
    executor: FakeExecutor,
    queue: FakeQueue,
    events: FakeEvents,
    time: FakeTime,
) -> MakeSubmission:
    """Create a submission with changed settings, such as `queue_url`: without it, the deployment has no queue.

    With `jobs`, its job store is another one.
    """

    def make_submission(jobs: JobStore = jobs, **changes: Any) -> Submission:
        changed = settings.model_copy(update=changes)
        job_queue = cast("JobQueue", queue)
        announcements = Announcements(jobs, cast("JobEvents", events), Settlement(jobs, None))
        withdrawal = Withdrawal(jobs, announcements)
        inline = InlineJobs(
            settings=changed,
            jobs=jobs,
            queue=job_queue,
            rounds=Rounds(lambda: Cooldowns(aws, changed), lambda: SlotStore(aws, changed)),
            executor=cast("JobExecutor", executor),
            announcements=announcements,
            withdrawal=withdrawal,
            sleep=time.sleep,
            clock=time,
        )
        return Submission(
            settings=changed,
            jobs=jobs,
            router=Router(cast("ConfigReader", configs)),
            inline=inline,
            queued=QueuedJobs(jobs, job_queue, ImageStore(aws, changed), withdrawal),
            sleep=time.sleep,
            clock=time,
        )

    return make_submission
