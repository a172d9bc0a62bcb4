"""A client for AWS that counts its calls, and can be cut off from AWS."""

from collections import Counter
from typing import Any

from image_gateway.aws import Aws, AwsError


class CountingAws(Aws):
    """Passes calls to another client.

    Attributes:
        calls: how often each operation was called.
        reachable: False to let all calls fail.
    """

    def __init__(self, aws: Aws) -> None:
        super().__init__()
        self._aws = aws
        self.calls: Counter[str] = Counter()
        self.reachable = True

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        self.calls[operation] += 1
        if not self.reachable:
            raise AwsError("InternalServerError", status=500)
        return await self._aws.call(service, operation, **parameters)
