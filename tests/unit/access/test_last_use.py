"""The record of a token's last use, on moto's server."""

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest

from image_gateway.access.principals import Role
from image_gateway.access.token_registry import TokenRegistry
from image_gateway.access.tokens import TokenAuthenticator, lookup_key
from image_gateway.aws import Aws, AwsError
from image_gateway.settings import Settings
from tests.polling import DEADLINE_SECONDS
from tests.unit.access.token_uses import FailingAws, FakeClock, RecordingAws, last_use, use

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

pytestmark = pytest.mark.anyio

HOUR = 3600


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

    await asyncio.wait_for(use(TokenAuthenticator(hanging, settings), created.token), DEADLINE_SECONDS)

    assert hanging.calls == 1
    assert [record.error for record in caplog.records if record.levelno >= logging.WARNING] == ["it took too long"]  # type: ignore[attr-defined]  # extra
