"""Completion events: one EventBridge event for each job that ends, without URL, prompt or secret."""

import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from image_gateway.aws import Aws, AwsError
from image_gateway.models.jobs import Job
from image_gateway.models.money import format_usd
from image_gateway.routing.destination import connection_of
from image_gateway.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

logger = logging.getLogger(__name__)

SOURCE = "image-gateway"


class JobEvents:
    """Publishes `Image Job Succeeded`, `Image Job Failed` and `Image Job Canceled`, and events about budgets.

    Args:
        aws: EventBridge.
        settings: names the bus and the bucket.
    """

    def __init__(self, aws: Aws, settings: Settings) -> None:
        self._aws = aws
        self._bus = settings.event_bus
        self._bucket = settings.bucket

    @property
    def enabled(self) -> bool:
        """Whether the deployment has a bus."""
        return bool(self._bus)

    async def publish_completion(self, job: Job) -> bool:
        """Publish that a job has ended. A failure is logged, and does not change the job.

        Returns:
            False if EventBridge did not accept the event; True if it did, or if the deployment has no bus.
        """
        return await self.publish(f"Image Job {job.status.capitalize()}", _detail(job, self._bucket), job_id=job.id)

    async def publish(self, detail_type: str, detail: Mapping[str, Any], **about: str) -> bool:
        """Publish an event. A failure is logged.

        Args:
            detail_type: the kind of event.
            detail: its content.
            about: what the log line of a failure says.

        Returns:
            False if EventBridge did not accept the event; True if it did, or if the deployment has no bus.
        """
        if not self._bus:
            return True
        entry: PutEventsRequestEntryTypeDef = {
            "Source": SOURCE,
            "DetailType": detail_type,
            "Detail": json.dumps(detail),
            "EventBusName": self._bus,
        }
        try:
            response = await self._aws.call("events", "PutEvents", Entries=[entry])
            error_code = response["Entries"][0].get("ErrorCode") if response["FailedEntryCount"] else None
        except AwsError as error:
            error_code = error.code
        if error_code:
            logger.error("an event was not published", extra={**about, "event": detail_type, "error": error_code})
        return not error_code


def _detail(job: Job, bucket: str) -> dict[str, Any]:
    # An error's detail contains the engine's error text, which may quote the prompt.
    included = {"id", "kind", "owner", "end_user", "channel", "status", "engine", "model", "route", "batch", "line"}
    fields = job.model_dump(mode="json", include=included) | {"connection": connection_of(job)}
    return {
        **{name: value for name, value in fields.items() if value not in (None, "")},
        "bucket": bucket,
        "keys": [image.key for image in job.images],
        "cost": job.cost.model_dump(mode="json") if job.cost else None,
        "uncertain_usd": format_usd(job.uncertain_usd) if job.uncertain_usd else None,
        "error": {"code": job.error.code, "status": job.error.status} if job.error else None,
    }
