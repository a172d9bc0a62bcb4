"""Usage by day, against moto's server, and its reports."""

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from image_gateway.aws import Aws, Table
from image_gateway.metering.usage import UsageCounts, UsageKey, UsageTable
from image_gateway.metering.usage_report import grouped, to_csv
from image_gateway.models.usage import GroupBy, UsageRow
from image_gateway.settings import Settings
from tests.counting_aws import CountingAws

pytestmark = pytest.mark.anyio

DAY = date(2026, 11, 29)
ONE_IMAGE = UsageCounts(requests=1, images=1, micros=42_000)


@pytest.fixture
def counting_aws(aws: Aws) -> CountingAws:
    return CountingAws(aws)


@pytest.fixture
def usage(counting_aws: CountingAws, settings: Settings) -> UsageTable:
    return UsageTable(counting_aws, settings)


async def add(usage: UsageTable, settings: Settings, aws: Aws, key: UsageKey, counts: UsageCounts = ONE_IMAGE) -> None:
    """Add usage, as the settlement of a job does."""
    assert await Table(aws, settings.usage_table).transact(usage.writes(key, counts), "not added") == ()


async def report(
    usage: UsageTable, group_by: Iterable[GroupBy] = (), first: date = DAY, last: date = DAY, **options: Any
) -> list[dict[str, Any]]:
    """Return the rows of a report without what they are not grouped by."""
    end_users = "end_user" in (names := [*group_by])
    rows = await grouped(usage.read(first, last, end_users=end_users), names, **options)
    return [row.model_dump(mode="json", exclude_none=True) for row in rows]


async def test_usage_of_the_same_group_adds_up(usage: UsageTable, settings: Settings, aws: Aws) -> None:
    """Failures and uncertain amounts are counted beside what is certain."""
    key = UsageKey(DAY, "token:1", "openai", "gpt-image-2")
    await add(usage, settings, aws, key)
    await add(usage, settings, aws, key, UsageCounts(requests=1, failures=1, uncertain_micros=1))

    assert await report(usage) == [
        {"requests": 2, "images": 1, "failures": 1, "usd": "0.042000", "uncertain_usd": "0.000001"}
    ]


async def test_a_report_is_grouped_by_what_was_asked_for(usage: UsageTable, settings: Settings, aws: Aws) -> None:
    """In any combination; names may contain any character."""
    odd = "fal/flux #1 %23 / ünïcode"
    for owner, connection, model in (
        ("token:1", "openai", "m"),
        ("token:2", "openai", odd),
        ("event:s3", "gpu-1", "m"),
    ):
        await add(usage, settings, aws, UsageKey(DAY, owner, connection, model))
    await add(usage, settings, aws, UsageKey(date(2026, 11, 28), "token:1", "openai", "m"))

    by_token = await report(usage, ["token"])
    by_connection = await report(usage, ["connection", "model"])

    assert [(row["token"], row["images"]) for row in by_token] == [("1", 1), ("2", 1), ("event:s3", 1)]
    assert [(row["connection"], row["model"]) for row in by_connection] == [
        ("gpu-1", "m"),
        ("openai", odd),
        ("openai", "m"),
    ]


@pytest.mark.parametrize("letter", ["é", "\U0001f98a", "/", "x"])
async def test_long_names_fit_into_a_key(usage: UsageTable, settings: Settings, aws: Aws, letter: str) -> None:
    """A key of DynamoDB holds 1,024 bytes. Two names that begin alike stay apart; a short one is as it was."""
    for model in (letter * 256, letter * 255 + "2", letter):
        await add(usage, settings, aws, UsageKey(DAY, f"event:{letter * 250}", "c" * 63, model))

    rows = await report(usage, ["model"])

    assert [row["requests"] for row in rows] == [1, 1, 1]
    assert letter in {row["model"] for row in rows}
    assert all(row["model"].startswith(letter) for row in rows)


async def test_a_token_sees_its_own_usage(usage: UsageTable, settings: Settings, aws: Aws) -> None:
    """An owner whose name begins like its own is another one."""
    await add(usage, settings, aws, UsageKey(DAY, "token:1", "openai", "m"))
    await add(usage, settings, aws, UsageKey(DAY, "token:10", "openai", "m"))

    assert [row["requests"] for row in await report(usage, owner="token:1")] == [1]


async def test_a_range_of_days_includes_both_ends_and_crosses_months(
    usage: UsageTable, settings: Settings, aws: Aws, counting_aws: CountingAws
) -> None:
    """Each month is one query."""
    for day in (date(2026, 10, 30), date(2026, 10, 31), date(2026, 11, 1), date(2026, 11, 2)):
        await add(usage, settings, aws, UsageKey(day, "token:1", "openai", "m"))
    counting_aws.operations.clear()

    rows = await report(usage, ["day"], date(2026, 10, 31), date(2026, 11, 1))

    assert [row["day"] for row in rows] == ["2026-10-31", "2026-11-01"]
    assert counting_aws.calls == {"Query": 2}


async def test_usage_of_end_users_is_an_item_of_its_own(usage: UsageTable, settings: Settings, aws: Aws) -> None:
    """So that a report by connection does not count it twice, and an end user can be forgotten."""
    for end_user in ("a", "b", "b"):
        await add(usage, settings, aws, UsageKey(DAY, "token:1", "openai", "m", end_user=end_user))

    by_end_user = await report(usage, ["end_user"])
    deleted = await usage.forget_end_user("b", lambda: 1.0)

    assert [(row["end_user"], row["requests"]) for row in by_end_user] == [("a", 1), ("b", 2)]
    assert (deleted, [row["end_user"] for row in await report(usage, ["end_user"])]) == ((1, True), ["a"])
    assert [row["requests"] for row in await report(usage)] == [3]


async def test_the_usage_of_years_is_forgotten_by_several_calls(
    usage: UsageTable, settings: Settings, aws: Aws, counting_aws: CountingAws
) -> None:
    """Only the end user's own items are read. A call that has no time left says so, and the next one goes on."""
    for number in range(30):
        day = date(2025, 12, 1) + timedelta(days=number)
        await add(usage, settings, aws, UsageKey(day, "token:1", "openai", "m", end_user="a"))
        await add(usage, settings, aws, UsageKey(day, "token:1", "openai", "m", end_user="b"))
    counting_aws.operations.clear()

    first = await usage.forget_end_user("a", lambda: 0.0)
    second = await usage.forget_end_user("a", lambda: 0.0)

    assert (first, second) == ((25, False), (5, True))
    assert counting_aws.calls == {"Query": 2, "DeleteItem": 30}
    rows = await report(usage, ["end_user"], date(2025, 12, 1), date(2026, 1, 1))
    assert [(row["end_user"], row["requests"]) for row in rows] == [("b", 30)]


async def test_a_range_without_usage_is_one_row_of_zeros_or_no_group(usage: UsageTable) -> None:
    """A sum of nothing is zero; there is no group of nothing."""
    assert [row["requests"] for row in await report(usage)] == [0]
    assert await report(usage, ["day"]) == []


async def test_items_expire_four_hundred_days_after_their_day(usage: UsageTable, settings: Settings, aws: Aws) -> None:
    """By DynamoDB's time to live."""
    await add(usage, settings, aws, UsageKey(DAY, "token:1", "openai", "m"))

    scanned = await aws.call(
        "dynamodb",
        "Query",
        TableName=settings.usage_table,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": "usage#2026-11"}},
    )

    assert [int(item["expires_at"]["N"]) - 1_795_910_400 for item in scanned["Items"]] == [400 * 86_400]


def test_csv_has_a_byte_order_mark_and_no_formulas() -> None:
    """A cell that a spreadsheet would calculate begins with an apostrophe; quotes and line ends are escaped."""
    dangerous = ('=HYPERLINK("http://x")', "+1", "-1", "@a", "\tb", "a,b\r\n")
    rows = [
        UsageRow(model=model, requests=1, images=1, failures=0, usd=Decimal(1), uncertain_usd=Decimal(0))
        for model in dangerous
    ]

    text = to_csv(rows, ["model"])

    assert text.startswith("\ufeffmodel,requests,images,failures,usd,uncertain_usd\r\n")
    assert '"\'=HYPERLINK(""http://x"")",1,1,0,1.000000,0.000000\r\n' in text
    assert "\r\n'+1,1," in text
    assert "\r\n'-1,1," in text
    assert "\r\n'@a,1," in text
    assert "\r\n'\tb,1," in text
    assert '\r\n"a,b\r\n",1,' in text
