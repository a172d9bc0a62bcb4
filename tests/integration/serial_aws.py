"""moto's DynamoDB for many requests at once: its transactions undo what others wrote meanwhile, so it takes turns."""

import threading
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

from image_gateway.aws import Aws

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


class SerialAws(Aws):
    """Clients whose calls to DynamoDB are one after the other."""

    @cached_property
    def dynamodb(self) -> "DynamoDBClient":
        return cast("DynamoDBClient", _Serial(Aws().dynamodb))


class _Serial:
    def __init__(self, client: Any) -> None:
        self._client = client
        self._turn = threading.Lock()

    def __getattr__(self, operation: str) -> Any:
        call = getattr(self._client, operation)

        def in_turn(**arguments: Any) -> Any:
            with self._turn:
                return call(**arguments)

        return in_turn
