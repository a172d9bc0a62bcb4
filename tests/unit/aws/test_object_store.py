"""Objects in a bucket that does not exist."""

import pytest

from image_gateway.aws import Aws
from image_gateway.aws.object_store import ObjectStore
from image_gateway.errors import StorageUnavailable
from image_gateway.settings import Settings


@pytest.mark.anyio
async def test_a_bucket_that_fails_raises_storage_unavailable(settings: Settings, aws: Aws) -> None:
    """The error says whether reading or writing failed. A missing bucket is not reported as a missing object."""
    objects = ObjectStore(aws, settings.model_copy(update={"bucket": "no-such-bucket"}))

    with pytest.raises(StorageUnavailable, match="stored"):
        await objects.put_json("a.json", {})
    with pytest.raises(StorageUnavailable, match="read"):
        await objects.get_json("a.json")
