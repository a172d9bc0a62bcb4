"""One run: a gateway under load whose processes are killed and whose AWS fails, and then the ledger."""

import asyncio
import json
import os
import random
import time
import uuid
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import IO, Any

from sandbox.gateway import Sandbox
from tests.aws_clients import aws_client
from tests.chaos.faults import SERVICES, FaultPlan
from tests.chaos.findings import findings, held, messages
from tests.chaos.invocations import Invocations
from tests.chaos.kills import FUNCTIONS, Killer
from tests.chaos.leases import Leases
from tests.chaos.ledger import Ledger
from tests.chaos.load import Load
from tests.chaos.meter import Meter
from tests.chaos.money import Money
from tests.chaos.proxy import FaultProxy
from tests.chaos.requests import RequestSource
from tests.chaos.routes import store_routes
from tests.chaos.senders import process_of

_ALL_FUNCTIONS = (*FUNCTIONS, "ConfigFunction", "JobsFunction", "DeadLetterFunction")
_DRAIN_SECONDS = 150.0
_POLL_SECONDS = 0.1
_RECOVERY_RUNS = 2


@dataclass(frozen=True)
class Options:
    """What a run does.

    Attributes:
        seed: decides about requests, kills and failures. When they happen also depends on the computer, so that two
            runs with one seed are similar and not the same.
        kills: how many processes are killed.
        outage: how long each service is away, in seconds.
        services: the services that have an outage.
        between: seconds between two outages.
        share: the share of requests to AWS at which a row of failures begins.
        conflicts: the share of writes to DynamoDB that are refused because of a conflict with a transaction.
        clients: how many requests are sent at the same time.
        seconds: the longest time for kills and outages; after it, the run continues with those that were possible.
        engines: the engines that are used.
        latency: seconds that an engine takes for a request.
    """

    seed: int
    kills: int = 200
    outage: float = 14.0
    services: tuple[str, ...] = SERVICES
    between: float = 12.0
    share: float = 0.03
    conflicts: float = 0.05
    clients: int = 10
    seconds: float = 420.0
    engines: tuple[str, ...] = ("openai", "gemini", "comfyui", "automatic1111")
    latency: float = 0.4


@dataclass(frozen=True)
class Result:
    """The ledger of a run, and the line that sums it up."""

    ledger: Ledger
    line: str


class Run:
    """A run with these options. The functions write their logs to `log`; `report` gets a line now and then."""

    def __init__(self, options: Options, log: IO[bytes] | int, report: Callable[[str], None]) -> None:
        self._options = options
        self._log = log
        self._report = report
        self._stack = AsyncExitStack()

    async def run(self) -> Result:
        """Start everything, let the chaos happen, and account for it."""
        async with self._stack:
            await self._start()
            async with self._load:
                await self._chaos()
            await self._drain()
            found = await findings(
                self._sandbox, self._meter, self._source, self._load, self._leases, self._invocations, self._money
            )
        ledger = Ledger(found)
        line = (
            f"chaos: seed {self._options.seed}, {len(found.jobs)} jobs, {self._killer.kills} kills, "
            f"{self._plan.failures} failures, {len(self._plan.outages)} outages: {ledger.summary()}"
        )
        return Result(ledger, line)

    def _random(self, purpose: str) -> random.Random:
        """Return random numbers that do not depend on how many are used for other purposes."""
        return random.Random(f"{self._options.seed} {purpose}")

    async def _start(self) -> None:
        options = self._options
        self._meter = Meter()
        self._plan = FaultPlan(self._random("faults"), 0.0)
        proxy = FaultProxy(self._plan, self._sender, lambda: os.environ["AWS_ENDPOINT_URL"])
        await self._stack.enter_async_context(proxy)
        self._sandbox = Sandbox(
            log=self._log,
            variables={"AWS_ENDPOINT_URL": proxy.url, "AWS_TIME_LIMIT_FACTOR": "1"},
            wrap_engine=self._meter.wrap,
            parameters={"WorkerMaximumConcurrency": "3"},
        )
        await self._stack.enter_async_context(self._sandbox)
        for engine in self._sandbox.engines.values():
            engine.knobs.latency = options.latency
        await store_routes(self._sandbox, self._random("routes"), options.engines, self._sandbox.engine_urls["comfyui"])
        self._leases = Leases(self._sandbox.settings.table, self._busy)
        proxy.before.append(self._leases.observe)
        self._invocations = Invocations(self._sandbox, proxy, self._leases)
        self._killer = Killer(self._sandbox.functions, proxy, self._random("kills"))
        self._source = RequestSource(self._random("requests"), options.engines)
        self._money = Money(self._sandbox, self._random("money"), self._sandbox.settings.table)
        await self._money.start()
        self._load = Load(self._sandbox, self._source, self._money, clients=options.clients)

    def _busy(self) -> list[int]:
        return [pid for name in _ALL_FUNCTIONS for pid in self._sandbox.functions.busy_pids(name)]

    def _sender(self, port: int) -> int:
        return process_of(port, self._busy())

    async def _chaos(self) -> None:
        """Kill processes, and let requests and services fail, until all of that was done or the time is over."""
        self._plan.share, self._plan.conflicts = self._options.share, self._options.conflicts
        reporting = asyncio.create_task(self._report_progress())
        try:
            async with asyncio.timeout(self._options.seconds):
                await asyncio.gather(self._killer.run(self._options.kills), self._outages())
        except TimeoutError:
            self._report("the time is over")
        finally:
            reporting.cancel()
            self._plan.share = self._plan.conflicts = 0.0

    async def _outages(self) -> None:
        """Let each service be away for a while. Fewer processes are killed then, so that some live through it."""
        services = list(self._options.services)
        self._random("outages").shuffle(services)
        for service in services:
            await asyncio.sleep(self._options.between)
            with self._plan.outage(service):
                self._report(f"outage of {service}: {self._plan.outages[-1][1].value}")
                self._killer.pace = 5.0
                await asyncio.sleep(self._options.outage)
            self._killer.pace = 1.0

    async def _report_progress(self) -> None:
        while True:
            await asyncio.sleep(20)
            self._report(
                f"{self._killer.kills} kills, {self._plan.failures} failures, {len(self._source.sent)} requests"
            )

    async def _drain(self) -> None:
        """Let everything end: expire leases, deliver delayed messages, and run the recovery as it runs every hour."""
        deadline = time.monotonic() + _DRAIN_SECONDS
        recoveries = 0
        while time.monotonic() < deadline:
            await asyncio.sleep(_POLL_SECONDS)
            if not self._invocations.idle:
                continue
            await self._invocations.expire_leases()
            waiting = messages(self._sandbox)
            for message in waiting:
                message.delayed_until = 0.0
            if not waiting and self._invocations.idle:
                if recoveries < _RECOVERY_RUNS:
                    recoveries += 1
                    await asyncio.to_thread(self._send_recovery)
                # What could not be released is free after its lease.
                elif not await asyncio.to_thread(held, self._sandbox):
                    return
        self._report("not everything ended in time")

    def _send_recovery(self) -> None:
        """Send the hourly event, with a time for which the jobs of this run are old enough."""
        event: dict[str, Any] = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "time": (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "detail": {},
        }
        url = self._sandbox.template.values["JobQueue"]
        aws_client("sqs").send_message(QueueUrl=url, MessageBody=json.dumps(event))
