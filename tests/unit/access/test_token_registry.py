"""Tokens as administrators see them, against moto's server."""

import asyncio
import itertools
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from image_gateway.access.principals import Role
from image_gateway.access.token_registry import TokenRegistry
from image_gateway.access.tokens import TokenAuthenticator
from image_gateway.aws import Aws, AwsError
from image_gateway.errors import Busy, Conflict, NotFound, StorageUnavailable
from image_gateway.models.tokens import NewToken
from image_gateway.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.anyio


class Contended(Aws):
    """AWS, on which the first transactions collide with others', as `TransactWriteItems` has it."""

    def __init__(self, aws: Aws, collisions: int) -> None:
        super().__init__()
        self._aws = aws
        self.left = collisions
        self.once: list[str] = []

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        if operation == "TransactWriteItems":
            self.once.append(parameters["ClientRequestToken"])
            if self.left:
                self.left -= 1
                reasons = [{"Code": "None"}, {"Code": "None"}, {"Code": "TransactionConflict"}]
                raise AwsError("TransactionCanceledException", response={"CancellationReasons": reasons})
        return await self._aws.call(service, operation, **parameters)


@pytest.fixture
def registry(settings: Settings, aws: Aws) -> TokenRegistry:
    return TokenRegistry(aws, settings)


def soon(seconds: float = 3600) -> datetime:
    return datetime.fromtimestamp(int(time.time() + seconds), UTC)


async def ids(registry: TokenRegistry) -> list[str]:
    return [token.id for token in (await registry.page(limit=100)).tokens]


async def admin(registry: TokenRegistry, name: str = "an admin", **options: Any) -> NewToken:
    return await registry.create(name, Role.ADMIN, **options)


async def test_the_list_says_what_a_token_is(registry: TokenRegistry) -> None:
    """Everything but the secret, with times in UTC."""
    expires_at = soon()
    made = await registry.create(
        "ci", Role.USER, expires_at=expires_at, engines={"openai", "gemini"}, models={"b", "a"}
    )

    (listed,) = (await registry.page()).tokens

    assert listed.model_dump() == made.model_dump(exclude={"token"})
    assert (listed.name, listed.role, listed.expires_at, listed.last_used_at) == ("ci", "user", expires_at, None)
    assert (listed.engines, listed.models) == (["gemini", "openai"], ["a", "b"])
    assert abs(listed.created_at.timestamp() - time.time()) < 60


async def test_the_table_does_not_know_the_secret(
    registry: TokenRegistry, settings: Settings, dynamodb: "DynamoDBClient"
) -> None:
    """Neither does what is shown of a token by accident."""
    made = await admin(registry)

    assert made.token.startswith("igw_")
    assert len(made.token) == len("igw_") + 43
    assert made.token not in str(dynamodb.scan(TableName=settings.table)["Items"])
    assert made.token not in repr(made)


async def test_the_list_has_pages_with_the_newest_first(settings: Settings, aws: Aws) -> None:
    """A page ends with a cursor as long as there is another one."""
    moments = itertools.count(1_800_000_000)
    registry = TokenRegistry(aws, settings, now=lambda: next(moments))
    made = [(await registry.create(str(number), Role.USER)).name for number in range(5)]
    names, cursor = [], None
    for size in (2, 2, 1):
        page = await registry.page(limit=2, cursor=cursor)
        assert len(page.tokens) == size
        names += [token.name for token in page.tokens]
        cursor = page.cursor

    assert cursor is None
    assert names == made[::-1]


async def test_a_page_that_is_just_full_is_the_last(registry: TokenRegistry) -> None:
    """There is no cursor to an empty page."""
    for _ in range(2):
        await registry.create("ci", Role.USER)

    assert (await registry.page(limit=2)).cursor is None


@pytest.mark.parametrize("text", ["with space", "x" * 257, "ü", "\n"])
async def test_a_secret_of_ones_own_choice_is_printable(registry: TokenRegistry, text: str) -> None:
    """What could not be sent in a header is not stored."""
    with pytest.raises(ValueError, match="printable"):
        await registry.create("bad", Role.USER, token=text)


async def test_a_secret_belongs_to_one_token(registry: TokenRegistry) -> None:
    """A secret that is in use cannot be given another role, and nothing of the attempt stays."""
    await registry.create("first", Role.USER, token="the-same")

    with pytest.raises(Conflict, match="already"):
        await admin(registry, token="the-same")

    assert [token.name for token in (await registry.page()).tokens] == ["first"]


async def test_a_revoked_token_is_gone(
    registry: TokenRegistry, settings: Settings, aws: Aws, dynamodb: "DynamoDBClient"
) -> None:
    """It is nobody's, not in the list, and nothing of it is in the table."""
    made = await registry.create("gone", Role.USER)

    await registry.delete(made.id)

    assert await TokenAuthenticator(aws, settings).authenticate(made.token) is None
    assert await ids(registry) == []
    assert dynamodb.scan(TableName=settings.table)["Items"] == []
    with pytest.raises(NotFound):
        await registry.delete(made.id)


async def test_the_last_lasting_admin_stays(registry: TokenRegistry) -> None:
    """Refused, with the remedy; which then helps."""
    first = await admin(registry)
    await registry.create("a user", Role.USER)
    with pytest.raises(Conflict, match="create another one first"):
        await registry.delete(first.id)
    assert first.id in await ids(registry)

    second = await admin(registry)
    await registry.delete(first.id)

    with pytest.raises(Conflict):
        await registry.delete(second.id)


async def test_an_admin_that_expires_is_none_to_rely_on(registry: TokenRegistry) -> None:
    """It does not allow the last lasting one to go, but may go itself while that one is there."""
    lasting, brief = await admin(registry), await admin(registry, expires_at=soon())

    with pytest.raises(Conflict):
        await registry.delete(lasting.id)
    await registry.delete(brief.id)

    assert await ids(registry) == [lasting.id]


async def test_an_admin_that_expires_stays_without_a_lasting_one(registry: TokenRegistry) -> None:
    """Nor are administrators removed where all that would remain will expire."""
    first, _second = await admin(registry, expires_at=soon()), await admin(registry, expires_at=soon())

    with pytest.raises(Conflict):
        await registry.delete(first.id)


async def test_an_expired_admin_may_always_go(settings: Settings, aws: Aws) -> None:
    """It lets nobody in as it is."""
    made = await admin(TokenRegistry(aws, settings), expires_at=soon(10))
    later = TokenRegistry(aws, settings, now=lambda: time.time() + 11)

    await later.delete(made.id)

    assert await ids(later) == []


async def test_a_table_without_a_count_counts_none(
    registry: TokenRegistry, settings: Settings, dynamodb: "DynamoDBClient"
) -> None:
    """Where the count was lost, an administrator's token goes only after another one was made."""
    first = await admin(registry)
    dynamodb.delete_item(TableName=settings.table, Key={"pk": {"S": "token-count#admin"}})

    with pytest.raises(Conflict):
        await registry.delete(first.id)


async def test_two_admins_cannot_remove_each_other_at_once(registry: TokenRegistry) -> None:
    """Of all that try at the same time, all but one succeed."""
    made = [await admin(registry) for _ in range(5)]

    ends = await asyncio.gather(*(registry.delete(token.id) for token in made), return_exceptions=True)

    assert sorted(str(type(end).__name__) for end in ends) == ["Conflict"] + ["NoneType"] * 4
    assert len(await ids(registry)) == 1


async def test_one_token_is_removed_once(registry: TokenRegistry) -> None:
    """Two that remove the same one at once do not count it twice."""
    first, second = await admin(registry), await admin(registry)
    await admin(registry)

    ends = await asyncio.gather(*(registry.delete(first.id) for _ in range(4)), return_exceptions=True)
    assert sorted(str(type(end).__name__) for end in ends) == ["NoneType", "NotFound", "NotFound", "NotFound"]

    await registry.delete(second.id)
    assert len(await ids(registry)) == 1


async def test_parallel_creations_and_deletions_leave_a_consistent_list(
    registry: TokenRegistry, settings: Settings, aws: Aws, dynamodb: "DynamoDBClient"
) -> None:
    """Fifty made while fifty are removed: the list, the lookups and the count agree on who is left."""
    stays = await admin(registry, "stays")
    roles = (Role.USER, Role.ADMIN)
    old = [await registry.create(f"old {number}", roles[number % 2]) for number in range(50)]

    made, removed = await asyncio.gather(
        asyncio.gather(*(registry.create(f"new {number}", roles[number % 2]) for number in range(50))),
        asyncio.gather(*(registry.delete(token.id) for token in old)),
    )

    assert removed == [None] * 50
    assert sorted(await ids(registry)) == sorted([stays.id, *(token.id for token in made)])
    found = [await TokenAuthenticator(aws, settings).authenticate(token.token) for token in (*made, *old)]
    assert [who.id if who else None for who in found] == [token.id for token in made] + [None] * 50
    keys = [item["pk"]["S"] for item in dynamodb.scan(TableName=settings.table)["Items"]]
    assert len(keys) == 2 * 51 + 1
    count = dynamodb.get_item(TableName=settings.table, Key={"pk": {"S": "token-count#admin"}})["Item"]
    assert count["lasting"] == {"N": "26"}


async def test_what_collides_is_tried_again(settings: Settings, aws: Aws) -> None:
    """Each attempt is a transaction of its own, after a wait that may grow."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    contended = Contended(aws, 3)
    registry = TokenRegistry(contended, settings, sleep=sleep)

    await admin(registry)

    assert len(await ids(registry)) == 1
    assert len(set(contended.once)) == 4
    assert all(0 <= wait <= 0.05 * 2**number for number, wait in enumerate(waits))
    assert len(waits) == 3


async def test_what_always_collides_is_given_up(settings: Settings, aws: Aws) -> None:
    """The caller is told to try again, and nothing was changed."""

    async def sleep(_seconds: float) -> None:
        """Takes no time."""

    registry = TokenRegistry(Contended(aws, 1000), settings, sleep=sleep)

    with pytest.raises(Busy, match="nothing was changed"):
        await admin(registry)
    assert await ids(registry) == []


async def test_expired_tokens_leave_the_table_by_themselves(
    registry: TokenRegistry, settings: Settings, dynamodb: "DynamoDBClient"
) -> None:
    """Both items of a token have the time after which DynamoDB may remove them, a week after it expired."""
    expires_at = soon()
    await admin(registry, expires_at=expires_at)

    items = dynamodb.scan(TableName=settings.table)["Items"]

    week_later = str(int((expires_at + timedelta(days=7)).timestamp()))
    assert [item["expires_at"]["N"] for item in items] == [week_later] * 2


async def test_a_table_that_fails_is_told(settings: Settings, aws: Aws) -> None:
    """Each operation says that storage failed, not that there is nothing."""
    registry = TokenRegistry(aws, settings.model_copy(update={"table": "no-such-table"}))

    with pytest.raises(StorageUnavailable, match="not changed"):
        await admin(registry)
    with pytest.raises(StorageUnavailable, match="cannot be read"):
        await registry.page()
    with pytest.raises(StorageUnavailable, match="cannot be read"):
        await registry.delete("0")
