"""A client for AWS that notes its calls, refuses some of them, and can be cut off from AWS."""

from collections import Counter
from typing import Any

from image_gateway.aws import Aws, AwsError


class CountingAws(Aws):
    """Passes calls to another client.

    Attributes:
        operations: what was called, in order: operations, and service and method of other requests, such as `s3 PUT`.
        refused: which of these fail.
        reachable: False to let everything fail.
    """

    def __init__(self, aws: Aws) -> None:
        super().__init__()
        self._aws = aws
        self.operations: list[str] = []
        self.refused: set[str] = set()
        self.reachable = True

    @property
    def calls(self) -> Counter[str]:
        """How often each operation was called."""
        return Counter(self.operations)

    async def call(self, service: str, operation: str, **parameters: Any) -> Any:
        self._note(operation)
        return await self._aws.call(service, operation, **parameters)

    async def send(self, service: str, method: str, url: str, **options: Any) -> bytes:
        self._note(f"{service} {method}")
        return await self._aws.send(service, method, url, **options)

    def _note(self, operation: str) -> None:
        self.operations.append(operation)
        if operation in self.refused or not self.reachable:
            raise AwsError("InternalServerError", status=500)
