"""The parts of a deployment that several functions need."""

from functools import cache, cached_property
from typing import TYPE_CHECKING

from image_gateway.access.tokens import TokenAuthenticator
from image_gateway.aws import Aws, Bucket, create_transport
from image_gateway.config.reader import ConfigReader
from image_gateway.config.stored import StoredConfig
from image_gateway.container.engines import Engines, tls_context
from image_gateway.images.output_formats import OutputFormats
from image_gateway.images.store import ImageStore
from image_gateway.jobs.announcement import Announcements
from image_gateway.jobs.budget_events import BudgetEvents
from image_gateway.jobs.events import JobEvents
from image_gateway.jobs.execution import JobExecutor
from image_gateway.jobs.forgotten import ForgottenEndUsers
from image_gateway.jobs.inline_jobs import InlineJobs
from image_gateway.jobs.job_queue import JobQueue
from image_gateway.jobs.queued_jobs import QueuedJobs
from image_gateway.jobs.settlement import Settlement
from image_gateway.jobs.store import JobStore
from image_gateway.jobs.submission import Submission
from image_gateway.jobs.withdrawal import Withdrawal
from image_gateway.metering.usage import UsageTable
from image_gateway.routing.destination import Destination
from image_gateway.routing.rounds import Rounds
from image_gateway.routing.router import Router
from image_gateway.settings import Settings

if TYPE_CHECKING:
    from image_gateway.aws.object_store import ObjectStore
    from image_gateway.config.end_users import EndUsers
    from image_gateway.config.workflow_store import WorkflowStore
    from image_gateway.container.config_parts import ConfigParts
    from image_gateway.container.worker_parts import WorkerParts
    from image_gateway.images.decoding.decoder import Decoder
    from image_gateway.images.inputs import ImageInputs
    from image_gateway.images.library import ImageLibrary
    from image_gateway.jobs.backlog import Backlog
    from image_gateway.jobs.cancellation import Cancellation
    from image_gateway.metering.limit_store import LimitStore
    from image_gateway.routing.cooldown import Cooldowns
    from image_gateway.slots.store import SlotStore


class Gateway:
    """All parts of one deployment, for the lifetime of a process.

    Modules that only some functions need are imported in the property that uses them, because imports take most of the
    time of a cold start.

    Args:
        settings: the settings that the template passes to the function.
        aws: client for AWS; by default one for the environment's account, with connections of its own.
    """

    def __init__(self, settings: Settings, aws: Aws | None = None) -> None:
        self.settings = settings
        self._own_aws = Aws(lambda: create_transport(tls_context()))
        self.aws = aws or self._own_aws

    @cached_property
    def engines(self) -> Engines:
        """Creates engines, and fetches links."""
        return Engines(self.settings.fetch_allowed_hosts, lambda: self.decoder)

    @cached_property
    def config_parts(self) -> "ConfigParts":
        """What only the config function needs."""
        from image_gateway.container.config_parts import ConfigParts

        return ConfigParts(self)

    @cached_property
    def worker_parts(self) -> "WorkerParts":
        """What only the worker needs."""
        from image_gateway.container.worker_parts import WorkerParts

        return WorkerParts(self)

    @cached_property
    def configs(self) -> ConfigReader:
        """Reads the configuration."""
        return ConfigReader(self.stored_config, self.settings)

    @cached_property
    def stored_config(self) -> StoredConfig:
        """Loads and saves the configuration."""
        return StoredConfig(self.aws, self.settings)

    @cached_property
    def workflow_contents(self) -> "WorkflowStore":
        """Contents of named workflows."""
        from image_gateway.config.workflow_store import WorkflowStore

        return WorkflowStore(Bucket(self.aws, self.settings.bucket))

    @cached_property
    def tokens(self) -> TokenAuthenticator:
        """Authenticates tokens."""
        return TokenAuthenticator(self.aws, self.settings)

    @cached_property
    def end_users(self) -> "EndUsers":
        """Labels of end users."""
        from image_gateway.config.end_users import EndUsers

        return EndUsers(self.configs)

    @cached_property
    def forgotten(self) -> ForgottenEndUsers:
        """End users who were forgotten lately."""
        return ForgottenEndUsers(self.aws, self.settings)

    @cached_property
    def limits(self) -> "LimitStore":
        """Limits of tokens and of the deployment."""
        from image_gateway.metering.limit_store import LimitStore

        return LimitStore(self.aws, self.settings)

    @cached_property
    def images(self) -> ImageStore:
        """Stored images."""
        return ImageStore(self.aws, self.settings)

    @cached_property
    def objects(self) -> "ObjectStore":
        """Objects in the bucket that are not images."""
        from image_gateway.aws.object_store import ObjectStore

        return ObjectStore(self.aws, self.settings)

    @cached_property
    def library(self) -> "ImageLibrary":
        """Stored images and uploads that requests use as inputs."""
        from image_gateway.images.library import ImageLibrary

        return ImageLibrary(self.aws, self.settings, self.jobs)

    @cached_property
    def inputs(self) -> "ImageInputs":
        """Resolves the callers' input images."""
        from image_gateway.images.inputs import ImageInputs

        return ImageInputs(self.engines.fetch, self.library, self.decoder)

    @cached_property
    def decoder(self) -> "Decoder":
        """Decodes images."""
        from image_gateway.images.decoding.decoder import Decoder

        return Decoder()

    @cached_property
    def jobs(self) -> JobStore:
        """Job records."""
        return JobStore(self.aws, self.settings)

    @cached_property
    def queue(self) -> JobQueue:
        """The queue of jobs that do not run inside the API function."""
        return JobQueue(self.aws, self.settings)

    @cached_property
    def backlog(self) -> "Backlog":
        """Reads what waits in the queues."""
        from image_gateway.jobs.backlog import Backlog

        return Backlog(self.aws, self.settings, self.jobs)

    @cached_property
    def cancellation(self) -> "Cancellation":
        """Cancels jobs."""
        from image_gateway.jobs.cancellation import Cancellation

        return Cancellation(
            jobs=self.jobs,
            router=self.router,
            engine=self.engines.at,
            announcements=self.announcements,
            queue=self.queue,
        )

    @cached_property
    def submission(self) -> Submission:
        """Creates jobs for requests."""
        return Submission(
            settings=self.settings,
            jobs=self.jobs,
            router=self.router,
            inline=self.inline_jobs,
            queued=QueuedJobs(self.jobs, self.queue, self.images, self._withdrawal),
        )

    @cached_property
    def inline_jobs(self) -> InlineJobs:
        """Runs jobs inside the API function."""
        return InlineJobs(
            settings=self.settings,
            jobs=self.jobs,
            queue=self.queue,
            rounds=self.rounds,
            executor=self.executor,
            announcements=self.announcements,
            withdrawal=self._withdrawal,
        )

    @cached_property
    def _withdrawal(self) -> Withdrawal:
        return Withdrawal(self.jobs, self.announcements)

    @cached_property
    def events(self) -> JobEvents:
        """Publishes the completion of jobs."""
        return JobEvents(self.aws, self.settings)

    @cached_property
    def announcements(self) -> Announcements:
        """Announces the ends of jobs."""
        budgets = BudgetEvents(lambda: self.limits, self.events)
        usage = UsageTable(self.aws, self.settings) if self.settings.usage_table else None
        return Announcements(self.jobs, self.events, Settlement(self.jobs, usage, budgets, self.forgotten))

    @cached_property
    def router(self) -> Router:
        """Decides where requests and jobs go."""
        return Router(self.configs)

    @cached_property
    def rounds(self) -> Rounds:
        """Orders the targets of routes."""
        return Rounds(lambda: self.cooldowns, lambda: self.slots)

    @cached_property
    def cooldowns(self) -> "Cooldowns":
        """The targets of routes that are left alone."""
        from image_gateway.routing.cooldown import Cooldowns

        return Cooldowns(self.aws, self.settings)

    @cached_property
    def slots(self) -> "SlotStore":
        """The slots of servers."""
        from image_gateway.slots.store import SlotStore

        return SlotStore(self.aws, self.settings)

    @cached_property
    def executor(self) -> JobExecutor:
        """Runs jobs on their engines and stores the images."""
        return JobExecutor(
            self.images,
            self.engines.at,
            self.engines.prompt_writer,
            OutputFormats(lambda: self.decoder),
            prepare=self._with_workflow,
        )

    async def _with_workflow(self, destination: Destination) -> Destination:
        if destination.workflow is None:
            return destination
        from image_gateway.routing.workflows import with_workflow

        return await with_workflow(destination, self.workflow_contents)

    async def aclose(self) -> None:
        """Close all open connections. Lambda never calls this: it freezes or ends the process."""
        await self.engines.aclose()
        await self._own_aws.aclose()


@cache
def from_environment() -> Gateway:
    """Return the gateway of this process, with the settings of the function's environment."""
    return Gateway(Settings.from_environment())
