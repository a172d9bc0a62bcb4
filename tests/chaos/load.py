"""Sends requests on all channels, and cancels some jobs, until it is stopped."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from functools import partial
from types import TracebackType
from typing import Any, Self

import httpx

from sandbox.client import ENGINES
from sandbox.gateway import Sandbox
from tests import web
from tests.aws_clients import aws_client
from tests.chaos.money import END_USERS, Money
from tests.chaos.requests import EDIT, RequestSource, Sent
from tests.chaos.routes import change_route, refuse_some

WAITING = {"images": 3, "openai": 2}
"""The channels that respond with the images, and how often each is chosen."""

NOT_WAITING = {"async": 3, "sqs": 2, "eventbridge": 2, "s3": 1}
"""The same for those that do not; `async` is the images API with `Prefer: respond-async`."""

_TIMEOUT_SECONDS = 90
_RETRIES = 4
_CANCEL_SECONDS = 1.5
_PHASE_SECONDS = 6.0
_PAUSE_SECONDS = 0.5
_SMALL_BUDGET = 0.25
"""The share of the requests by HTTP that are sent with the token that has a small budget."""


class Load:
    """Sends requests during an `async with` block; at its end it waits for their responses.

    Args:
        sandbox: a running sandbox.
        source: makes the requests.
        money: has the token with a small budget, which some requests are sent with, and changes that budget.
        clients: how many requests wait for their images at the same time. A third as many clients do not wait, so that
            there is work also while nothing is answered.

    Attributes:
        canceled: ids of the jobs whose cancellation was confirmed.
        files: keys of the request files in the bucket, with the markers of their lines.
    """

    def __init__(self, sandbox: Sandbox, source: RequestSource, money: Money, *, clients: int) -> None:
        self._sandbox = sandbox
        self._source = source
        self._money = money
        self._chance = source.chance
        self._clients = clients
        self._stopping = asyncio.Event()
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self._sqs, self._events, self._s3 = aws_client("sqs"), aws_client("events"), aws_client("s3")
        self.canceled: set[str] = set()
        self.files: dict[str, list[str]] = {}

    async def __aenter__(self) -> Self:
        """Start to send."""
        client = httpx.AsyncClient(
            verify=web.TLS, base_url=self._sandbox.url, timeout=_TIMEOUT_SECONDS, trust_env=False
        )
        self._client = await self._stack.enter_async_context(client)
        channels = [WAITING] * self._clients + [NOT_WAITING] * (self._clients // 3)
        actions: list[Callable[[], Awaitable[None]]] = [partial(self._send_one, names) for names in channels]
        actions += [self._cancel_one, self._configure]
        self._tasks = [asyncio.create_task(self._repeat(action)) for action in actions]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Send no more requests, and wait for the responses."""
        self._stopping.set()
        await asyncio.gather(*self._tasks)
        await self._stack.aclose()

    async def _repeat(self, action: Callable[[], Awaitable[None]]) -> None:
        while not self._stopping.is_set():
            await action()

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass

    async def _send_one(self, channels: Mapping[str, int]) -> None:
        (channel,) = self._chance.choices(list(channels), list(channels.values()))
        send = {
            "images": self._by_images_api,
            "async": self._by_images_api,
            "openai": self._by_openai_api,
            "sqs": self._by_queue,
            "eventbridge": self._by_event,
            "s3": self._by_file,
        }[channel]
        await send(channel)
        await self._pause(self._chance.uniform(0, 2 * _PAUSE_SECONDS))

    async def _by_images_api(self, channel: str) -> None:
        request = self._source.new(channel)
        path = "edit" if request.kind == EDIT else "generations"
        headers = {"Prefer": "respond-async"} if channel == "async" else {}
        await self._post(request, f"/api/v1/images/{path}", headers, json=self._source.form(request))

    async def _by_openai_api(self, channel: str) -> None:
        request = self._source.new(channel)
        fields = {"prompt": f"{request.marker} a hen", "size": "64x64", "model": self._source.model()}
        if request.kind == EDIT:
            files = {"image": ("photo.png", self._source.photo(), "image/png")}
            await self._post(request, "/v1/images/edits", {}, data={**fields, "n": str(request.n)}, files=files)
        else:
            await self._post(request, "/v1/images/generations", {}, json={**fields, "n": request.n})

    async def _post(self, request: Sent, path: str, headers: dict[str, str], **body: Any) -> None:
        """Send a request; in half of the cases with a key, with which it is sent again if it fails."""
        tries = 1
        if self._chance.random() < 0.5:
            headers = {**headers, "Idempotency-Key": request.marker}
            tries = _RETRIES
        token = self._sandbox.user_token
        if self._chance.random() < _SMALL_BUDGET:
            token = self._money.token
            headers = {**headers, "X-OpenWebUI-User-Id": f"user-{self._chance.randrange(END_USERS)}"}
        headers = {**headers, "Authorization": f"Bearer {token}"}
        for _ in range(tries):
            response = await self._request("POST", path, headers=headers, **body)
            if response.status_code < 400:
                self._note(request, response)
            if response.status_code < 500:
                return
            await self._pause(1)

    async def _request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send a request. A connection that was closed is answered like a gateway that is unavailable."""
        try:
            return await self._client.request(method, path, **options)
        except httpx.TransportError:
            return httpx.Response(503)

    def _note(self, request: Sent, response: httpx.Response) -> None:
        request.accepted = True
        request.delivered = response.status_code == 200
        if response.status_code in (202, 303) and "/jobs/" in response.headers["location"]:
            request.job_id = response.headers["location"].partition("jobs/")[2].partition("/")[0].partition("?")[0]

    async def _by_queue(self, channel: str) -> None:
        request = self._source.new(channel)
        await asyncio.to_thread(
            self._sqs.send_message,
            QueueUrl=self._sandbox.template.values["JobQueue"],
            MessageBody=self._source.envelope(request),
        )
        request.accepted = True

    async def _by_event(self, channel: str) -> None:
        request = self._source.new(channel)
        entry = {
            "Source": "shop",
            "DetailType": f"Image {request.kind.capitalize()} Requested",
            "Detail": json.dumps({"request": self._source.form(request)}),
            "EventBusName": self._sandbox.template.values["EventBusName"],
        }
        await asyncio.to_thread(self._events.put_events, Entries=[entry])  # type: ignore[list-item]  # literals
        request.accepted = True

    async def _by_file(self, channel: str) -> None:
        requests = [self._source.new(channel) for _ in range(self._chance.randint(2, 5))]
        key = f"requests/{requests[0].marker}.jsonl"
        body = "\n".join(map(self._source.envelope, requests)).encode()
        self.files[key] = [request.marker for request in requests]
        await asyncio.to_thread(self._s3.put_object, Bucket=self._sandbox.settings.bucket, Key=key, Body=body)
        for request in requests:
            request.accepted = True

    async def _cancel_one(self) -> None:
        """Cancel one of the jobs that have not ended."""
        await self._pause(self._chance.uniform(0.5, 1.5) * _CANCEL_SECONDS)
        headers = {"Authorization": f"Bearer {self._sandbox.admin_token}"}
        response = await self._request("GET", "/api/v1/images/jobs?limit=40", headers=headers)
        if response.status_code != 200:
            return
        waiting = [job["id"] for job in response.json()["jobs"] if job["status"] in ("queued", "running")]
        if waiting:
            job_id = self._chance.choice(waiting)
            response = await self._request("DELETE", f"/api/v1/images/jobs/{job_id}", headers=headers)
            self.canceled |= {job_id} if response.status_code == 200 else set()

    async def _configure(self) -> None:
        """Use other engines, with a timeout that lets their jobs run inline or in the worker, other routes and budgets.

        One of the engines refuses some requests.
        """
        generation, edit = (self._chance.choice(self._source.engines) for _ in range(2))
        fields = {
            "IMAGE_GENERATION_ENGINE": generation,
            "IMAGE_GENERATION_MODEL": ENGINES[generation],
            "IMAGE_EDIT_ENGINE": edit,
            "IMAGE_EDIT_MODEL": ENGINES[edit],
            "IMAGE_ENGINE_TIMEOUT": self._chance.choice((10, 20, 60)),
        }
        headers = {"Authorization": f"Bearer {self._sandbox.admin_token}"}
        await self._request("POST", "/api/v1/images/config/update", json=fields, headers=headers)
        refusing = self._chance.choice(self._source.engines)
        refuse_some(self._sandbox.engines[refusing], refusing, self._chance)
        with suppress(httpx.TransportError):
            await change_route(self._sandbox, self._chance, self._source.engines)
            await self._money.change()
        await self._pause(_PHASE_SECONDS)
