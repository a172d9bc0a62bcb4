"""The composition root: stores, engines and services of one deployment, each created at its first use."""

import asyncio
import ssl
from dataclasses import replace
from functools import cache, cached_property
from typing import TYPE_CHECKING, cast

import httpx

from image_gateway.access.tokens import TokenAuthenticator
from image_gateway.aws import Aws, Bucket, create_transport
from image_gateway.aws.locks import Locks
from image_gateway.config.fallbacks import with_edit_fallbacks
from image_gateway.config.store import ConfigStore
from image_gateway.config.timeouts import REWRITE_TIMEOUT_SECONDS
from image_gateway.engines import Connection, Engine, PromptWriter, create_engine, create_prompt_writer
from image_gateway.engines.protocol import ImageConversion, InputImage
from image_gateway.images.output_formats import OutputFormats
from image_gateway.images.store import ImageStore
from image_gateway.jobs.announcement import Announcements
from image_gateway.jobs.budget_events import BudgetEvents
from image_gateway.jobs.events import JobEvents
from image_gateway.jobs.execution import JobExecutor
from image_gateway.jobs.job_queue import JobQueue
from image_gateway.jobs.settlement import Settlement
from image_gateway.jobs.store import JobStore
from image_gateway.jobs.submission import Submission
from image_gateway.metering.usage import UsageTable
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import Size
from image_gateway.net.transport import Transport, no_cookies
from image_gateway.routing.destination import Destination
from image_gateway.routing.rounds import Rounds
from image_gateway.routing.router import Router
from image_gateway.settings import Settings

if TYPE_CHECKING:
    from image_gateway.access.token_registry import TokenRegistry
    from image_gateway.aws.object_store import ObjectStore
    from image_gateway.batches.ingestion import RequestFileIngester
    from image_gateway.batches.store import BatchStore
    from image_gateway.batches.tracking import BatchTracker
    from image_gateway.config.workflow_catalogue import WorkflowCatalogue
    from image_gateway.config.workflow_inspector import WorkflowInspector
    from image_gateway.config.workflow_store import WorkflowStore
    from image_gateway.engines.comfyui.engine import ComfyUIEngine
    from image_gateway.images.decoding.decoder import Decoder
    from image_gateway.images.inputs import ImageInputs
    from image_gateway.images.library import ImageLibrary
    from image_gateway.jobs.backlog import Backlog
    from image_gateway.jobs.input_loading import JobInputs
    from image_gateway.metering.limit_store import LimitStore
    from image_gateway.net.public_fetch import PublicFetcher
    from image_gateway.routing.cooldown import Cooldowns
    from image_gateway.slots.store import SlotStore
    from image_gateway.worker.completion import JobCompletion
    from image_gateway.worker.dispatch import Dispatcher
    from image_gateway.worker.worker import Worker

_INSPECTION_SECONDS = 15.0
"""How long a server may take to declare all node classes of a workflow: API Gateway responds after 30 s."""


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
        self._own_aws = Aws(lambda: create_transport(_tls()))
        self.aws = aws or self._own_aws

    @cached_property
    def configs(self) -> ConfigStore:
        """The configuration document."""
        return ConfigStore(self.aws, self.settings, self._locks)

    @cached_property
    def workflow_contents(self) -> "WorkflowStore":
        """Contents of named workflows."""
        from image_gateway.config.workflow_store import WorkflowStore

        return WorkflowStore(Bucket(self.aws, self.settings.bucket))

    @cached_property
    def workflow_catalogue(self) -> "WorkflowCatalogue":
        """Named workflows of ComfyUI."""
        from image_gateway.config.workflow_catalogue import WorkflowCatalogue

        return WorkflowCatalogue(self.configs, self.workflow_contents)

    @cached_property
    def workflow_inspector(self) -> "WorkflowInspector":
        """Inspects ComfyUI workflows."""
        from image_gateway.config.workflow_inspector import WorkflowInspector
        from image_gateway.engines.comfyui.inspection.server_classes import ServerClasses

        def create_server(config: ImagesConfig, edit: bool) -> "ComfyUIEngine":
            return cast("ComfyUIEngine", self.engine("comfyui", config, edit=edit, timeout=_INSPECTION_SECONDS))

        return WorkflowInspector(create_server, ServerClasses())

    @cached_property
    def tokens(self) -> TokenAuthenticator:
        """Authenticates tokens."""
        return TokenAuthenticator(self.aws, self.settings)

    @cached_property
    def limits(self) -> "LimitStore":
        """Limits of tokens and of the deployment."""
        from image_gateway.metering.limit_store import LimitStore

        return LimitStore(self.aws, self.settings)

    @cached_property
    def token_registry(self) -> "TokenRegistry":
        """Creates, lists and revokes tokens."""
        from image_gateway.access.token_registry import TokenRegistry

        return TokenRegistry(self.aws, self.settings)

    @cached_property
    def images(self) -> ImageStore:
        """Stored images."""
        return ImageStore(self.aws, self.settings)

    @cached_property
    def jobs(self) -> JobStore:
        """Job records."""
        return JobStore(self.aws, self.settings)

    @cached_property
    def library(self) -> "ImageLibrary":
        """Stored images and uploads that requests use as inputs."""
        from image_gateway.images.library import ImageLibrary

        return ImageLibrary(self.aws, self.settings, self.jobs)

    @cached_property
    def inputs(self) -> "ImageInputs":
        """Resolves the callers' input images."""
        from image_gateway.images.inputs import ImageInputs

        return ImageInputs(self._fetch, self.library, self.decoder)

    @cached_property
    def decoder(self) -> "Decoder":
        """Decodes images."""
        from image_gateway.images.decoding.decoder import Decoder

        return Decoder()

    @cached_property
    def submission(self) -> Submission:
        """Creates jobs for requests."""
        return Submission(
            settings=self.settings,
            jobs=self.jobs,
            queue=self.queue,
            images=self.images,
            router=self.router,
            rounds=self.rounds,
            executor=self.executor,
            announcements=self.announcements,
        )

    @cached_property
    def worker(self) -> "Worker":
        """Processes queued jobs."""
        from image_gateway.jobs.engine_cancellation import EngineCanceler
        from image_gateway.slots.process import ProcessSlots
        from image_gateway.worker.attempt_runner import AttemptRunner
        from image_gateway.worker.cancel_watch import CancelWatch
        from image_gateway.worker.slots import Slots
        from image_gateway.worker.worker import Worker

        cancel_watch = CancelWatch(self.jobs, EngineCanceler(self.router, self.engine_at))
        server_slots = ProcessSlots(self.slots)
        return Worker(
            max_invocation_seconds=self.settings.function_timeout_seconds,
            jobs=self.jobs,
            queue=self.queue,
            router=self.router,
            rounds=self.rounds,
            attempts=AttemptRunner(self._job_inputs, self.executor, cancel_watch),
            completion=self.completion,
            slots=Slots(server_slots, self.settings.aws_lambda_function_memory_size, self.engine_at),
        )

    @cached_property
    def completion(self) -> "JobCompletion":
        """Completes queued jobs."""
        from image_gateway.worker.completion import JobCompletion

        return JobCompletion(self.jobs, self.announcements, self._batch_tracker, self.images)

    @cached_property
    def dispatcher(self) -> "Dispatcher":
        """Dispatches queue messages."""
        from image_gateway.worker.dispatch import Dispatcher
        from image_gateway.worker.recovery import Recovery

        return Dispatcher(
            bucket=self.settings.bucket,
            jobs=self.jobs,
            inputs=self._job_inputs,
            ingester=self.ingester,
            recovery=Recovery(self.aws, self.settings, self.queue),
            worker=self.worker,
            queue=self.queue,
            announcements=self.announcements,
        )

    @cached_property
    def ingester(self) -> "RequestFileIngester":
        """Creates the jobs of request files."""
        from image_gateway.batches.ingestion import RequestFileIngester

        return RequestFileIngester(
            objects=self.objects,
            jobs=self.jobs,
            inputs=self._job_inputs,
            batches=self._batch_tracker,
            progress=self._batch_store,
            queue=self.queue,
            announcements=self.announcements,
        )

    @cached_property
    def objects(self) -> "ObjectStore":
        """Objects in the bucket that are not images."""
        from image_gateway.aws.object_store import ObjectStore

        return ObjectStore(self.aws, self.settings)

    @cached_property
    def _job_inputs(self) -> "JobInputs":
        from image_gateway.jobs.input_loading import JobInputs

        return JobInputs(self.objects, self.images, self.inputs, self.router)

    @cached_property
    def _batch_tracker(self) -> "BatchTracker":
        from image_gateway.batches.tracking import BatchTracker

        return BatchTracker(self.aws, self.settings, self._batch_store, self.objects)

    @cached_property
    def _batch_store(self) -> "BatchStore":
        from image_gateway.batches.store import BatchStore

        return BatchStore(self.aws, self.settings)

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
    def events(self) -> JobEvents:
        """Publishes the completion of jobs."""
        return JobEvents(self.aws, self.settings)

    @cached_property
    def announcements(self) -> Announcements:
        """Announces the ends of jobs."""
        budgets = BudgetEvents(lambda: self.limits, self.events)
        usage = UsageTable(self.aws, self.settings) if self.settings.usage_table else None
        return Announcements(self.jobs, self.events, Settlement(self.jobs, usage, budgets))

    @cached_property
    def _locks(self) -> Locks:
        return Locks(self.aws, self.settings)

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
            self.engine_at,
            self.prompt_writer,
            OutputFormats(lambda: self.decoder),
            prepare=self._with_workflow,
        )

    async def _with_workflow(self, destination: Destination) -> Destination:
        if destination.workflow is None:
            return destination
        from image_gateway.routing.workflows import with_workflow

        return await with_workflow(destination, self.workflow_contents)

    def engine_at(self, destination: Destination) -> Engine:
        """Create the engine of a destination for one request."""
        config, edit = destination.config, destination.edit
        config = with_edit_fallbacks(config) if edit else config
        connection = replace(self._connection(config), repeats=destination.repeats)
        return create_engine(destination.engine, config, connection, edit=edit)

    def engine(self, name: str, config: ImagesConfig, *, edit: bool = False, timeout: float | None = None) -> Engine:
        """Create an engine for one request.

        Args:
            name: the engine.
            config: the configuration to use.
            edit: whether the request is an edit.
            timeout: seconds; shortens the configured timeout.
        """
        config = with_edit_fallbacks(config) if edit else config
        return create_engine(name, config, self._connection(config, timeout), edit=edit)

    def prompt_writer(self, name: str, config: ImagesConfig) -> PromptWriter:
        """Create the engine that rewrites prompts while `name` is the configured engine."""
        return create_prompt_writer(name, config, self._connection(config, REWRITE_TIMEOUT_SECONDS))

    async def aclose(self) -> None:
        """Close all open connections. Lambda never calls this: it freezes or ends the process."""
        if "_client" in self.__dict__:
            await self._client.aclose()
        if "_fetcher" in self.__dict__:
            await self._fetcher.aclose()
        await self._own_aws.aclose()

    def _connection(self, config: ImagesConfig, timeout: float | None = None) -> Connection:
        return Connection(
            client=self._client,
            fetch=self._fetch,
            timeout=min(timeout or config.IMAGE_ENGINE_TIMEOUT, config.IMAGE_ENGINE_TIMEOUT),
            secrets=tuple(config.secrets()),
            sleep=asyncio.sleep,
            convert_image=self._convert_image,
        )

    @cached_property
    def _client(self) -> httpx.AsyncClient:
        # Node and uvicorn close connections that were idle for 5 s. A request sent at that moment is lost, and may have
        # been paid for.
        transport = Transport(_tls(), idle_seconds=2)
        return httpx.AsyncClient(transport=transport, trust_env=False, follow_redirects=False, cookies=no_cookies())

    async def _convert_image(
        self, conversion: ImageConversion, *images: InputImage, size: Size | None = None
    ) -> InputImage:
        return await self.decoder.convert_image(conversion, *images, size=size)

    async def _fetch(self, url: str, *, field: str | None = None) -> bytes:
        """Fetch a link. Only now is the fetcher created, so that its settings can stop nothing else."""
        return await self._fetcher.fetch(url, field=field)

    @cached_property
    def _fetcher(self) -> "PublicFetcher":
        from image_gateway.net.public_fetch import PublicFetcher

        return PublicFetcher(ssl_context=_tls(), allowed_hosts=self.settings.fetch_allowed_hosts)


@cache
def _tls() -> ssl.SSLContext:
    """Return the process's TLS context. It is shared: loading the CAs is the most expensive part of a client."""
    return ssl.create_default_context()


@cache
def from_environment() -> Gateway:
    """Return the gateway of this process, with the settings of the function's environment."""
    return Gateway(Settings.from_environment())
