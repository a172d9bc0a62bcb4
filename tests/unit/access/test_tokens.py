"""Who a token is, and what is known of its use, against moto's server."""

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from image_gateway.access.principals import Principal, Role
from image_gateway.access.token_registry import TokenRegistry, new_token
from image_gateway.access.tokens import TokenAuthenticator, listing_key, lookup_key
from image_gateway.aws import Aws, AwsError
from image_gateway.errors import Forbidden, StorageUnavailable
from image_gateway.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.anyio

HOUR = 3600


class Clock:
    """Seconds since 1970, that pass when they are told to."""

    def __init__(self) -> None:
        self.seconds = float(int(time.time()))

    def __call__(self) -> float:
        return self.seconds


class Failing(Aws):
    """AWS, of which one operation fails, or does not answer at all."""

    def __init__(self, aws: Aws, operation: str, error: AwsError | None) -> None:
        super().__init__()
        self._aws = aws
        self._operation = operation
        self._error = error
        self.calls = 0

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        if operation != self._operation:
            return await self._aws.call(service, operation, **parameters)
        self.calls += 1
        if self._error is None:
            await asyncio.Event().wait()
            raise AssertionError("unreachable")
        raise self._error


class Recording(Aws):
    """AWS, and what it was asked for."""

    def __init__(self, aws: Aws) -> None:
        super().__init__()
        self._aws = aws
        self.requested: list[dict[str, Any]] = []

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        self.requested.append({"operation": operation, **parameters})
        return await self._aws.call(service, operation, **parameters)


@pytest.fixture
def store(settings: Settings, aws: Aws) -> TokenAuthenticator:
    return TokenAuthenticator(aws, settings)


@pytest.fixture
def registry(settings: Settings, aws: Aws) -> TokenRegistry:
    return TokenRegistry(aws, settings)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def caching(settings: Settings, aws: Aws, clock: Clock) -> TokenAuthenticator:
    """A store that trusts a lookup for 60 s, as deployments do."""
    return TokenAuthenticator(aws, settings.model_copy(update={"token_ttl_seconds": 60}), now=clock)


async def use(store: TokenAuthenticator, token: str) -> None:
    """Use a token once."""
    found = await store.authenticate(token)
    assert found is not None
    async with store.recording_use(found):
        pass


async def last_use(registry: TokenRegistry) -> float | None:
    """When the only token was used last, in seconds since 1970."""
    (info,) = (await registry.page()).tokens
    return info.last_used_at.timestamp() if info.last_used_at else None


async def test_a_token_says_whose_it_is(store: TokenAuthenticator, registry: TokenRegistry) -> None:
    """Name, role and limits come back; the owner of its jobs is the token's id."""
    made = await registry.create("ci", Role.USER, engines={"openai"}, models={"gpt-image-2", "other"})

    found = await store.authenticate(made.token)

    assert found == Principal(
        made.id, "ci", Role.USER, engines=frozenset({"openai"}), models=frozenset({"gpt-image-2", "other"})
    )
    assert found.owner == f"token:{made.id}"


async def test_a_token_without_limits_may_use_all(store: TokenAuthenticator, registry: TokenRegistry) -> None:
    """What was not limited is not limited."""
    found = await store.authenticate((await registry.create("ci", Role.USER)).token)

    assert found is not None
    assert (found.engines, found.models, found.expires_at) == (None, None, None)
    found.require_engine("comfyui")
    assert found.may_use_model("anything")


async def test_a_limited_token_may_use_what_it_names() -> None:
    """An engine that is not named is refused with its name; models are told apart by theirs."""
    limited = Principal("1", "ci", Role.ADMIN, engines=frozenset({"openai"}), models=frozenset({"small"}))

    limited.require_engine("openai")
    with pytest.raises(Forbidden, match="comfyui"):
        limited.require_engine("comfyui")
    assert (limited.may_use_model("small"), limited.may_use_model("large")) == (True, False)


@pytest.mark.parametrize("text", ["igw_" + "a" * 43, "x" * 256])
async def test_an_unknown_token_is_nobodys(store: TokenAuthenticator, text: str) -> None:
    """A text that could be a token is looked up, and not found."""
    assert await store.authenticate(text) is None


@pytest.mark.parametrize("text", ["", "x" * 257, "x" * 100_000, "igw_\n", "igw_ü", "a b", "a\tb", "\0", "igw_\ud800"])
async def test_what_cannot_be_a_token_costs_no_lookup(settings: Settings, aws: Aws, text: str) -> None:
    """Malformed texts are nobody's before the table is asked."""
    failing = Failing(aws, "GetItem", AwsError("InternalServerError"))

    assert await TokenAuthenticator(failing, settings).authenticate(text) is None
    assert failing.calls == 0


async def test_an_expired_token_is_nobodys_to_the_second(
    caching: TokenAuthenticator, registry: TokenRegistry, clock: Clock
) -> None:
    """Neither the cache nor an item that DynamoDB has not removed yet outlives the token."""
    expires_at = datetime.fromtimestamp(clock.seconds + 5, UTC)
    token = (await registry.create("brief", Role.USER, expires_at=expires_at)).token
    assert await caching.authenticate(token) is not None

    clock.seconds += 4.999
    assert await caching.authenticate(token) is not None
    clock.seconds += 0.001
    assert await caching.authenticate(token) is None
    clock.seconds += 61
    assert await caching.authenticate(token) is None


async def test_a_revoked_token_works_no_longer_than_the_cache(
    caching: TokenAuthenticator, registry: TokenRegistry, clock: Clock
) -> None:
    """A lookup is trusted for its time and then repeated."""
    made = await registry.create("gone", Role.USER)
    assert await caching.authenticate(made.token) is not None
    await registry.delete(made.id)

    clock.seconds += 59
    assert await caching.authenticate(made.token) is not None
    clock.seconds += 1
    assert await caching.authenticate(made.token) is None


async def test_a_lookup_sees_what_was_written_last(settings: Settings, aws: Aws, registry: TokenRegistry) -> None:
    """A new token works at once, and the 60 s of a revoked one do not begin with a stale answer."""
    recording = Recording(aws)

    await TokenAuthenticator(recording, settings).authenticate((await registry.create("ci", Role.USER)).token)

    assert [(requested["operation"], requested["ConsistentRead"]) for requested in recording.requested] == [
        ("GetItem", True)
    ]


async def test_a_table_that_fails_is_told_and_nobody_gets_in(settings: Settings, aws: Aws) -> None:
    """Without the table there is no access, and an error that says so."""
    store = TokenAuthenticator(aws, settings.model_copy(update={"table": "no-such-table"}))

    with pytest.raises(StorageUnavailable, match="cannot be checked"):
        await store.authenticate(new_token())


async def test_the_last_use_is_recorded_once_an_hour(
    settings: Settings, aws: Aws, registry: TokenRegistry, clock: Clock
) -> None:
    """Neither the same process nor another one writes again within an hour of the last time."""
    token = (await registry.create("ci", Role.USER)).token
    first, second = (TokenAuthenticator(aws, settings, now=clock) for _ in range(2))
    assert await last_use(registry) is None
    began = clock.seconds

    await use(first, token)
    assert await last_use(registry) == began
    for store, later in ((first, 10), (second, 20), (second, HOUR - 1)):
        clock.seconds = began + later
        await use(store, token)
        assert await last_use(registry) == began

    clock.seconds = began + HOUR
    await use(first, token)
    assert await last_use(registry) == began + HOUR


async def test_recording_a_use_asks_for_nothing_back(aws: Aws, settings: Settings, registry: TokenRegistry) -> None:
    """In so many words: functions may write this attribute only where a request says that it reads none."""
    recording = Recording(aws)

    await use(TokenAuthenticator(recording, settings), (await registry.create("ci", Role.USER)).token)

    assert [
        requested["ReturnValues"] for requested in recording.requested if requested["operation"] == "UpdateItem"
    ] == ["NONE"]


async def test_a_use_is_recorded_although_the_request_fails(store: TokenAuthenticator, registry: TokenRegistry) -> None:
    """What a request ends with says nothing about whether its token is in use."""
    found = await store.authenticate((await registry.create("ci", Role.USER)).token)
    assert found is not None

    with pytest.raises(KeyError):
        async with store.recording_use(found):
            raise KeyError

    assert await last_use(registry) is not None


async def test_a_use_does_not_bring_a_revoked_token_back(
    caching: TokenAuthenticator, registry: TokenRegistry, settings: Settings, dynamodb: "DynamoDBClient"
) -> None:
    """A token that is trusted for some seconds more leaves nothing in the table."""
    made = await registry.create("gone", Role.USER)
    found = await caching.authenticate(made.token)
    assert found is not None
    await registry.delete(made.id)

    async with caching.recording_use(found):
        pass

    assert dynamodb.scan(TableName=settings.table)["Items"] == []


async def test_a_use_that_cannot_be_recorded_is_logged(
    settings: Settings, aws: Aws, registry: TokenRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    """The request goes on; the log names the token by its id, and has neither its secret nor its hash."""
    made = await registry.create("ci", Role.USER)

    await use(TokenAuthenticator(Failing(aws, "UpdateItem", AwsError("AccessDeniedException")), settings), made.token)

    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    error = "The last use of the token was not recorded: AccessDeniedException"
    assert (record.token_id, record.error) == (made.id, error)  # type: ignore[attr-defined]  # extra
    assert made.token not in str(vars(record))
    assert lookup_key(made.token)["pk"]["S"].partition("#")[2] not in str(vars(record))


async def test_a_use_that_takes_too_long_holds_nothing_up(
    settings: Settings, aws: Aws, registry: TokenRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    """A table that does not answer is given up, and the log says so."""
    made = await registry.create("ci", Role.USER)
    hanging = Failing(aws, "UpdateItem", None)

    await asyncio.wait_for(use(TokenAuthenticator(hanging, settings), made.token), 30)

    assert hanging.calls == 1
    assert [record.error for record in caplog.records if record.levelno >= logging.WARNING] == ["it took too long"]  # type: ignore[attr-defined]  # extra


def test_keys_tell_nothing_of_the_secret() -> None:
    """The table is asked for the SHA-256 of a token; its other item is found by the id."""
    token = new_token()

    assert lookup_key("abc")["pk"]["S"] == "token#ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert token[4:] not in lookup_key(token)["pk"]["S"]
    assert listing_key("1") == {"pk": {"S": "token-id#1"}}
