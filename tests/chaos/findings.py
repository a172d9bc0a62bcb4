"""Reads from embedded AWS what a run has left: jobs, images, events, results, locks and messages."""

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from moto.backends import get_backend

from image_gateway.jobs.job_item import parse_item
from image_gateway.metering.limit_item import LimitItem
from image_gateway.metering.usage import UsageCounts
from image_gateway.slots.occupancy import Occupancy
from sandbox.gateway import Sandbox
from sandbox.template import ACCOUNT, REGION
from tests.aws_clients import aws_client
from tests.chaos.invocations import Invocations
from tests.chaos.leases import Leases
from tests.chaos.load import Load
from tests.chaos.meter import Meter, digest
from tests.chaos.money import PRICES, Money
from tests.chaos.outcome import Findings
from tests.chaos.requests import RequestSource

QUEUES = ("JobQueue", "DeadLetters")


def messages(sandbox: Sandbox) -> list[Any]:
    """Return all messages of the gateway's queues as moto has them: visible, invisible or delayed."""
    queues = get_backend("sqs")[ACCOUNT][REGION].queues
    return [message for name in QUEUES for message in queues[sandbox.template.values[f"{name}.QueueName"]]._messages]


def items(sandbox: Sandbox, prefix: str) -> list[dict[str, Any]]:
    """Return the items of the table whose key begins with a prefix."""
    pages = aws_client("dynamodb").get_paginator("scan").paginate(TableName=sandbox.settings.table)
    return [item for page in pages for item in page["Items"] if item["pk"]["S"].startswith(prefix)]


def held(sandbox: Sandbox) -> list[str]:
    """Return the locks and the slots that are held: whose leases have not expired."""
    now = time.time()
    locks = [str(item) for item in items(sandbox, "lock#") if float(item["expires_at"]["N"]) > now]
    holders = [holder for item in items(sandbox, "slots#") for holder in Occupancy.parse(item).holders]
    return locks + [str(holder) for holder in holders if not holder.is_expired(now)]


async def findings(
    sandbox: Sandbox,
    meter: Meter,
    source: RequestSource,
    load: Load,
    leases: Leases,
    invocations: Invocations,
    money: Money,
) -> Findings:
    """Return what is known at the end of a run."""
    about_jobs = [event for event in await sandbox.events() if event["detail-type"] != "Image Budget Used"]
    events = [event["detail"] for event in about_jobs]
    return await asyncio.to_thread(
        lambda: Findings(
            paid=meter.images(),
            sent=source.sent,
            jobs=[parse_item(item) for item in items(sandbox, "job#")],
            stored={key: digest(data) for key, data in _objects(sandbox, "images/")},
            events=events,
            interrupted=leases.interrupted,
            canceled=load.canceled,
            files=load.files,
            results=[json.loads(data) for _, data in _objects(sandbox, "results/")],
            kept=[data.decode() for _, data in _objects(sandbox, "dead-letters/")],
            held=held(sandbox),
            queued=[message.body[:300] for message in messages(sandbox)],
            failures=invocations.failures,
            prices=PRICES,
            limits={item["pk"]["S"].partition("#")[2]: LimitItem.parse(item) for item in items(sandbox, "limits#")},
            highest=money.highest,
            overspent=money.overspent,
            usage=_usage(sandbox),
        )
    )


def _usage(sandbox: Sandbox) -> UsageCounts:
    """Return all usage, without the items that count that of end users a second time."""
    total = UsageCounts()
    pages = aws_client("dynamodb").get_paginator("scan").paginate(TableName=sandbox.settings.usage_table)
    for item in (item for page in pages for item in page["Items"] if item["pk"]["S"].startswith("usage#")):
        total.add(UsageCounts(**{each.name: int(item.get(each.name, {"N": "0"})["N"]) for each in fields(UsageCounts)}))
    return total


def _objects(sandbox: Sandbox, prefix: str) -> Iterator[tuple[str, bytes]]:
    """Yield the keys and contents of the bucket's objects whose keys begin with a prefix."""
    s3, bucket = aws_client("s3"), sandbox.settings.bucket
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", ()):
            yield item["Key"], s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
