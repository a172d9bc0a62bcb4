"""Copies of a deployed bucket and its tables, made inside moto: each test has its own, without a dozen requests."""

import copy
from typing import Any

from moto.backends import get_backend

from sandbox.template import ACCOUNT, REGION


def copy_resources(source: str, name: str) -> None:
    """Copy the empty bucket `source` and the empty tables whose names begin with `source`."""
    bucket = _s3().create_bucket(name, REGION)
    bucket.notification_configuration = _s3().buckets[source].notification_configuration
    tables = _dynamodb().tables
    for original in [table for of, table in tables.items() if of.startswith(source)]:
        # The sandbox's fixes for moto make this a copy that shares only what describes the table.
        table = copy.deepcopy(original)
        table.name, table.table_arn = (text.replace(source, name) for text in (table.name, table.table_arn))
        tables[table.name] = table


def copy_items(source: str, table: str) -> None:
    """Copy all items of a table to another one."""
    tables = _dynamodb().tables
    tables[table].items.update(copy.deepcopy(tables[source].items))


def copy_parameter(source: str, name: str, old: str, new: str) -> None:
    """Copy all versions of a parameter, in which the text `new` takes the place of `old`."""
    parameters = _backend("ssm")._parameters
    for version in list(parameters[source]):
        copied = copy.copy(version)
        copied.name, copied.value = name, version.value.replace(old, new)
        parameters[name].append(copied)


def remove_resources(name: str) -> None:
    """Remove a bucket with all that is in it, and the tables, queues and buses whose names begin with its name.

    moto gives every event of a bucket to the rules of all buses.
    """
    for resources in (_dynamodb().tables, _backend("sqs").queues, _backend("events").event_buses):
        for resource in [resource for resource in list(resources) if resource.startswith(name)]:
            del resources[resource]
    bucket = _s3().buckets.get(name)
    if bucket is None:
        # The test has deleted it.
        return
    for key in list(bucket.keys):
        bucket.keys.pop(key)
    _s3().delete_bucket(name)


def _s3() -> Any:
    return get_backend("s3")[ACCOUNT]["aws"]


def _dynamodb() -> Any:
    return _backend("dynamodb")


def _backend(service: Any) -> Any:
    return get_backend(service)[ACCOUNT][REGION]
