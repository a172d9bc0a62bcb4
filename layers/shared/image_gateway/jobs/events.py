"""What the rest of an account is told when a job ends: an EventBridge event without URL, prompt or secret."""

import json
import logging
from typing import TYPE_CHECKING

from image_gateway.aws import Aws, AwsError
from image_gateway.models.jobs import Job
from image_gateway.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

logger = logging.getLogger(__name__)

SOURCE = "image-gateway"


class JobEvents:
    """Publishes `Image Job Succeeded`, `Image Job Failed` and `Image Job Canceled`.

    Args:
        aws: EventBridge.
        settings: names the bus and the bucket.
    """

    def __init__(self, aws: Aws, settings: Settings) -> None:
        self._aws = aws
        self._bus = settings.event_bus
        self._bucket = settings.bucket

    async def publish_completion(self, job: Job) -> bool:
        """Tell that a job has ended. A bus that fails is logged: the job's end stands.

        Returns:
            False if the bus was not told.
        """
        if not self._bus:
            return True
        entry: PutEventsRequestEntryTypeDef = {
            "Source": SOURCE,
            "DetailType": f"Image Job {job.status.capitalize()}",
            "Detail": _detail(job, self._bucket),
            "EventBusName": self._bus,
        }
        try:
            answer = await self._aws.call("events", "PutEvents", Entries=[entry])
            refused = answer["Entries"][0].get("ErrorCode") if answer["FailedEntryCount"] else None
        except AwsError as error:
            refused = error.code
        if refused:
            logger.error("a job's end was not told", extra={"job_id": job.id, "error": refused})
        return not refused


def _detail(job: Job, bucket: str) -> str:
    # An error's detail holds the engine's words, which may quote the prompt.
    reported = job.model_dump(
        mode="json", include={"id", "kind", "owner", "channel", "status", "engine", "model", "batch", "line"}
    )
    return json.dumps(
        {
            **{name: value for name, value in reported.items() if value not in (None, "")},
            "bucket": bucket,
            "keys": [image.key for image in job.images],
            "error": {"code": job.error.code, "status": job.error.status} if job.error else None,
        }
    )
