"""AWS that refuses the operations that a test names."""

import asyncio
from typing import TYPE_CHECKING, Any

from image_gateway.aws import Aws, AwsError

if TYPE_CHECKING:
    from tests.loop_time import LoopTime


class FailingAws(Aws):
    """Passes calls to another client, or refuses them.

    Args:
        aws: the other client.

    Attributes:
        refusals: names of the operations (for S3, methods) to refuse; one is removed for each refused call.
        code: the code of the refusals.
        loop_time: where given, three seconds pass after each refusal.
    """

    def __init__(self, aws: Aws) -> None:
        super().__init__()
        self._aws = aws
        self.refusals: list[str] = []
        self.code = "ThrottlingException"
        self.loop_time: LoopTime | None = None

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        self._refuse(operation)
        return await self._aws.call(service, operation, **parameters)

    async def send(self, service: str, method: str, url: str, **options: Any) -> bytes:
        self._refuse(method)
        return await self._aws.send(service, method, url, **options)

    def _refuse(self, operation: str) -> None:
        if operation in self.refusals:
            self.refusals.remove(operation)
            if self.loop_time:
                # In the next turn of the loop: the gateway waits by then.
                asyncio.get_running_loop().call_soon(self.loop_time.advance, 3)
            raise AwsError(self.code, status=400)
