"""Lists the routes, and the models of all engines that have a server, in the format of the OpenAI API.

Every model is listed as `engine/model`, a name that always works. The models of the configured engine are also listed
under their bare names, unless such a name would select another engine.
"""

import asyncio
from collections.abc import Iterable, Iterator

from image_gateway.access.principals import Principal
from image_gateway.config.reader import ConfigReader
from image_gateway.config.servers import configured_server
from image_gateway.engines import REGISTRY, default_connection
from image_gateway.errors import EngineTimeout, GatewayError, NotFound
from image_gateway.jobs.engine_factory import EngineFactory
from image_gateway.models.config import ImagesConfig
from image_gateway.models.images import ModelInfo
from image_gateway.models.openai import OpenAIModel
from image_gateway.routing.destination import Destination, configured_engine
from image_gateway.routing.names import find_destination
from image_gateway.routing.usable_routes import usable_routes

TIMEOUT_SECONDS = 8.0
"""Seconds that an engine may take to list its models."""

_MAX_QUOTED = 200


class ModelList:
    """Requests the lists of models from the engines.

    Args:
        configs: the deployment's configuration.
        engine: creates an engine.
        timeout: seconds that one engine may take.
    """

    def __init__(self, configs: ConfigReader, engine: EngineFactory, timeout: float = TIMEOUT_SECONDS) -> None:
        self._configs = configs
        self._engine = engine
        self._timeout = timeout

    async def all(self, principal: Principal) -> tuple[list[OpenAIModel], list[str]]:
        """Return all routes and models that a caller may use, and a warning for each of its engines that failed.

        Raises:
            GatewayError: there are no routes, and all engines failed; this is the error of the first. `NotConfigured`
                if there is no engine.
        """
        current = await self._configs.read()
        config = current.config
        routes = usable_routes(current, principal)
        servers = list(_servers(config)) or [(configured_engine(config, edit=False), False)]
        # Engines that the caller may not use are neither requested nor mentioned.
        servers = [
            (engine, edit)
            for engine, edit in servers
            if principal.may_use_server(engine, default_connection(engine, edit=edit))
        ]
        results = await asyncio.gather(*(self._models(config, *server) for server in servers), return_exceptions=True)
        listed = {name: OpenAIModel(id=name, owned_by="route") for name in routes}
        failed: list[GatewayError] = []
        warnings: list[str] = []
        for (engine, edit), result in zip(servers, results, strict=True):
            if isinstance(result, GatewayError):
                failed.append(result)
                warnings.append(f"models of {engine} are missing: {result.detail}")
            elif isinstance(result, BaseException):
                raise result
            else:
                for model in _list_entries(config, engine, result, principal, edit=edit):
                    listed.setdefault(model.id, model)
        if failed and len(failed) == len(servers) and not routes:
            raise failed[0]
        for name in config.IMAGE_MODEL_ALIASES:
            destination = find_destination(config, name, edit=False, allow_engine_prefix=True)
            if _may_use(principal, destination):
                listed.setdefault(name, _alias_entry(name, destination, listed.values()))
        return list(listed.values()), warnings

    async def get(self, name: str, principal: Principal) -> OpenAIModel:
        """Return the route or model with this name. Only the model's own engine is requested.

        An alias is a model whether or not its engine lists the model that it stands for.

        Raises:
            NotFound: the engine has no such model, or the caller may not use it.
            GatewayError: a server of the engine failed, and no other one has the model.
        """
        if not name:
            raise NotFound("A model has a name: GET /v1/models lists them", field="model")
        current = await self._configs.read()
        config = current.config
        if name in current.catalogue.names("routes"):
            if name not in usable_routes(current, principal):
                raise _unknown(name)
            return OpenAIModel(id=name, owned_by="route")
        destinations = [find_destination(config, name, edit=edit, allow_engine_prefix=True) for edit in (False, True)]
        failed: dict[tuple[str, str], GatewayError] = {}
        for destination in destinations:
            # Edits may have a server of their own, and generations or edits may have none.
            engine = destination.engine
            server = configured_server(config, engine, edit=destination.edit)
            if server is None or (engine, server.url) in failed or not _may_use(principal, destination):
                continue
            try:
                models = await self._models(config, engine, destination.edit)
            except GatewayError as error:
                failed[engine, server.url] = error
                continue
            if found := next((model for model in models if model.id == destination.model), None):
                return OpenAIModel(id=name, owned_by=engine, ends_on=found.ends_on)
        if name in config.IMAGE_MODEL_ALIASES and _may_use(principal, destinations[0]):
            return _alias_entry(name, destinations[0], ())
        if failed:
            # A server that failed may have the model.
            raise next(iter(failed.values()))
        raise _unknown(name)

    async def _models(self, config: ImagesConfig, engine: str, edit: bool) -> list[ModelInfo]:
        try:
            async with asyncio.timeout(self._timeout):
                return await self._engine(Destination(engine=engine, model=None, config=config, edit=edit)).models()
        except TimeoutError:
            raise EngineTimeout(f"{engine} did not list its models within {self._timeout:g} s") from None


def _servers(config: ImagesConfig) -> Iterator[tuple[str, bool]]:
    """Yield each configured server once: its engine, and whether it is for edits only."""
    for engine in REGISTRY:
        generating, editing = (configured_server(config, engine, edit=edit) for edit in (False, True))
        if generating:
            yield engine, False
        if editing and (generating is None or editing.url != generating.url):
            yield engine, True


def _alias_entry(name: str, destination: Destination, listed: Iterable[OpenAIModel]) -> OpenAIModel:
    """Return the entry of an alias, with the end of the model that it stands for, if that is listed."""
    full_name = f"{destination.engine}/{destination.model}"
    ends_on = next((model.ends_on for model in listed if model.id == full_name), None)
    return OpenAIModel(id=name, owned_by=destination.engine, ends_on=ends_on)


def _list_entries(
    config: ImagesConfig, engine: str, models: list[ModelInfo], principal: Principal, *, edit: bool
) -> Iterator[OpenAIModel]:
    for model in models:
        if not _may_use(principal, Destination(engine=engine, model=model.id, config=config, edit=edit)):
            continue
        yield OpenAIModel(id=f"{engine}/{model.id}", owned_by=engine, ends_on=model.ends_on)
        bare = find_destination(config, model.id, edit=edit, allow_engine_prefix=True)
        if (bare.engine, bare.model) == (engine, model.id):
            yield OpenAIModel(id=model.id, owned_by=engine, ends_on=model.ends_on)


def _may_use(principal: Principal, destination: Destination) -> bool:
    return principal.may_use(destination.engine, destination.model, connection=destination.connection)


def _unknown(name: str) -> NotFound:
    return NotFound(f"There is no model {name[:_MAX_QUOTED]!r}: GET /v1/models lists them", field="model")
