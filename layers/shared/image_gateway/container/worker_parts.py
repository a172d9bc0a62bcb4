"""What only the worker's two functions need: they run queued jobs, accept request files, and fail what was given up."""

from functools import cached_property
from typing import TYPE_CHECKING

from image_gateway.batches.ingestion import RequestFileIngester
from image_gateway.batches.store import BatchStore
from image_gateway.batches.tracking import BatchTracker
from image_gateway.jobs.input_loading import JobInputs
from image_gateway.worker.completion import JobCompletion

if TYPE_CHECKING:
    from image_gateway.container.gateway import Gateway
    from image_gateway.worker.dispatch import Dispatcher
    from image_gateway.worker.worker import Worker


class WorkerParts:
    """The parts of the worker. The function for dead letters does without those that are imported when they are used.

    Args:
        gateway: the other parts of the deployment.
    """

    def __init__(self, gateway: "Gateway") -> None:
        self._gateway = gateway

    @cached_property
    def worker(self) -> "Worker":
        """Processes queued jobs."""
        from image_gateway.jobs.engine_cancellation import EngineCanceler
        from image_gateway.slots.process import ProcessSlots
        from image_gateway.worker.attempt_runner import AttemptRunner
        from image_gateway.worker.cancel_watch import CancelWatch
        from image_gateway.worker.slots import Slots
        from image_gateway.worker.worker import Worker

        gateway = self._gateway
        cancel_watch = CancelWatch(gateway.jobs, EngineCanceler(gateway.router, gateway.engines.at))
        server_slots = ProcessSlots(gateway.slots)
        return Worker(
            max_invocation_seconds=gateway.settings.function_timeout_seconds,
            jobs=gateway.jobs,
            queue=gateway.queue,
            router=gateway.router,
            rounds=gateway.rounds,
            attempts=AttemptRunner(self.job_inputs, gateway.executor, cancel_watch),
            completion=self.completion,
            slots=Slots(server_slots, gateway.settings.aws_lambda_function_memory_size, gateway.engines.at),
        )

    @cached_property
    def dispatcher(self) -> "Dispatcher":
        """Dispatches queue messages."""
        from image_gateway.worker.dispatch import Dispatcher
        from image_gateway.worker.recovery import Recovery

        gateway = self._gateway
        return Dispatcher(
            bucket=gateway.settings.bucket,
            jobs=gateway.jobs,
            inputs=self.job_inputs,
            ingester=self.ingester,
            recovery=Recovery(gateway.aws, gateway.settings, gateway.queue),
            worker=self.worker,
            queue=gateway.queue,
            announcements=gateway.announcements,
        )

    @cached_property
    def completion(self) -> JobCompletion:
        """Completes queued jobs."""
        gateway = self._gateway
        return JobCompletion(gateway.jobs, gateway.announcements, self.batch_tracker, gateway.images)

    @cached_property
    def ingester(self) -> RequestFileIngester:
        """Creates the jobs of request files."""
        gateway = self._gateway
        return RequestFileIngester(
            objects=gateway.objects,
            jobs=gateway.jobs,
            inputs=self.job_inputs,
            batches=self.batch_tracker,
            progress=self.batch_store,
            queue=gateway.queue,
            announcements=gateway.announcements,
        )

    @cached_property
    def job_inputs(self) -> JobInputs:
        """Stores and loads the forms and input images of jobs."""
        gateway = self._gateway
        return JobInputs(gateway.objects, gateway.images, gateway.inputs, gateway.router)

    @cached_property
    def batch_tracker(self) -> BatchTracker:
        """Records which jobs of request files have ended, and writes results."""
        gateway = self._gateway
        return BatchTracker(gateway.aws, gateway.settings, self.batch_store, gateway.objects)

    @cached_property
    def batch_store(self) -> BatchStore:
        """The progress of request files."""
        return BatchStore(self._gateway.aws, self._gateway.settings)
