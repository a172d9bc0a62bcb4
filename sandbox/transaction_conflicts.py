"""Conflicts of DynamoDB's transactions, which AWS reports on busy items and moto never does.

A write is refused as if its item were in another transaction at that moment: a transaction with the reason
`TransactionConflict`, a write of one item with `TransactionConflictException`. Nothing is written then.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-conflict-handling
"""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from moto.dynamodb.exceptions import DynamodbException, TransactionCanceledException
from moto.dynamodb.responses import DynamoHandler

_TRANSACTION: Final = "transact_write_items"
_WRITES: Final = (_TRANSACTION, "put_item", "update_item", "delete_item")
_MESSAGE: Final = "Transaction is ongoing for the item"
_ERROR_TYPE: Final = "com.amazonaws.dynamodb.v20120810#TransactionConflictException"


@contextmanager
def injected_conflicts(share: float, seed: int = 0) -> Iterator[list[str]]:
    """Refuse a share of this process's writes for the duration of the block; the value has a name for each refusal.

    Args:
        share: from 0 to 1.
        seed: the same seed refuses the same writes of a sequence.
    """
    refused: list[str] = []
    chance = random.Random(seed)
    lock = threading.Lock()

    def refuses(name: str) -> bool:
        with lock:
            refused.extend([name] if (refuse := chance.random() < share) else [])
        return refuse

    originals = {name: getattr(DynamoHandler, name) for name in _WRITES} if share else {}
    for name, original in originals.items():
        setattr(DynamoHandler, name, _with_conflicts(name, original, refuses))
    try:
        yield refused
    finally:
        for name, original in originals.items():
            setattr(DynamoHandler, name, original)


def _with_conflicts(name: str, write: Callable[..., Any], refuses: Callable[[str], bool]) -> Callable[..., Any]:
    def write_or_refuse(handler: DynamoHandler) -> Any:
        if not refuses(name):
            return write(handler)
        if name != _TRANSACTION:
            raise DynamodbException(_ERROR_TYPE, _MESSAGE)
        # DynamoDB has one reason for each write, and conflicts are usually about one item.
        others: list[Any] = [(None, None, None)] * (len(handler.body["TransactItems"]) - 1)
        raise TransactionCanceledException([*others, ("TransactionConflict", _MESSAGE, None)])

    return write_or_refuse
