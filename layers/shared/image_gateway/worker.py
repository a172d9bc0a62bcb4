"""Does queued jobs, one message each, as many at once as a batch holds.

What happens to a job whose last holder died (its lease ran out): on an engine that finds its own run again it is taken
up once more; on any other it fails as `interrupted`, because the engine may have been paid and must not be paid twice.
"""

import asyncio
import logging
import random
import uuid
from collections.abc import Callable
from contextlib import AsyncExitStack

from image_gateway.config_store import ConfigStore
from image_gateway.engines import REGISTRY
from image_gateway.engines.base import InputImage
from image_gateway.errors import Busy, GatewayError, Interrupted
from image_gateway.image_store import ImageStore
from image_gateway.imagetype import sniff
from image_gateway.job_events import JobEvents
from image_gateway.job_runner import attempt, fail
from image_gateway.job_store import JobStore
from image_gateway.locks import Locks
from image_gateway.models.config import ImagesConfig
from image_gateway.models.forms import CreateImageForm, EditImageForm
from image_gateway.models.jobs import Job
from image_gateway.queue import LONGEST_DELAY, JobQueue
from image_gateway.service import ImageService

logger = logging.getLogger(__name__)

ATTEMPTS = 5
"""How often a job is tried whose engine is away or asks to slow down."""
MARGIN_SECONDS = 15.0
"""What a job needs beyond its engine's timeout: to store its pictures and its end."""
_FIRST_DELAY = 2.0
_PLACE_DELAY = 5.0
_PLACE_PATIENCE = 20.0


class Worker:
    """Takes jobs up, does them, and ends them or puts them back.

    Args:
        jobs: where jobs are kept.
        queue: where those go that must wait.
        configs: the configuration of the deployment.
        images: their inputs.
        service: what does them.
        events: who is told of their end.
        locks: places on engines that do few things at once.
    """

    def __init__(
        self,
        *,
        jobs: JobStore,
        queue: JobQueue,
        configs: ConfigStore,
        images: ImageStore,
        service: ImageService,
        events: JobEvents,
        locks: Locks,
    ) -> None:
        self._jobs = jobs
        self._queue = queue
        self._configs = configs
        self._images = images
        self._service = service
        self._events = events
        self._locks = locks

    async def process(self, job_id: str, remaining: Callable[[], float]) -> bool:
        """Do what there is to do for one message.

        Args:
            job_id: the job it names.
            remaining: seconds that the invocation has left.

        Returns:
            True when the message is done with; False when it must come back, since another holds the job right now.

        Raises:
            StorageUnavailable: the table, the bucket or the queue does not answer; the message must come back.
        """
        job = await self._jobs.get(job_id)
        if job is None or job.ended:
            return True
        config = (await self._configs.read()).config
        name = config.IMAGE_EDIT_ENGINE if job.kind == "edit" else config.IMAGE_GENERATION_ENGINE
        needed = config.IMAGE_ENGINE_TIMEOUT + MARGIN_SECONDS
        if remaining() < needed:
            await self._queue.send(job_id)
            return True
        async with AsyncExitStack() as held:
            try:
                await self._take_place(held, name, config, min(_PLACE_PATIENCE, remaining() - needed))
            except Busy:
                await self._queue.send(job_id, delay_seconds=_PLACE_DELAY)
                return True
            return await self._do(job_id, name, needed)

    async def _take_place(self, held: AsyncExitStack, name: str, config: ImagesConfig, patience: float) -> None:
        entry = REGISTRY[name]
        if entry.at_once is None:
            return
        place = f"engine#{name}#{getattr(config, entry.url_field)}"
        lease = config.IMAGE_ENGINE_TIMEOUT + MARGIN_SECONDS
        await held.enter_async_context(
            self._locks.hold(place, places=entry.at_once, lease_seconds=lease, patience_seconds=patience)
        )

    async def _do(self, job_id: str, name: str, lease_seconds: float) -> bool:
        holder = uuid.uuid4().hex
        lease = await self._jobs.lease(job_id, holder, lease_seconds, name)
        if lease is None:
            job = await self._jobs.get(job_id)
            return job is None or job.ended
        job = lease.job
        if lease.lost_on is not None and not (REGISTRY[lease.lost_on].resumes and job.attempts <= ATTEMPTS):
            fail(job, Interrupted("The function ended while the engine was at work", may_have_cost=True))
        else:
            error = await self._attempt(job)
            if error is not None and _may_be_tried_again(error) and job.attempts < ATTEMPTS:
                return await self._put_back(job, holder, error)
        if await self._jobs.finish(job, holder):
            await self._events.ended(job)
        else:
            logger.warning("a job ended otherwise meanwhile", extra={"job_id": job.id, "outcome": job.status})
        return True

    async def _attempt(self, job: Job) -> GatewayError | None:
        form = (EditImageForm if job.kind == "edit" else CreateImageForm).model_validate(
            {**job.request, "image": job.inputs} if job.kind == "edit" else job.request
        )
        keys = [*job.inputs, *([job.mask] if job.mask else [])]
        inputs = await asyncio.gather(*(self._input(key) for key in keys))
        mask = inputs.pop() if job.mask else None
        return await attempt(self._service, job, form, inputs, mask)

    async def _input(self, key: str) -> InputImage:
        data = await self._images.get(key)
        kind = sniff(data)
        return InputImage(data, kind.content_type, kind.width or 0, kind.height or 0)

    async def _put_back(self, job: Job, holder: str, error: GatewayError) -> bool:
        job.status, job.error = "queued", None
        if await self._jobs.finish(job, holder):
            await self._queue.send(job.id, delay_seconds=_delay(job.attempts, error.retry_after))
        return True


def _may_be_tried_again(error: GatewayError) -> bool:
    """Whether nothing was paid for and the engine may be back later: refused connections, 429 and 503."""
    return error.code in ("engine_rate_limited", "engine_unavailable") and not error.may_have_cost


def _delay(attempts: int, retry_after: float | None) -> float:
    """Seconds before the next attempt: what the engine asks for, else twice as long every time, with some spread."""
    wait = retry_after if retry_after is not None else _FIRST_DELAY * 2**attempts
    return float(min(wait * random.uniform(1.0, 1.25), LONGEST_DELAY))
