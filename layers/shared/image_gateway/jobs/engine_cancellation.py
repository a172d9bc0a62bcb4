"""Cancellation, at an engine, of what a canceled job runs there."""

import asyncio
import logging

from image_gateway.config.store import ConfigStore
from image_gateway.engines import REGISTRY
from image_gateway.engines.protocol import Cancelable
from image_gateway.errors import GatewayError
from image_gateway.jobs.engine_factory import EngineFactory
from image_gateway.models.jobs import Job

logger = logging.getLogger(__name__)

CANCEL_TIMEOUT_SECONDS = 10.0
"""How long an engine may take to stop a run."""


class EngineCanceler:
    """Stops the runs of canceled jobs.

    Args:
        configs: the configuration of the deployment.
        engine: creates an engine.
        timeout_seconds: how long an engine may take to stop a run.
    """

    def __init__(
        self, configs: ConfigStore, engine: EngineFactory, *, timeout_seconds: float = CANCEL_TIMEOUT_SECONDS
    ) -> None:
        self._configs = configs
        self._engine = engine
        self._timeout_seconds = timeout_seconds

    async def cancel(self, job: Job) -> None:
        """Stop a job's run, on an engine that can tell it from other runs. A failure is logged."""
        if job.engine not in REGISTRY:
            return
        try:
            config = (await self._configs.read(lambda: self._timeout_seconds)).config
            engine = self._engine(job.engine, config, edit=job.kind == "edit")
            if isinstance(engine, Cancelable):
                async with asyncio.timeout(self._timeout_seconds):
                    await engine.cancel(job.id)
        except (GatewayError, TimeoutError) as error:
            code = error.code if isinstance(error, GatewayError) else "timeout"
            logger.warning(
                "a canceled job was not stopped at its engine",
                extra={"job_id": job.id, "engine": job.engine, "code": code},
            )
