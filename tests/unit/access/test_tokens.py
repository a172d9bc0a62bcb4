"""Authentication by token, and the record of its last use, on moto's server."""

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


class FakeClock:
    """A clock that tests advance."""

    def __init__(self) -> None:
        self.seconds = float(int(time.time()))

    def __call__(self) -> float:
        return self.seconds


class FailingAws(Aws):
    """AWS, where one operation fails with an error, or never returns if the error is None."""

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


class RecordingAws(Aws):
    """AWS, with a record of its calls."""

    def __init__(self, aws: Aws) -> None:
        super().__init__()
        self._aws = aws
        self.requests: list[dict[str, Any]] = []

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        self.requests.append({"operation": operation, **parameters})
        return await self._aws.call(service, operation, **parameters)


@pytest.fixture
def authenticator(settings: Settings, aws: Aws) -> TokenAuthenticator:
    return TokenAuthenticator(aws, settings)


@pytest.fixture
def registry(settings: Settings, aws: Aws) -> TokenRegistry:
    return TokenRegistry(aws, settings)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def caching_authenticator(settings: Settings, aws: Aws, clock: FakeClock) -> TokenAuthenticator:
    """An authenticator that caches lookups for 60 s, the default of deployments."""
    return TokenAuthenticator(aws, settings.model_copy(update={"token_ttl_seconds": 60}), now=clock)


async def use(authenticator: TokenAuthenticator, token: str) -> None:
    """Authenticate a token and record its use."""
    principal = await authenticator.authenticate(token)
    assert principal is not None
    async with authenticator.recording_use(principal):
        pass


async def last_use(registry: TokenRegistry) -> float | None:
    """Return the last use of the only token, in seconds since 1970."""
    (info,) = (await registry.page()).tokens
    return info.last_used_at.timestamp() if info.last_used_at else None


async def test_a_token_authenticates_its_principal(authenticator: TokenAuthenticator, registry: TokenRegistry) -> None:
    """The principal has the name, the role and the limits of the token, and owns jobs by its id."""
    created = await registry.create("ci", Role.USER, engines={"openai"}, models={"gpt-image-2", "other"})

    principal = await authenticator.authenticate(created.token)

    assert principal == Principal(
        created.id, "ci", Role.USER, engines=frozenset({"openai"}), models=frozenset({"gpt-image-2", "other"})
    )
    assert principal.owner == f"token:{created.id}"


async def test_a_token_without_limits_may_use_everything(
    authenticator: TokenAuthenticator, registry: TokenRegistry
) -> None:
    """A token without limits may use all engines and all models, and does not expire."""
    principal = await authenticator.authenticate((await registry.create("ci", Role.USER)).token)

    assert principal is not None
    assert (principal.engines, principal.models, principal.expires_at) == (None, None, None)
    assert not principal.is_limited
    principal.require("comfyui", "anything", connection="gpu-1", route="poster")
    assert principal.may_use_model("anything")


async def test_a_limited_token_may_use_only_its_engines_and_models() -> None:
    """Another engine is refused by name, and another model is not permitted."""
    limited = Principal("1", "ci", Role.ADMIN, engines=frozenset({"openai"}), models=frozenset({"small"}))

    limited.require_server("openai", "azure-eu")
    with pytest.raises(Forbidden, match="comfyui"):
        limited.require_server("comfyui", "gpu-1")
    assert (limited.may_use_model("small"), limited.may_use_model("large")) == (True, False)


@pytest.mark.parametrize(
    ("limits", "may_use"),
    [
        ({}, {"poster", "direct", "edit", "field"}),
        ({"connections": {"azure-eu"}}, {"poster", "direct"}),
        ({"connections": {"openai"}}, {"edit", "field"}),
        ({"connections": {"openai-edit"}}, {"edit"}),
        ({"connections": {"azure-eu"}, "engines": {"comfyui"}}, set()),
        ({"routes": {"poster"}}, {"poster"}),
        ({"routes": {"draft"}}, set()),
        ({"routes": {"poster"}, "engines": {"comfyui"}}, {"poster"}),
        ({"routes": {"poster"}, "connections": {"openai"}}, {"poster", "edit", "field"}),
        ({"routes": {"draft"}, "models": {"gpt-image-2"}}, {"poster", "direct", "edit", "field"}),
        ({"models": {"other"}}, set()),
    ],
)
async def test_a_route_is_granted_itself_or_by_what_its_targets_are(
    authenticator: TokenAuthenticator, registry: TokenRegistry, limits: dict[str, Any], may_use: set[str]
) -> None:
    """A granted route may be used whatever its targets are; anything else only as the other limits allow."""
    principal = await authenticator.authenticate((await registry.create("ci", Role.USER, **limits)).token)
    requests = {
        "poster": {"connection": "azure-eu", "route": "poster"},
        "direct": {"connection": "azure-eu"},
        "field": {"connection": "openai"},
        "edit": {"connection": "openai-edit"},
    }

    assert principal
    assert {name for name, options in requests.items() if principal.may_use("openai", "gpt-image-2", **options)} == (
        may_use
    )
    assert principal.is_limited == bool(limits)


@pytest.mark.parametrize("limit", ["connections", "routes"])
async def test_an_older_version_gives_a_limited_token_nothing(
    registry: TokenRegistry, settings: Settings, dynamodb: "DynamoDBClient", limit: str
) -> None:
    """After a rollback to a version that knows limits of engines only, the token may use no engine, instead of all."""
    limits: dict[str, Any] = {limit: {"poster"}}
    created = await registry.create("ci", Role.USER, **limits)

    item = dynamodb.get_item(TableName=settings.table, Key=lookup_key(created.token))["Item"]
    older = Principal("1", "ci", Role.USER, engines=frozenset(item["engines"]["SS"]))

    assert not any(older.may_use(engine, "any") for engine in ("openai", "gemini", "comfyui", "automatic1111"))
    assert created.engines is None


@pytest.mark.parametrize("text", ["igw_" + "a" * 43, "x" * 256])
async def test_an_unknown_token_is_invalid(authenticator: TokenAuthenticator, text: str) -> None:
    """A string in the form of a token is looked up and not principal."""
    assert await authenticator.authenticate(text) is None


@pytest.mark.parametrize("text", ["", "x" * 257, "x" * 100_000, "igw_\n", "igw_ü", "a b", "a\tb", "\0", "igw_\ud800"])
async def test_a_malformed_token_causes_no_lookup(settings: Settings, aws: Aws, text: str) -> None:
    """Malformed tokens are invalid without a request to the table."""
    failing = FailingAws(aws, "GetItem", AwsError("InternalServerError"))

    assert await TokenAuthenticator(failing, settings).authenticate(text) is None
    assert failing.calls == 0


async def test_a_token_is_invalid_from_its_expiry_on(
    caching_authenticator: TokenAuthenticator, registry: TokenRegistry, clock: FakeClock
) -> None:
    """A token is invalid at its expiry, even if it is cached or DynamoDB has not deleted its item."""
    expires_at = datetime.fromtimestamp(clock.seconds + 5, UTC)
    token = (await registry.create("expiring", Role.USER, expires_at=expires_at)).token
    assert await caching_authenticator.authenticate(token) is not None

    clock.seconds += 4.999
    assert await caching_authenticator.authenticate(token) is not None
    clock.seconds += 0.001
    assert await caching_authenticator.authenticate(token) is None
    clock.seconds += 61
    assert await caching_authenticator.authenticate(token) is None


async def test_a_revoked_token_is_valid_until_its_cache_entry_expires(
    caching_authenticator: TokenAuthenticator, registry: TokenRegistry, clock: FakeClock
) -> None:
    """A cached lookup is used for 60 s, and is then repeated."""
    created = await registry.create("revoked", Role.USER)
    assert await caching_authenticator.authenticate(created.token) is not None
    await registry.delete(created.id)

    clock.seconds += 59
    assert await caching_authenticator.authenticate(created.token) is not None
    clock.seconds += 1
    assert await caching_authenticator.authenticate(created.token) is None


async def test_a_lookup_is_a_consistent_read(settings: Settings, aws: Aws, registry: TokenRegistry) -> None:
    """A consistent read finds new tokens at once, and caches no token that was revoked before."""
    recording = RecordingAws(aws)

    await TokenAuthenticator(recording, settings).authenticate((await registry.create("ci", Role.USER)).token)

    assert [(request["operation"], request["ConsistentRead"]) for request in recording.requests] == [("GetItem", True)]


async def test_a_failing_table_is_an_error(settings: Settings, aws: Aws) -> None:
    """If the table cannot be read, authentication fails with an error that says so."""
    authenticator = TokenAuthenticator(aws, settings.model_copy(update={"table": "no-such-table"}))

    with pytest.raises(StorageUnavailable, match="cannot be checked"):
        await authenticator.authenticate(new_token())


async def test_the_last_use_is_recorded_once_an_hour(
    settings: Settings, aws: Aws, registry: TokenRegistry, clock: FakeClock
) -> None:
    """Neither the same process nor another one records a use within an hour of the last record."""
    token = (await registry.create("ci", Role.USER)).token
    first, second = (TokenAuthenticator(aws, settings, now=clock) for _ in range(2))
    assert await last_use(registry) is None
    started_at = clock.seconds

    await use(first, token)
    assert await last_use(registry) == started_at
    for authenticator, later in ((first, 10), (second, 20), (second, HOUR - 1)):
        clock.seconds = started_at + later
        await use(authenticator, token)
        assert await last_use(registry) == started_at

    clock.seconds = started_at + HOUR
    await use(first, token)
    assert await last_use(registry) == started_at + HOUR


async def test_a_new_process_writes_nothing_if_a_use_was_recorded_within_the_hour(
    settings: Settings, aws: Aws, registry: TokenRegistry, clock: FakeClock
) -> None:
    """The lookup shows it. Otherwise a thousand processes that start at once would write the same item."""
    token = (await registry.create("ci", Role.USER)).token
    await use(TokenAuthenticator(aws, settings, now=clock), token)
    clock.seconds += HOUR - 1
    recording = RecordingAws(aws)

    await use(TokenAuthenticator(recording, settings, now=clock), token)

    assert [request["operation"] for request in recording.requests] == ["GetItem"]


async def test_a_warm_process_learns_from_its_next_lookup_that_a_use_was_recorded(
    settings: Settings, aws: Aws, registry: TokenRegistry, clock: FakeClock
) -> None:
    """When an hour is over, one process records the use, and the others need not."""
    token = (await registry.create("ci", Role.USER)).token
    recording = RecordingAws(aws)
    warm = TokenAuthenticator(recording, settings, now=clock)
    await use(warm, token)
    clock.seconds += HOUR
    await use(TokenAuthenticator(aws, settings, now=clock), token)
    recording.requests.clear()

    await use(warm, token)

    assert [request["operation"] for request in recording.requests] == ["GetItem"]


async def test_a_token_with_an_unknown_role_is_forbidden(
    authenticator: TokenAuthenticator, registry: TokenRegistry, settings: Settings, dynamodb: "DynamoDBClient"
) -> None:
    """A newer version has created it. What its role permits is not known, so it permits nothing."""
    created = await registry.create("auditor", Role.USER)
    key = lookup_key(created.token)
    item = dynamodb.get_item(TableName=settings.table, Key=key)["Item"]
    dynamodb.put_item(TableName=settings.table, Item={**item, "role": {"S": "auditor"}})

    with pytest.raises(Forbidden, match="role"):
        await authenticator.authenticate(created.token)


async def test_the_record_of_a_use_requests_no_return_values(
    aws: Aws, settings: Settings, registry: TokenRegistry
) -> None:
    """The request says `ReturnValues: NONE`, because the functions' policies permit it only then."""
    recording = RecordingAws(aws)

    await use(TokenAuthenticator(recording, settings), (await registry.create("ci", Role.USER)).token)

    assert [request["ReturnValues"] for request in recording.requests if request["operation"] == "UpdateItem"] == [
        "NONE"
    ]


async def test_a_use_is_recorded_if_the_request_fails(
    authenticator: TokenAuthenticator, registry: TokenRegistry
) -> None:
    """An error in the block does not prevent the record."""
    principal = await authenticator.authenticate((await registry.create("ci", Role.USER)).token)
    assert principal is not None

    with pytest.raises(KeyError):
        async with authenticator.recording_use(principal):
            raise KeyError

    assert await last_use(registry) is not None


async def test_the_record_of_a_use_does_not_restore_a_revoked_token(
    caching_authenticator: TokenAuthenticator, registry: TokenRegistry, settings: Settings, dynamodb: "DynamoDBClient"
) -> None:
    """The use of a revoked token that is still cached writes nothing to the table."""
    created = await registry.create("revoked", Role.USER)
    principal = await caching_authenticator.authenticate(created.token)
    assert principal is not None
    await registry.delete(created.id)

    async with caching_authenticator.recording_use(principal):
        pass

    assert dynamodb.scan(TableName=settings.table)["Items"] == []


async def test_a_use_that_cannot_be_recorded_is_logged(
    settings: Settings, aws: Aws, registry: TokenRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    """The request continues, and the log has the id of the token, but neither its secret nor its hash."""
    created = await registry.create("ci", Role.USER)

    await use(
        TokenAuthenticator(FailingAws(aws, "UpdateItem", AwsError("AccessDeniedException")), settings), created.token
    )

    (record,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    error = "The last use of the token was not recorded: AccessDeniedException"
    assert (record.token_id, record.error) == (created.id, error)  # type: ignore[attr-defined]  # extra
    assert created.token not in str(vars(record))
    assert lookup_key(created.token)["pk"]["S"].partition("#")[2] not in str(vars(record))


async def test_a_slow_record_of_a_use_is_abandoned(
    settings: Settings, aws: Aws, registry: TokenRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    """If the table does not respond, the request continues, and the log says so."""
    created = await registry.create("ci", Role.USER)
    hanging = FailingAws(aws, "UpdateItem", None)

    await asyncio.wait_for(use(TokenAuthenticator(hanging, settings), created.token), 30)

    assert hanging.calls == 1
    assert [record.error for record in caplog.records if record.levelno >= logging.WARNING] == ["it took too long"]  # type: ignore[attr-defined]  # extra


def test_keys_do_not_contain_the_secret() -> None:
    """The key of the lookup has the SHA-256 of the token, and the key of the other item has its id."""
    token = new_token()

    assert lookup_key("abc")["pk"]["S"] == "token#ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert token[4:] not in lookup_key(token)["pk"]["S"]
    assert listing_key("1") == {"pk": {"S": "token-id#1"}}
