"""Authentication by token, on moto's server."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from image_gateway.access.principals import Principal, Role
from image_gateway.access.token_registry import TokenRegistry, new_token
from image_gateway.access.tokens import TokenAuthenticator, listing_key, lookup_key
from image_gateway.aws import Aws, AwsError
from image_gateway.errors import Forbidden, StorageUnavailable
from image_gateway.settings import Settings
from tests.unit.access.token_uses import FailingAws, FakeClock, RecordingAws

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.anyio


async def test_a_token_authenticates_its_principal(authenticator: TokenAuthenticator, registry: TokenRegistry) -> None:
    """The principal has the name, the role and the limits of the token, and owns jobs by its id."""
    created = await registry.create("ci", Role.USER, engines={"openai"}, models={"gpt-image-2", "other"})

    principal = await authenticator.authenticate(created.token)

    assert principal == Principal(
        created.id, "ci", Role.USER, engines=frozenset({"openai"}), models=frozenset({"gpt-image-2", "other"})
    )
    assert principal.owner == f"token:{created.id}"


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


def test_keys_do_not_contain_the_secret() -> None:
    """The key of the lookup has the SHA-256 of the token, and the key of the other item has its id."""
    token = new_token()

    assert lookup_key("abc")["pk"]["S"] == "token#ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert token[4:] not in lookup_key(token)["pk"]["S"]
    assert listing_key("1") == {"pk": {"S": "token-id#1"}}
