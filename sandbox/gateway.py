"""The whole sandbox: the gateway with embedded AWS and sandbox engines, during an `async with` block."""

import asyncio
import uuid
from collections.abc import Callable, Collection, Mapping
from contextlib import AsyncExitStack, aclosing
from importlib import import_module
from types import TracebackType
from typing import IO, Any, Self

from starlette.types import ASGIApp

from image_gateway.access.principals import Role
from image_gateway.access.token_registry import TokenRegistry, new_token
from image_gateway.aws import Aws
from image_gateway.aws.locks import Locks
from image_gateway.config.reader import ConfigReader
from image_gateway.config.stored import StoredConfig
from image_gateway.config.updates import ConfigUpdates
from image_gateway.jobs.events import SOURCE
from image_gateway.models.config import ImagesConfig
from image_gateway.settings import Settings
from sandbox.bus_listener import BusListener
from sandbox.client import ENGINES, GatewayClient
from sandbox.cors import Cors
from sandbox.embedded_aws import EmbeddedAws
from sandbox.engines.comfyui_workflows import CHECKPOINT, EDIT
from sandbox.engines.state import Knobs, SandboxState
from sandbox.event_sources import EventSources
from sandbox.fork_server import ForkServer
from sandbox.front import create_front
from sandbox.lambda_service import LambdaService
from sandbox.servers import HttpServer
from sandbox.template import STACK, Template
from sandbox.transaction_conflicts import injected_conflicts

ENGINE_KEY = "sandbox-key"
"""The API key of the engines in `KEYED`, which refuse other keys as the real engines do."""

KEYED = ("openai", "gemini")
"""The engines that require an API key."""

PARAMETERS = {"ConfigTtlSeconds": "0", "WorkerMaximumConcurrency": "4"}
"""Template parameters that differ from the defaults: every function sees a configuration update at once, and the number
of workers fits into a laptop's memory."""

WITHOUT_EFFECT = frozenset(
    {
        *("Architecture", "LogRetentionDays", "OldestMessageSeconds", "AlarmTopicArn"),
        *("FunctionUrl", "FunctionUrlWaitSeconds"),
        *("VpcSubnetIds", "VpcSecurityGroupIds", "ApiRateLimit", "ApiBurstLimit"),
        *("ConfigConcurrency", "GenerateConcurrency", "EditConcurrency", "JobsConcurrency", "ConsoleConcurrency"),
        "ReserveWorkerConcurrency",
    }
)
"""Template parameters of what only AWS has. The sandbox checks their values, and nothing else happens."""

WARM = ("ConfigFunction", "GenerateFunction", "EditFunction", "JobsFunction", "ConsoleFunction", "WorkerFunction")
"""Functions that are started with the sandbox, so that no first request waits for a cold start."""


class Sandbox(GatewayClient):
    """Embedded AWS, sandbox engines, the functions of the template and the HTTP front.

    `url` and `engine_urls` are set when the `async with` block is entered.

    Args:
        log: the file for the functions' stdout and stderr.
        port: the front's port; 0 uses any free port.
        admin_token: the administrator's token, valid for `TokenRegistry.create`; empty: a new token.
        user_token: the user's token, different from the administrator's; empty: a new token.
        parameters: template parameters.
        stack: the stack's name; empty: a new name, because embedded AWS keeps the resources of earlier stacks for the
            life of the process.
        warm: the functions to start at once; the others start with their first event.
        conflicts: the share of writes, from 0 to 1, that DynamoDB refuses because of a conflict with a transaction.
        variables: environment variables of the functions, in addition to those of embedded AWS, or in place of them.
        wrap_engine: returns the application that is served for an engine, from the engine's name and its application.
    """

    def __init__(
        self,
        *,
        log: IO[bytes] | int,
        port: int = 0,
        admin_token: str = "",
        user_token: str = "",
        parameters: Mapping[str, str] | None = None,
        stack: str = "",
        warm: Collection[str] = WARM,
        conflicts: float = 0.0,
        variables: Mapping[str, str] | None = None,
        wrap_engine: Callable[[str, ASGIApp], ASGIApp] = lambda _name, app: app,
    ) -> None:
        super().__init__("", admin_token or new_token(), user_token or new_token())
        self.engines = {name: SandboxState(Knobs(key=ENGINE_KEY if name in KEYED else "")) for name in ENGINES}
        self.engine_urls: dict[str, str] = {}
        self._parameters = {**PARAMETERS, **(parameters or {})}
        self._name = stack or f"{STACK}-{uuid.uuid4().hex[:8]}"
        self._log = log
        self._port = port
        self._warm = warm
        self._conflicts = conflicts
        self._variables = dict(variables or {})
        self._wrap_engine = wrap_engine
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Start everything, create the two tokens and configure the sandbox engines."""
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop everything that was started."""
        await self._stack.aclose()

    async def events(self) -> list[dict[str, Any]]:
        """Return the events that the gateway has put on its bus, in the order of their arrival."""
        return await asyncio.to_thread(self._listener.events)

    async def _start(self) -> None:
        # It loads while AWS starts, and the functions' processes while the rest is set up.
        fork_server = await self._stack.enter_async_context(ForkServer(self._log))
        aws = self._stack.enter_context(EmbeddedAws())
        self.template = Template(parameters=self._parameters, stack=self._name, sqs_url=aws.url)
        functions = self.template.functions()
        self.functions = service = LambdaService(
            functions, {**aws.variables, **self._variables}, self._log, fork_server=fork_server
        )
        self._stack.push_async_callback(service.stop)
        routes = [route for function in functions for route in function.routes]
        front = HttpServer(create_front(routes, service, Cors.of(self.template)), self._port)
        await service.warm(self._warm)
        aws.deploy(self.template)
        self._listener = BusListener(f"{self._name}-events", self.template.values["EventBusName"], SOURCE)
        self.settings = Settings.from_environment(functions[0].environment)
        for name, state in self.engines.items():
            app = import_module(f"sandbox.engines.{name}").create_app(state)
            server = await self._stack.enter_async_context(HttpServer(self._wrap_engine(name, app)))
            self.engine_urls[name] = server.url
        await self._store_tokens_and_configuration()
        self._stack.enter_context(injected_conflicts(self._conflicts))
        await self._stack.enter_async_context(EventSources(self.template.queue_mappings(), service))
        await self._stack.enter_async_context(front)
        self.url = front.url

    async def _store_tokens_and_configuration(self) -> None:
        """Create the two tokens and the configuration directly, so that the log does not begin with such requests."""
        async with aclosing(Aws()) as client:
            tokens = TokenRegistry(client, self.settings)
            await tokens.create("sandbox admin", Role.ADMIN, token=self.admin_token)
            await tokens.create("sandbox user", Role.USER, token=self.user_token)
            stored = StoredConfig(client, self.settings, environ={})
            reader, locks = ConfigReader(stored, self.settings), Locks(client, self.settings)
            configs = ConfigUpdates(stored, reader, self.settings, locks)
            await configs.update(ImagesConfig.model_validate(self._configuration()))

    def _configuration(self) -> dict[str, Any]:
        """Return a configuration of all four engines that uses `openai`."""
        urls = self.engine_urls
        return {
            "ENABLE_IMAGE_GENERATION": True,
            "ENABLE_IMAGE_EDIT": True,
            "IMAGE_GENERATION_MODEL": ENGINES["openai"],
            "IMAGE_EDIT_MODEL": ENGINES["openai"],
            "IMAGES_OPENAI_API_BASE_URL": f"{urls['openai']}/v1",
            "IMAGES_OPENAI_API_KEY": ENGINE_KEY,
            "IMAGES_EDIT_OPENAI_API_BASE_URL": "",
            "AUTOMATIC1111_BASE_URL": urls["automatic1111"],
            "COMFYUI_BASE_URL": urls["comfyui"],
            **CHECKPOINT.fields(),
            **EDIT.fields("IMAGES_EDIT_COMFYUI"),
            "IMAGES_GEMINI_API_BASE_URL": f"{urls['gemini']}/v1beta",
            "IMAGES_GEMINI_API_KEY": ENGINE_KEY,
            "IMAGES_EDIT_GEMINI_API_BASE_URL": "",
        }
