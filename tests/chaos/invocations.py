"""The functions' invocations, and what follows when one fails: its messages come back, and its leases expire.

On AWS, a message that a function did not process is invisible for longer than any invocation can last. Here it comes
back as soon as all invocations have ended that ran at that moment.
"""

import asyncio
from typing import Any

from sandbox.gateway import Sandbox
from sandbox.lambda_environment import FunctionError
from sandbox.template import QueueMapping
from tests.aws_clients import aws_client
from tests.chaos.leases import Leases
from tests.chaos.proxy import FaultProxy
from tests.chaos.senders import is_alive

_POLL_SECONDS = 0.02


class Invocations:
    """Invokes the functions of a sandbox in place of its Lambda service, and counts what fails.

    Args:
        sandbox: a running sandbox.
        proxy: knows what is still being executed.
        leases: what processes hold.

    Attributes:
        failures: the errors of invocations whose process was not killed.
    """

    def __init__(self, sandbox: Sandbox, proxy: FaultProxy, leases: Leases) -> None:
        self._invoke = sandbox.functions.invoke
        self._proxy = proxy
        self._leases = leases
        self._sqs = aws_client("sqs")
        self._mappings = {mapping.function: mapping for mapping in sandbox.template.queue_mappings()}
        self._running: set[asyncio.Event] = set()
        self._returning: set[asyncio.Task[None]] = set()
        self.failures: list[str] = []
        sandbox.functions.invoke = self.invoke  # type: ignore[method-assign]  # to see every invocation

    @property
    def idle(self) -> bool:
        """Whether nothing runs, and no message is about to come back."""
        return not self._running and not self._returning

    async def invoke(self, name: str, event: dict[str, Any]) -> Any:
        """Invoke a function as `LambdaService.invoke` does."""
        ended = asyncio.Event()
        self._running.add(ended)
        receipts = {record["messageId"]: record["receiptHandle"] for record in event.get("Records", ())}
        failed = list(receipts)
        try:
            response = await self._invoke(name, event)
            failed = [item["itemIdentifier"] for item in response["batchItemFailures"]] if receipts else []
        except FunctionError as error:
            self._note(name, str(error))
            raise
        else:
            return response
        finally:
            self._running.discard(ended)
            ended.set()
            returning = [receipts[message] for message in failed if message in receipts]
            task = asyncio.create_task(self._return(self._mappings.get(name), returning))
            self._returning.add(task)
            task.add_done_callback(self._returning.discard)

    def _note(self, name: str, error: str) -> None:
        """Count a failure, unless it is that of a killed process."""
        if "status -9" not in error:
            self.failures.append(f"{name}: {error[:300]}")

    async def _return(self, mapping: QueueMapping | None, receipts: list[str]) -> None:
        """Let leases of dead processes expire, and then make messages visible."""
        others = [asyncio.create_task(ended.wait()) for ended in self._running] if receipts else []
        await self.expire_leases()
        for other in others:
            await other
        for receipt in receipts:
            assert mapping
            await asyncio.to_thread(
                self._sqs.change_message_visibility,
                QueueUrl=mapping.url,
                ReceiptHandle=receipt,
                VisibilityTimeout=0,
            )

    async def expire_leases(self) -> None:
        """Let everything expire that dead processes hold, after the last of their requests was executed."""
        while not all(map(is_alive, self._proxy.senders())):  # noqa: ASYNC110 - other tasks execute the requests
            await asyncio.sleep(_POLL_SECONDS)
        await asyncio.to_thread(self._leases.expire)
