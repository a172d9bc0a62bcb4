"""A client for AWS that counts the write units of a table and of its indexes, as DynamoDB bills them."""

from typing import Any

from image_gateway.aws import Aws
from tests.aws_clients import aws_client
from tests.item_size import item_bytes

_WRITES = ("PutItem", "UpdateItem", "DeleteItem")


class MeteringAws(Aws):
    """Passes calls to another client, and counts the units of the writes of some items.

    A write costs a unit for each kilobyte of the larger of the old and the new item, and twice that in a transaction.
    In an index it costs units only if the projected attributes change.
    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html

    Args:
        aws: the other client.
        table: the table's name.
        prefixes: the keys of the items begin with one of these.

    Attributes:
        table_units: units of the table.
        index_units: units of all indexes together.
        sizes: the size in bytes of each item that was written, in order.
    """

    def __init__(self, aws: Aws, table: str, *prefixes: str) -> None:
        super().__init__()
        self._aws = aws
        self._table = table
        self._prefixes = prefixes
        self._dynamodb = aws_client("dynamodb")
        description = self._dynamodb.describe_table(TableName=table)["Table"]
        self._indexes = [
            (index["KeySchema"][0]["AttributeName"], index["Projection"]["ProjectionType"])
            for index in description["GlobalSecondaryIndexes"]
        ]
        self.reset()

    def reset(self) -> None:
        """Count from zero."""
        self.table_units, self.index_units = 0, 0
        self.sizes: list[int] = []

    async def call(self, service: str, operation: str, **parameters: Any) -> Any:
        keys = [key for key in _written_keys(operation, parameters) if key.startswith(self._prefixes)]
        before = [self._item(key) for key in keys]
        response = await self._aws.call(service, operation, **parameters)
        for key, old in zip(keys, before, strict=True):
            self._count(old, self._item(key), 2 if operation == "TransactWriteItems" else 1)
        return response

    async def send(self, service: str, method: str, url: str, **options: Any) -> bytes:
        return await self._aws.send(service, method, url, **options)

    def _item(self, key: str) -> Any:
        return self._dynamodb.get_item(TableName=self._table, Key={"pk": {"S": key}}).get("Item", {})

    def _count(self, old: Any, new: Any, factor: int) -> None:
        self.sizes.append(item_bytes(new))
        self.table_units += factor * _units(old, new)
        for attribute, projection in self._indexes:
            entries = [_entry(item, attribute, projection) for item in (old, new)]
            if entries[0] != entries[1]:
                self.index_units += _units(*entries)


def _written_keys(operation: str, parameters: dict[str, Any]) -> list[str]:
    if operation == "TransactWriteItems":
        writes = [next(iter(write.values())) for write in parameters["TransactItems"]]
    else:
        writes = [parameters] if operation in _WRITES else []
    return [(write.get("Item") or write["Key"])["pk"]["S"] for write in writes]


def _entry(item: Any, attribute: str, projection: str) -> Any:
    """Return an index's entry for an item; empty if it has none."""
    if attribute not in item:
        return {}
    return item if projection == "ALL" else {name: item[name] for name in ("pk", attribute)}


def _units(old: Any, new: Any) -> int:
    return max(1, -(-max(item_bytes(old), item_bytes(new)) // 1024))
