"""A deployment whose worker is called as Lambda's poller calls it, and access to its queues in moto."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from moto.backends import get_backend

from functions.worker.app import make_handler
from functions.worker.dead_letters import make_handler as make_dead_letters
from image_gateway.container import Gateway
from image_gateway.event_loop import run
from image_gateway.models.jobs import Job
from sandbox.template import ACCOUNT, REGION
from tests.aws_clients import aws_client
from tests.integration.sqs_records import Record, event, record


@dataclass
class Context:
    """The context of a Lambda invocation of which `seconds` remain; `step_seconds` pass at every call."""

    seconds: float = 300.0
    step_seconds: float = 0.0

    def get_remaining_time_in_millis(self) -> int:
        remaining = self.seconds
        self.seconds -= self.step_seconds
        return int(remaining * 1000)


@dataclass
class QueuedMessage:
    """A message in a queue, with its delay in seconds and its message group."""

    record: Record
    delay: float
    attributes: dict[str, str]
    group: str | None

    @property
    def body(self) -> Any:
        return json.loads(self.record["body"])


@dataclass
class WorkerDeployment:
    """A deployment's worker, its queues, and the events that it has sent."""

    gateway: Gateway
    name: str

    def deliver(self, *records: Record, seconds: float = 300.0, step_seconds: float = 0.0) -> list[str]:
        """Deliver a batch to the worker; return the ids of the messages that are returned to the queue."""
        response = make_handler(lambda: self.gateway)({"Records": list(records)}, Context(seconds, step_seconds))
        return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]

    def dead_letter(self, *records: Record) -> list[str]:
        """Deliver a batch to the dead-letter function; return the ids of the messages that go back to the queue."""
        response = make_dead_letters(lambda: self.gateway)({"Records": list(records)}, Context())
        return [failure["itemIdentifier"] for failure in response["batchItemFailures"]]

    def drain(self, queue: str = "jobs") -> list[QueuedMessage]:
        """Remove and return all messages of a queue, delayed or not."""
        messages = get_backend("sqs")[ACCOUNT][REGION].queues[f"{self.name}-{queue}"]._messages
        found = [
            QueuedMessage(
                record(message.body, message.id),
                max(0.0, round((message.delayed_until - (message.sent_timestamp or 0.0)) / 1000)),
                {name: value["StringValue"] for name, value in message.message_attributes.items()},
                message.group_id,
            )
            for message in messages
        ]
        messages.clear()
        return found

    def process_queue(self, *, copies: int = 1, batch: int = 10) -> None:
        """Deliver what is queued, each message `copies` times, until nothing is left."""
        for _ in range(100):
            records = [queued.record for queued in self.drain() for _ in range(copies)]
            if not records:
                return
            for first in range(0, len(records), batch):
                self.deliver(*records[first : first + batch])
        raise AssertionError("the queue does not become empty")

    def job(self, job_id: str) -> Job:
        """Return a job, which must exist."""
        found = run(self.gateway.jobs.get(job_id))
        assert found
        return found

    def jobs(self) -> list[Job]:
        """Return all jobs, newest first."""
        return run(self.gateway.jobs.page(owner=None, limit=1000))[0]

    def reported(self) -> list[Any]:
        """Return type and detail of the events that were sent since the last call."""
        return [(queued.body["detail-type"], queued.body["detail"]) for queued in self.drain("reported")]

    def upload(self, key: str, data: bytes | Sequence[Any]) -> Record:
        """Put a request file into the bucket; return S3's event of it as EventBridge sends it."""
        if not isinstance(data, bytes):
            data = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in data).encode()
        bucket = self.gateway.settings.bucket
        put = aws_client("s3").put_object(Bucket=bucket, Key=key, Body=data)
        detail = {
            "version": "0",
            "bucket": {"name": bucket},
            "object": {
                "key": key,
                "size": len(data),
                "etag": put["ETag"].strip('"'),
                "sequencer": "00617F08299329D189",
            },
            "request-id": "N4N7GDK58NMKJ12R",
            "requester": ACCOUNT,
            "source-ip-address": "192.0.2.1",
            "reason": "PutObject",
        }
        return event(detail, "Object Created", "aws.s3", resources=[f"arn:aws:s3:::{bucket}"])

    def keys(self, prefix: str) -> list[str]:
        """Return the keys of the bucket that begin with `prefix`."""
        found = aws_client("s3").list_objects_v2(Bucket=self.gateway.settings.bucket, Prefix=prefix)
        return [item["Key"] for item in found.get("Contents", [])]

    def document(self, key: str) -> Any:
        """Return a JSON document of the bucket."""
        return run(self.gateway.objects.get_json(key))

    def results(self) -> Any:
        """Return the only document under `results/`."""
        (key,) = self.keys("results/")
        return self.document(key)


def deploy_worker(gateway: Gateway, **settings: Any) -> WorkerDeployment:
    """Give a deployment queues, and a bus whose events go to a queue."""
    name = gateway.settings.bucket
    sqs, events = aws_client("sqs"), aws_client("events")
    urls = {queue: sqs.create_queue(QueueName=f"{name}-{queue}")["QueueUrl"] for queue in ("jobs", "dead", "reported")}
    events.create_event_bus(Name=name)
    events.put_rule(Name=name, EventBusName=name, EventPattern='{"source": ["image-gateway"]}')
    target = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}-reported"
    events.put_targets(Rule=name, EventBusName=name, Targets=[{"Id": "reported", "Arn": target}])
    changes = {"queue_url": urls["jobs"], "dead_letter_queue_url": urls["dead"], "event_bus": name, **settings}
    return WorkerDeployment(Gateway(gateway.settings.model_copy(update=changes), gateway.aws), name)
