"""Tokens in the table, against moto's server."""

import boto3
import pytest

from image_gateway.aws import Aws
from image_gateway.errors import StorageUnavailable
from image_gateway.settings import Settings
from image_gateway.tokens import Role, TokenStore, new_token

pytestmark = pytest.mark.anyio


class Clock:
    """Seconds since 1970 that pass when they are told to."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def store(settings: Settings) -> TokenStore:
    return TokenStore(Aws(), settings)


async def test_a_token_says_whose_it_is(store: TokenStore) -> None:
    """Name and role come back; the owner of its jobs is the token's id."""
    principal = await store.authenticate(store.create("ci", Role.USER))

    assert principal is not None
    assert (principal.name, principal.role) == ("ci", Role.USER)
    assert principal.owner == f"token:{principal.id}"


async def test_the_table_does_not_know_the_token(store: TokenStore, settings: Settings) -> None:
    """Only a hash is stored."""
    token = store.create("ci", Role.ADMIN)

    assert token not in str(boto3.client("dynamodb").scan(TableName=settings.table)["Items"])


@pytest.mark.parametrize("text", ["igw_" + "a" * 43, "", "x" * 257, "igw_\n", "igw_ü", "a b", "\0"])
async def test_anything_else_is_nobodys(store: TokenStore, text: str) -> None:
    """Unknown and malformed texts are no tokens."""
    assert await store.authenticate(text) is None


async def test_an_expired_token_is_nobodys_even_while_cached(settings: Settings) -> None:
    """The cache does not outlive the token."""
    clock = Clock()
    store = TokenStore(Aws(), settings.model_copy(update={"token_ttl_seconds": 60}), now=clock)
    token = store.create("brief", Role.USER, expires_at=clock.seconds + 5)
    assert await store.authenticate(token) is not None

    clock.seconds += 6

    assert await store.authenticate(token) is None


async def test_a_deleted_token_works_no_longer_than_the_cache(settings: Settings) -> None:
    """A lookup is trusted for its time and then repeated."""
    clock = Clock()
    store = TokenStore(Aws(), settings.model_copy(update={"token_ttl_seconds": 60}), now=clock)
    token = store.create("gone", Role.USER)
    assert await store.authenticate(token) is not None
    dynamodb = boto3.client("dynamodb")
    for item in dynamodb.scan(TableName=settings.table)["Items"]:
        dynamodb.delete_item(TableName=settings.table, Key={"pk": item["pk"]})

    clock.seconds += 59
    assert await store.authenticate(token) is not None
    clock.seconds += 2
    assert await store.authenticate(token) is None


async def test_a_token_of_ones_own_choice_is_printable(store: TokenStore) -> None:
    """What could not be sent in a header is not stored."""
    with pytest.raises(ValueError, match="printable"):
        store.create("bad", Role.USER, token="with space")


async def test_a_table_that_fails_is_told_and_nobody_gets_in(settings: Settings) -> None:
    """Without the table there is no access, and an error that says so."""
    store = TokenStore(Aws(), settings.model_copy(update={"table": "no-such-table"}))

    with pytest.raises(StorageUnavailable, match="cannot be checked"):
        await store.authenticate(new_token())
    with pytest.raises(StorageUnavailable, match="not stored"):
        store.create("ci", Role.USER)
