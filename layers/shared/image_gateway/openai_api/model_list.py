"""The models of all engines that are configured, as the OpenAI API lists them.

Every model is listed as `engine/model`, by which it is always found. The models of the configured engine are listed by
their bare names too, unless such a name would be read as another engine's.
"""

import asyncio
from collections.abc import Iterator

from image_gateway.access.principals import Principal
from image_gateway.config.engine_choice import EngineChoice, choose_engine, configured_engine, server_url
from image_gateway.config.store import ConfigStore
from image_gateway.engines import REGISTRY
from image_gateway.errors import EngineTimeout, Forbidden, GatewayError, NotFound
from image_gateway.jobs.engine_factory import EngineFactory
from image_gateway.models.config import ImagesConfig
from image_gateway.models.images import ModelInfo
from image_gateway.models.openai import OpenAIModel

SECONDS = 8.0
"""How long an engine may take to list its models."""

_SHOWN = 200


class ModelList:
    """Asks engines for their models.

    Args:
        configs: the configuration of the deployment.
        engine: makes an engine.
        seconds: how long one may take.
    """

    def __init__(self, configs: ConfigStore, engine: EngineFactory, seconds: float = SECONDS) -> None:
        self._configs = configs
        self._engine = engine
        self._seconds = seconds

    async def all(self, principal: Principal) -> tuple[list[OpenAIModel], list[str]]:
        """All models that a caller may use, and a warning for each engine of theirs that does not answer.

        Raises:
            GatewayError: none answers; the first one's error. `NotConfigured` where there is none.
        """
        config = (await self._configs.read()).config
        servers = list(_servers(config)) or [(configured_engine(config, edit=False), False)]
        # The others are neither asked for this caller nor spoken of.
        servers = [server for server in servers if principal.engines is None or server[0] in principal.engines]
        answers = await asyncio.gather(*(self._ask(config, *server) for server in servers), return_exceptions=True)
        listed: dict[str, OpenAIModel] = {}
        failed: list[GatewayError] = []
        warnings: list[str] = []
        for (engine, edit), answer in zip(servers, answers, strict=True):
            if isinstance(answer, GatewayError):
                failed.append(answer)
                warnings.append(f"models of {engine} are missing: {answer.detail}")
            elif isinstance(answer, BaseException):
                raise answer
            else:
                for model in _listed(config, engine, answer, principal, edit=edit):
                    listed.setdefault(model.id, model)
        if failed and len(failed) == len(servers):
            raise failed[0]
        return list(listed.values()), warnings

    async def one(self, name: str, principal: Principal) -> OpenAIModel:
        """The model of that name; only its own engine is asked.

        Raises:
            NotFound: the engine has none of that name, or the caller may not use it.
            GatewayError: the engine does not answer.
        """
        config = (await self._configs.read()).config
        choices = {edit: choose_engine(config, name, edit=edit, allow_engine_prefix=True) for edit in (False, True)}
        for edit, choice in choices.items():
            # For edits another server may be set, and for one of the two there may be none.
            if server_url(config, choice.engine, edit=edit) is None or not _may_use(principal, choice):
                continue
            if any(model.id == choice.model for model in await self._ask(config, choice.engine, edit)):
                return OpenAIModel(id=name, owned_by=choice.engine)
        raise NotFound(f"There is no model {name[:_SHOWN]!r}: GET /v1/models lists them", field="model")

    async def _ask(self, config: ImagesConfig, engine: str, edit: bool) -> list[ModelInfo]:
        try:
            async with asyncio.timeout(self._seconds):
                return await self._engine(engine, config, edit=edit).models()
        except TimeoutError:
            raise EngineTimeout(f"{engine} did not list its models within {self._seconds:g} s") from None


def _servers(config: ImagesConfig) -> Iterator[tuple[str, bool]]:
    """Each server that is configured, once: its engine, and whether it is one for edits only."""
    for engine in REGISTRY:
        generating, editing = (server_url(config, engine, edit=edit) for edit in (False, True))
        if generating:
            yield engine, False
        if editing and editing != generating:
            yield engine, True


def _listed(
    config: ImagesConfig, engine: str, models: list[ModelInfo], principal: Principal, *, edit: bool
) -> Iterator[OpenAIModel]:
    for model in models:
        if not _may_use(principal, EngineChoice(engine, model.id)):
            continue
        yield OpenAIModel(id=f"{engine}/{model.id}", owned_by=engine)
        bare = choose_engine(config, model.id, edit=edit, allow_engine_prefix=True)
        if (bare.engine, bare.model) == (engine, model.id):
            yield OpenAIModel(id=model.id, owned_by=engine)


def _may_use(principal: Principal, choice: EngineChoice) -> bool:
    try:
        principal.require(choice.engine, choice.model)
    except Forbidden:
        return False
    return True
