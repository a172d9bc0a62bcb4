"""Asynchronous clients for the AWS services that the gateway uses, small and fast to import."""

from image_gateway.aws.bucket import Bucket
from image_gateway.aws.client import Aws, create_transport
from image_gateway.aws.deadlines import time_limit
from image_gateway.aws.errors import TOO_LARGE, AwsError, may_be_done, storage_errors, unavailable
from image_gateway.aws.persistence import Remaining, persist
from image_gateway.aws.table import CONDITION_FAILED, ConditionFailed, Item, Reason, Table

__all__ = [
    "CONDITION_FAILED",
    "TOO_LARGE",
    "Aws",
    "AwsError",
    "Bucket",
    "ConditionFailed",
    "Item",
    "Reason",
    "Remaining",
    "Table",
    "create_transport",
    "may_be_done",
    "persist",
    "storage_errors",
    "time_limit",
    "unavailable",
]
