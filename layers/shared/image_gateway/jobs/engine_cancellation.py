"""Cancellation, at an engine, of what a canceled job runs there."""

import asyncio
import logging

from image_gateway.engines import REGISTRY
from image_gateway.engines.protocol import Cancelable
from image_gateway.errors import GatewayError
from image_gateway.jobs.engine_factory import EngineFactory
from image_gateway.models.jobs import Job
from image_gateway.routing.router import Router

logger = logging.getLogger(__name__)

CANCEL_TIMEOUT_SECONDS = 10.0
"""How long an engine may take to stop a run."""


class EngineCanceler:
    """Stops the runs of canceled jobs.

    Args:
        router: knows where the jobs run.
        engine: creates an engine.
        timeout_seconds: how long an engine may take to stop a run.
    """

    def __init__(
        self, router: Router, engine: EngineFactory, *, timeout_seconds: float = CANCEL_TIMEOUT_SECONDS
    ) -> None:
        self._router = router
        self._engine = engine
        self._timeout_seconds = timeout_seconds

    async def cancel(self, job: Job) -> None:
        """Stop a job's run, on an engine that can tell it from other runs. A failure is logged."""
        if job.engine not in REGISTRY:
            return
        try:
            engine = self._engine(await self._router.of_run(job, lambda: self._timeout_seconds))
            if isinstance(engine, Cancelable):
                async with asyncio.timeout(self._timeout_seconds):
                    await engine.cancel(job.id)
        except (GatewayError, TimeoutError) as error:
            code = error.code if isinstance(error, GatewayError) else "timeout"
            logger.warning(
                "a canceled job was not stopped at its engine",
                extra={"job_id": job.id, "engine": job.engine, "code": code},
            )
