"""The key of the labels of end users: made once, kept, and found by every process."""

import asyncio

import pytest

from image_gateway.aws import Aws
from image_gateway.config.end_users import EndUsers
from image_gateway.config.reader import ConfigReader
from image_gateway.config.stored import StoredConfig
from image_gateway.errors import NotConfigured, StorageUnavailable
from image_gateway.models.config import ImagesConfig
from image_gateway.settings import Settings
from tests.aws_clients import aws_client
from tests.counting_aws import CountingAws
from tests.unit.config.parameter import MakeStore, stored_document, stored_versions

pytestmark = pytest.mark.anyio

HOUR = 3_600.0


async def test_of_several_processes_at_the_same_time_one_makes_the_key(
    settings: Settings, make_store: MakeStore
) -> None:
    """Labels that were made with another key would be lost."""
    stores = [make_store(settings) for _ in range(10)]

    await asyncio.gather(*(store.make_end_user_key() for store in stores))

    keys = {(await store.read()).end_user_key for store in stores}
    assert len(keys) == len(stored_versions(settings)) == 1
    assert min(len(key) for key in keys) >= 43


async def test_the_key_stays_when_the_configuration_changes(settings: Settings, make_store: MakeStore) -> None:
    """By any kind of update, and nobody sees it in a representation."""
    store = make_store(settings)
    await store.make_end_user_key()
    key = (await store.read()).end_user_key

    await store.update(ImagesConfig(IMAGE_SIZE="512x512"))
    current, _ = await store.update_catalogue(
        lambda draft: draft.put_limits(limited=True, unknown_price="zero", events=[])
    )

    assert current.end_user_key == (await make_store(settings).read()).end_user_key == key
    assert key in stored_document(settings)
    assert key not in repr(current)


async def test_a_damaged_document_is_not_replaced_for_a_key(settings: Settings, make_store: MakeStore) -> None:
    """The operator can still restore it."""
    aws_client("ssm").put_parameter(Name=settings.config_parameter, Value="damaged", Type="SecureString")

    with pytest.raises(StorageUnavailable):
        await make_store(settings).make_end_user_key()

    assert stored_document(settings) == "damaged"


@pytest.mark.parametrize("value", ["7", "null", '["x"]'])
async def test_a_key_that_is_none_counts_as_missing(settings: Settings, make_store: MakeStore, value: str) -> None:
    """Requests that need it are refused; all others go on."""
    document = f'{{"_end_user_key": {value}, "IMAGE_SIZE": "512x512"}}'
    aws_client("ssm").put_parameter(Name=settings.config_parameter, Value=document, Type="SecureString")
    store = make_store(settings)

    current = await store.read()

    assert (current.config.IMAGE_SIZE, current.end_user_key) == ("512x512", "")


async def test_a_process_that_has_read_before_the_key_was_made_finds_it(
    aws: Aws, settings: Settings, make_store: MakeStore
) -> None:
    """By one more read, long before its cache expires; then it reads no more."""
    cached = settings.model_copy(update={"config_ttl_seconds": HOUR})
    counting = CountingAws(aws)
    end_users = EndUsers(ConfigReader(StoredConfig(counting, cached), cached))
    with pytest.raises(NotConfigured):
        (await end_users.labels()).label("alice")
    await make_store(settings).make_end_user_key()

    labels = [(await end_users.labels()).label("alice") for _ in range(3)]

    assert len({*labels}) == 1
    assert counting.operations == ["GetParameter"] * 3
