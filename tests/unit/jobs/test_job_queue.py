"""The queue of jobs when SQS fails."""

import pytest

from image_gateway.container import Gateway
from image_gateway.errors import StorageUnavailable


@pytest.mark.anyio
async def test_a_queue_that_fails_raises_storage_unavailable(gateway: Gateway) -> None:
    """The sender learns that the message was not sent."""
    broken = Gateway(gateway.settings.model_copy(update={"queue_url": "http://127.0.0.1:1/q"}), gateway.aws)

    with pytest.raises(StorageUnavailable, match="queued"):
        await broken.queue.send("j")
