"""Catalogues that cannot be stored or read: nothing is replaced."""

import json
from typing import Any

import pytest

from image_gateway.aws import Aws
from image_gateway.errors import StorageUnavailable
from image_gateway.models.config import ImagesConfig
from image_gateway.settings import Settings
from tests.aws_clients import aws_client
from tests.counting_aws import CountingAws
from tests.unit.config.catalogue_changes import connection, objects
from tests.unit.config.config_store import ConfigStore
from tests.unit.config.parameter import MakeStore

pytestmark = pytest.mark.anyio


@pytest.fixture
def counting(aws: Aws) -> CountingAws:
    return CountingAws(aws)


async def test_a_failure_between_object_and_parameter_changes_nothing(
    store: ConfigStore, settings: Settings, make_store: MakeStore, counting: CountingAws
) -> None:
    """The object is written first, so the parameter never names one that does not exist."""
    await store.update_catalogue(connection("a", "k1"))
    counting.refused = {"PutParameter"}

    with pytest.raises(StorageUnavailable):
        await make_store(settings, aws=counting).update_catalogue(connection("b", "k2"))

    assert (await make_store(settings).read()).catalogue.names("connections") == ["a"]
    await store.update_catalogue(connection("c", "k3"))
    assert (await make_store(settings).read()).catalogue.names("connections") == ["a", "c"]


async def test_an_object_that_is_not_stored_changes_nothing(
    store: ConfigStore, settings: Settings, make_store: MakeStore, counting: CountingAws
) -> None:
    """If the bucket does not accept the object, the parameter is not written."""
    counting.refused = {"s3 PUT"}

    with pytest.raises(StorageUnavailable):
        await make_store(settings, aws=counting).update_catalogue(connection("a", "k1"))

    assert (await store.read()).version == 0


@pytest.mark.parametrize("content", [None, b"{}", b"{", b"\xff" * 1_000_001], ids=["gone", "other", "cut", "large"])
async def test_a_lost_catalogue_is_no_empty_one(
    store: ConfigStore, settings: Settings, make_store: MakeStore, content: bytes | None, caplog: Any
) -> None:
    """The fields can be used and changed, what needs the catalogue fails, and no change replaces it.

    After its object has been restored, everything is there again.
    """
    await store.update_catalogue(connection("a", "key-of-a"))
    ((key, whole),) = objects(settings).items()
    s3 = aws_client("s3")
    if content is None:
        s3.delete_object(Bucket=settings.bucket, Key=key)
    else:
        s3.put_object(Bucket=settings.bucket, Key=key, Body=content)
    other = make_store(settings)

    lost = await other.update(ImagesConfig(IMAGE_STEPS=7))
    assert lost.config.IMAGE_STEPS == 7
    with pytest.raises(StorageUnavailable, match=key):
        lost.catalogue.route("poster")
    with pytest.raises(StorageUnavailable, match=key):
        await other.update_catalogue(connection("b"))
    assert "key-of-a" not in caplog.text
    assert key in str([record.__dict__ for record in caplog.records])

    s3.put_object(Bucket=settings.bucket, Key=key, Body=whole)
    restored = await other.read()
    assert (restored.catalogue.names("connections"), restored.keys) == (["a"], {"a": "key-of-a"})


@pytest.mark.parametrize("value", [7, None, ["x"], "../../images/0"])
async def test_a_hash_that_is_none_counts_as_a_lost_catalogue(
    store: ConfigStore, settings: Settings, make_store: MakeStore, value: object
) -> None:
    """Whatever somebody has written into the parameter, reads do not fail, and nothing is replaced."""
    text = json.dumps({"_catalogue": value, "_connection_keys": value, "IMAGE_STEPS": 7})
    aws_client("ssm").put_parameter(Name=settings.config_parameter, Value=text, Type="SecureString")

    current = await store.read()

    assert current.config.IMAGE_STEPS == 7
    assert current.catalogue.lost
    await store.update(ImagesConfig(IMAGE_STEPS=8))
    assert (await make_store(settings).read()).catalogue.lost
