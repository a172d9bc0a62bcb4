"""Messages whose job is not in the table."""

import pytest

from image_gateway.container import Gateway
from image_gateway.errors import StorageUnavailable

pytestmark = pytest.mark.anyio


async def test_a_message_whose_job_has_expired_is_processed(gateway: Gateway) -> None:
    """A message can outlive its job's record: there is nothing to run and nothing to fail."""
    assert await gateway.worker_parts.worker.process("none", lambda: 900.0)
    assert await gateway.worker_parts.completion.give_up("none", StorageUnavailable("x"), lambda: 900.0)
