"""The token registry, on moto's server."""

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
from tests.counting_aws import CountingAws

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.anyio


class ContendedAws(Aws):
    """AWS, where the first transactions fail because of a conflict with another transaction."""

    def __init__(self, aws: Aws, conflicts: int) -> None:
        super().__init__()
        self._aws = aws
        self.remaining_conflicts = conflicts
        self.request_tokens: list[str] = []

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        if operation == "TransactWriteItems":
            self.request_tokens.append(parameters["ClientRequestToken"])
            if self.remaining_conflicts:
                self.remaining_conflicts -= 1
                reasons = [{"Code": "None"}, {"Code": "None"}, {"Code": "TransactionConflict"}]
                raise AwsError("TransactionCanceledException", response={"CancellationReasons": reasons})
        return await self._aws.call(service, operation, **parameters)


def time_from_now(seconds: float = 3600) -> datetime:
    return datetime.fromtimestamp(int(time.time() + seconds), UTC)


async def listed_ids(registry: TokenRegistry) -> list[str]:
    return [token.id for token in (await registry.page(limit=100)).tokens]


async def create_admin(registry: TokenRegistry, name: str = "an admin", **options: Any) -> NewToken:
    return await registry.create(name, Role.ADMIN, **options)


async def test_the_list_describes_tokens(aws: Aws, settings: Settings) -> None:
    """The list has all properties of a token except the secret, with times in UTC."""
    now, expires_at = 1_800_000_000.5, datetime(2028, 1, 31, 12, tzinfo=UTC)
    registry = TokenRegistry(aws, settings, now=lambda: now)
    created = await registry.create(
        "ci", Role.USER, expires_at=expires_at, engines={"openai", "gemini"}, models={"b", "a"}
    )

    (listed,) = (await registry.page()).tokens

    assert listed.model_dump() == created.model_dump(exclude={"token"})
    assert (listed.name, listed.role, listed.expires_at, listed.last_used_at) == ("ci", "user", expires_at, None)
    assert (listed.engines, listed.models) == (["gemini", "openai"], ["a", "b"])
    assert listed.created_at == datetime.fromtimestamp(int(now), UTC)


async def test_the_table_does_not_contain_the_secret(
    registry: TokenRegistry, settings: Settings, dynamodb: "DynamoDBClient"
) -> None:
    """Neither the table nor the `repr` of a new token contains its secret."""
    created = await create_admin(registry)

    assert created.token.startswith("igw_")
    assert len(created.token) == len("igw_") + 43
    assert created.token not in str(dynamodb.scan(TableName=settings.table)["Items"])
    assert created.token not in repr(created)


async def test_pages_list_the_newest_tokens_first(settings: Settings, aws: Aws) -> None:
    """A page has a cursor if there is a next page."""
    moments = itertools.count(1_800_000_000)
    registry = TokenRegistry(aws, settings, now=lambda: next(moments))
    created_names = [(await registry.create(str(number), Role.USER)).name for number in range(5)]
    names, cursor = [], None
    for size in (2, 2, 1):
        page = await registry.page(limit=2, cursor=cursor)
        assert len(page.tokens) == size
        names += [token.name for token in page.tokens]
        cursor = page.cursor

    assert cursor is None
    assert names == created_names[::-1]


async def test_names_are_read_without_a_query(settings: Settings, aws: Aws) -> None:
    """However many tokens there are: reports of usage name those that they need. Others have no name."""
    counting = CountingAws(aws)
    registry = TokenRegistry(counting, settings)
    token = await registry.create("the newsroom", Role.USER)
    counting.operations.clear()

    assert await registry.names({token.id, "event:s3"}) == {token.id: "the newsroom"}
    assert counting.calls == {"BatchGetItem": 1}


async def test_a_full_last_page_has_no_cursor(registry: TokenRegistry) -> None:
    """No cursor leads to an empty page."""
    for _ in range(2):
        await registry.create("ci", Role.USER)

    assert (await registry.page(limit=2)).cursor is None


@pytest.mark.parametrize("text", ["with space", "x" * 257, "ü", "\n"])
async def test_a_malformed_secret_is_refused(registry: TokenRegistry, text: str) -> None:
    """A secret that cannot be sent in a header is not stored."""
    with pytest.raises(ValueError, match="printable"):
        await registry.create("bad", Role.USER, token=text)


async def test_a_secret_can_be_used_once(registry: TokenRegistry) -> None:
    """A token with the secret of another token is refused, and nothing of it is stored."""
    await registry.create("first", Role.USER, token="the-same")

    with pytest.raises(Conflict, match="already"):
        await create_admin(registry, token="the-same")

    assert [token.name for token in (await registry.page()).tokens] == ["first"]


async def test_a_revoked_token_is_deleted(
    registry: TokenRegistry, settings: Settings, aws: Aws, dynamodb: "DynamoDBClient"
) -> None:
    """A revoked token does not authenticate, is not listed, and has no items in the table."""
    created = await registry.create("revoked", Role.USER)

    await registry.delete(created.id)

    assert await TokenAuthenticator(aws, settings).authenticate(created.token) is None
    assert await listed_ids(registry) == []
    assert dynamodb.scan(TableName=settings.table)["Items"] == []
    with pytest.raises(NotFound):
        await registry.delete(created.id)


async def test_the_last_admin_without_expiry_cannot_be_revoked(registry: TokenRegistry) -> None:
    """The error says to create another token first, and then the old one can be revoked."""
    first = await create_admin(registry)
    await registry.create("a user", Role.USER)
    with pytest.raises(Conflict, match="create another one first"):
        await registry.delete(first.id)
    assert first.id in await listed_ids(registry)

    second = await create_admin(registry)
    await registry.delete(first.id)

    with pytest.raises(Conflict):
        await registry.delete(second.id)


async def test_an_expiring_admin_does_not_replace_one_without_expiry(registry: TokenRegistry) -> None:
    """The last admin without expiry cannot be revoked because of an expiring one, which itself can be revoked."""
    permanent, expiring = await create_admin(registry), await create_admin(registry, expires_at=time_from_now())

    with pytest.raises(Conflict):
        await registry.delete(permanent.id)
    await registry.delete(expiring.id)

    assert await listed_ids(registry) == [permanent.id]


async def test_an_expiring_admin_cannot_be_revoked_if_none_is_permanent(registry: TokenRegistry) -> None:
    """An admin cannot be revoked if all remaining ones expire."""
    first, _second = (
        await create_admin(registry, expires_at=time_from_now()),
        await create_admin(registry, expires_at=time_from_now()),
    )

    with pytest.raises(Conflict):
        await registry.delete(first.id)


async def test_an_expired_admin_can_be_revoked(settings: Settings, aws: Aws) -> None:
    """An expired token does not count, so it can always be revoked."""
    created = await create_admin(TokenRegistry(aws, settings), expires_at=time_from_now(10))
    later = TokenRegistry(aws, settings, now=lambda: time.time() + 11)

    await later.delete(created.id)

    assert await listed_ids(later) == []


async def test_a_missing_count_is_zero(registry: TokenRegistry, settings: Settings, dynamodb: "DynamoDBClient") -> None:
    """If the count is missing, an admin cannot be revoked before another one is created."""
    first = await create_admin(registry)
    dynamodb.delete_item(TableName=settings.table, Key={"pk": {"S": "token-count#admin"}})

    with pytest.raises(Conflict):
        await registry.delete(first.id)


async def test_concurrent_revocations_leave_one_admin(registry: TokenRegistry) -> None:
    """If all admins are revoked at the same time, all but one revocation succeed."""
    created = [await create_admin(registry) for _ in range(5)]

    results = await asyncio.gather(*(registry.delete(token.id) for token in created), return_exceptions=True)

    assert sorted(str(type(result).__name__) for result in results) == ["Conflict"] + ["NoneType"] * 4
    assert len(await listed_ids(registry)) == 1


async def test_concurrent_revocations_of_a_token_count_once(registry: TokenRegistry) -> None:
    """Concurrent revocations of the same token reduce the count by one."""
    first, second = await create_admin(registry), await create_admin(registry)
    await create_admin(registry)

    results = await asyncio.gather(*(registry.delete(first.id) for _ in range(4)), return_exceptions=True)
    assert sorted(str(type(result).__name__) for result in results) == ["NoneType", "NotFound", "NotFound", "NotFound"]

    await registry.delete(second.id)
    assert len(await listed_ids(registry)) == 1


async def test_parallel_creations_and_deletions_leave_a_consistent_list(
    registry: TokenRegistry, settings: Settings, aws: Aws, dynamodb: "DynamoDBClient"
) -> None:
    """If 50 tokens are created while 50 are revoked, the list, the lookups and the count agree on the rest."""
    kept = await create_admin(registry, "kept")
    roles = (Role.USER, Role.ADMIN)
    old = [await registry.create(f"old {number}", roles[number % 2]) for number in range(50)]

    created, removed = await asyncio.gather(
        asyncio.gather(*(registry.create(f"new {number}", roles[number % 2]) for number in range(50))),
        asyncio.gather(*(registry.delete(token.id) for token in old)),
    )

    assert removed == [None] * 50
    assert sorted(await listed_ids(registry)) == sorted([kept.id, *(token.id for token in created)])
    found = [await TokenAuthenticator(aws, settings).authenticate(token.token) for token in (*created, *old)]
    assert [who.id if who else None for who in found] == [token.id for token in created] + [None] * 50
    keys = [item["pk"]["S"] for item in dynamodb.scan(TableName=settings.table)["Items"]]
    assert len(keys) == 2 * 51 + 1
    count = dynamodb.get_item(TableName=settings.table, Key={"pk": {"S": "token-count#admin"}})["Item"]
    assert count["lasting"] == {"N": "26"}


async def test_conflicting_transactions_are_retried(settings: Settings, aws: Aws) -> None:
    """Each attempt has its own request token, and follows a random delay with a growing maximum."""
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    contended = ContendedAws(aws, 3)
    registry = TokenRegistry(contended, settings, sleep=sleep)

    await create_admin(registry)

    assert len(await listed_ids(registry)) == 1
    assert len(set(contended.request_tokens)) == 4
    assert all(0 <= wait <= 0.05 * 2**number for number, wait in enumerate(waits))
    assert len(waits) == 3


async def test_a_transaction_that_always_conflicts_is_refused(settings: Settings, aws: Aws) -> None:
    """After the last attempt the error is `Busy`, and nothing was changed."""

    async def sleep(_seconds: float) -> None:
        """Return at once."""

    registry = TokenRegistry(ContendedAws(aws, 1000), settings, sleep=sleep)

    with pytest.raises(Busy, match="nothing was changed"):
        await create_admin(registry)
    assert await listed_ids(registry) == []


async def test_expired_tokens_are_deleted_by_dynamodb(
    registry: TokenRegistry, settings: Settings, dynamodb: "DynamoDBClient"
) -> None:
    """Both items of a token have a time to live of a week after the token expires."""
    expires_at = time_from_now()
    await create_admin(registry, expires_at=expires_at)

    items = dynamodb.scan(TableName=settings.table)["Items"]

    week_later = str(int((expires_at + timedelta(days=7)).timestamp()))
    assert [item["expires_at"]["N"] for item in items] == [week_later] * 2


async def test_a_failing_table_is_an_error(settings: Settings, aws: Aws) -> None:
    """Each operation reports that storage failed, and not that there are no tokens."""
    registry = TokenRegistry(aws, settings.model_copy(update={"table": "no-such-table"}))

    with pytest.raises(StorageUnavailable, match="not changed"):
        await create_admin(registry)
    with pytest.raises(StorageUnavailable, match="cannot be read"):
        await registry.page()
    with pytest.raises(StorageUnavailable, match="cannot be read"):
        await registry.delete("0")
