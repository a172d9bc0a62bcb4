"""A deployed stack with all that the steps use: its addresses, its engine, its AWS."""

import asyncio
import base64
import io
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeVar

import boto3
import httpx
from PIL import Image

from image_gateway.aws import Aws
from image_gateway.container import Gateway
from image_gateway.settings import Settings
from sandbox.bus_listener import BusListener
from sandbox.client import GatewayClient
from sandbox.engines.state import Fault, SandboxState
from tests.deployment.statements import Decisions
from tests.deployment.step import body

T = TypeVar("T")

WAIT_SECONDS = 60.0
"""The deadline only keeps a defect from hanging the run."""
_PAUSE_SECONDS = 0.05
_RECEIVES_BEFORE_DEAD_LETTER = 5
"""`maxReceiveCount` of the job queue."""

FOX = {"prompt": "a red fox", "size": "1024x1024"}
"""A request that every engine accepts."""


def _large_images() -> Fault:
    """Return a response of an engine with two images of 2.4 MB, which no function can return as base64."""
    out = io.BytesIO()
    Image.frombytes("RGB", (900, 900), random.Random(1).randbytes(900 * 900 * 3)).save(out, "PNG")
    return Fault(status=200, body={"data": [{"b64_json": base64.b64encode(out.getvalue()).decode()}] * 2}, times=-1)


LARGE_IMAGES = _large_images()


class Deployment(GatewayClient):
    """A deployed stack, as its callers and its operator see it.

    Args:
        url: the base URL of its API.
        admin_token: the administrator's token.
        user_token: a user's token.
        outputs: the stack's outputs by name.
        resources: the stack's resources: physical ids by names in the template.
        engine: the state of the engine that it uses, a sandbox engine with OpenAI's API.
        engine_urls: the addresses of sandbox engines by their names.
        decisions: what IAM has decided.
    """

    def __init__(
        self,
        url: str,
        admin_token: str,
        user_token: str,
        *,
        outputs: Mapping[str, str],
        resources: Mapping[str, str],
        engine: SandboxState,
        engine_urls: Mapping[str, str],
        decisions: Decisions,
    ) -> None:
        super().__init__(url, admin_token, user_token)
        self.outputs = outputs
        self.engine = engine
        self.engine_urls = engine_urls
        self.bucket = outputs["BucketName"]
        self.queue = outputs["QueueUrl"]
        self.dead_letters = outputs["DeadLetterQueueUrl"]
        self.s3 = boto3.client("s3")
        self.sqs = boto3.client("sqs")
        self.events = boto3.client("events")
        self.ssm = boto3.client("ssm")
        self.lambda_service = boto3.client("lambda")
        self.announcements = BusListener("deployment-test-events", "default", "image-gateway")
        self._resources = resources
        self._decisions = decisions

    async def post(self, path: str, form: Mapping[str, Any], status: int = 200, **options: Any) -> Any:
        """Send a user's request with a JSON body; return the response's JSON."""
        return body(await self.request("POST", path, token=self.user_token, json=form, **options), status)

    async def get(self, path: str, status: int = 200, **options: Any) -> Any:
        """Read a path as the user; return the response's JSON."""
        return body(await self.request("GET", path, token=self.user_token, **options), status)

    async def ended(self, job_id: str, status: str = "succeeded") -> dict[str, Any]:
        """Wait until a job has ended, which must be with this status; return its document for the administrator."""

        async def job() -> dict[str, Any] | None:
            response = await self.request("GET", f"/api/v1/images/jobs/{job_id}")
            # A message of SQS or of the bus becomes a job some time after it was sent.
            if response.status_code == 404:
                return None
            document: dict[str, Any] = body(response)
            return document if document["status"] not in ("queued", "running") else None

        found = await self.until(job, f"job {job_id} ends")
        assert found["status"] == status, found
        return found

    async def until(self, check: Callable[[], Awaitable[T | None]], what: str) -> T:
        """Wait until `check` returns something true, and return that. A denied action ends the wait at once."""
        deadline = time.monotonic() + WAIT_SECONDS
        while not (found := await check()):
            self._decisions.raise_if_denied()
            assert time.monotonic() < deadline, f"it never happened that {what}"
            await asyncio.sleep(_PAUSE_SECONDS)
        return found

    async def until_event(self, job_id: str) -> dict[str, Any]:
        """Wait for the event about a job's end; return its detail."""

        async def announced() -> dict[str, Any] | None:
            details = [event["detail"] for event in self.announcements.events()]
            return next((detail for detail in details if detail.get("id") == job_id), None)

        return await self.until(announced, f"the end of job {job_id} is announced")

    async def until_object(self, prefix: str) -> dict[str, Any]:
        """Wait for an object under a prefix of the bucket; return its JSON."""

        async def key() -> str | None:
            objects = self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", [])
            return objects[0]["Key"] if objects else None

        return self.read_json(await self.until(key, f"there is an object {prefix}…"))

    def read_json(self, key: str) -> dict[str, Any]:
        """Return the JSON of an object of the bucket."""
        document: dict[str, Any] = json.loads(self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())
        return document

    def requests_of(self, prompt: str) -> int:
        """Return how many requests with this prompt the engine has received."""
        return sum((request.json or {}).get("prompt") == prompt for request in self.engine.record)

    @asynccontextmanager
    async def engine_with(self, *faults: Fault, latency: float = 0.0) -> AsyncIterator[None]:
        """Make the engine slow, or let it fail, during a block."""
        self.engine.knobs.faults, self.engine.knobs.latency = list(faults), latency
        try:
            yield
        finally:
            self.engine.knobs.faults, self.engine.knobs.latency = [], 0.0

    @asynccontextmanager
    async def settings(self, **fields: Any) -> AsyncIterator[None]:
        """Change the configuration during a block."""
        before = body(await self.request("GET", "/api/v1/images/config"))
        await self.configure(**fields)
        try:
            yield
        finally:
            await self.configure(**{name: before[name] for name in fields})

    @asynccontextmanager
    async def paused_worker(self) -> AsyncIterator[None]:
        """Disable the worker's event source mapping during a block: messages stay in the job queue."""
        self._enable_worker(enabled=False)
        try:
            yield
        finally:
            self._enable_worker(enabled=True)

    async def give_up_messages(self) -> None:
        """Receive the messages in the job queue as often as a failing worker would, so that SQS dead-letters them."""
        for _ in range(_RECEIVES_BEFORE_DEAD_LETTER + 1):
            self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10, VisibilityTimeout=0)

        async def moved() -> bool:
            names: list[Any] = ["ApproximateNumberOfMessages"]
            counts = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=names)
            return counts["Attributes"]["ApproximateNumberOfMessages"] == "0"

        await self.until(moved, "the job queue is empty")

    async def queue_file(self, name: str, requests: list[dict[str, Any]]) -> None:
        """Put a request file into the bucket while the worker is paused, and let the worker handle only the file.

        The worker is invoked as its mapping would invoke it, so the messages of the file's jobs stay in the queue.
        """
        lines = [json.dumps({"kind": "generation", "request": request}) for request in requests]
        self.s3.put_object(Bucket=self.bucket, Key=f"requests/{name}.jsonl", Body="\n".join(lines).encode())

        async def received() -> list[Any]:
            return list(self.sqs.receive_message(QueueUrl=self.queue, AttributeNames=["All"]).get("Messages", []))

        (message,) = await self.until(received, "the bucket announces the file")
        record = {
            "messageId": message["MessageId"],
            "body": message["Body"],
            "attributes": message["Attributes"],
            "messageAttributes": {},
        }
        done = await asyncio.to_thread(
            self.lambda_service.invoke,
            FunctionName=self._resources["WorkerFunction"],
            Payload=json.dumps({"Records": [record]}),
        )
        assert json.load(done["Payload"]) == {"batchItemFailures": []}
        self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])

    @asynccontextmanager
    async def stores(self) -> AsyncIterator[Gateway]:
        """Open the deployment's storage as the gateway's own code reads it, with the rights of the root user."""
        settings = Settings(
            config_parameter=self.outputs["ConfigParameterName"], bucket=self.bucket, table=self.outputs["TableName"]
        )
        async with aclosing(Aws()) as aws:
            yield Gateway(settings, aws)

    def _enable_worker(self, *, enabled: bool) -> None:
        self.lambda_service.update_event_source_mapping(UUID=self._resources["JobQueueMapping"], Enabled=enabled)


async def download(url: str) -> bytes:
    """Return what a presigned URL leads to."""
    async with httpx.AsyncClient(trust_env=False, timeout=60) as client:
        return (await client.get(url)).raise_for_status().content
