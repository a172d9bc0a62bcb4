"""Fixes for moto: isolated DynamoDB transactions, no lost messages, rules with fair queues as targets, and speed.

moto has no extension points for these, so functions of this module replace moto's own.
"""

import copy
import json
import sys
import threading
import time
import uuid
from collections import defaultdict
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any, Final

from moto.core import responses
from moto.core.common_models import BaseModel
from moto.core.errors import ErrorLookupFactory
from moto.core.serialize import AttributePickerContext, BaseJSONSerializer, ResponseSerializer, XFormedAttributePicker
from moto.core.utils import method_names_from_class, unix_time_millis
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler
from moto.events.models import Rule
from moto.events.utils import EventTemplateParser
from moto.moto_server import threaded_moto_server
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from moto.sqs import models as sqs

from sandbox import moto_items
from sandbox.moto_server import RequestHandler

_LOCK: Final = threading.RLock()
_JSON_TYPES: Final = frozenset({"S", "N", "BOOL", "NULL", "SS", "NS"})
"""DynamoDB's types whose values are the same in moto and in JSON, beside maps and lists of them."""
_call_action: Final = DynamoHandler.call_action
_update_item: Final = DynamoDBBackend.update_item
_delete_message: Final = sqs.Queue.delete_message
_send_to_sqs_queue: Final = Rule._send_to_sqs_queue  # noqa: SLF001 - no extension points, see above
_parse_template: Final = EventTemplateParser.parse
_EVENT_FIELDS: Final = ("id", "time", "version", "detail-type", "source", "region", "resources", "detail")
_serialize_structure: Final = BaseJSONSerializer._serialize_type_structure  # noqa: SLF001 - no extension points, see above
_serialize_map: Final = BaseJSONSerializer._serialize_type_map  # noqa: SLF001 - no extension points, see above
_get_value: Final = ResponseSerializer.get_value
_for_service: Final = ErrorLookupFactory.for_service
_cached_method_names: Final = cache(method_names_from_class)
_cached_backend_for_host: Final = cache(DomainDispatcherApplication.get_backend_for_host)


def apply() -> None:
    """Apply the fixes to moto in this process. It can be called repeatedly."""
    replacements: tuple[tuple[Any, str, Any], ...] = (
        # A failed transaction restores copies of its tables, which would undo other requests' writes: requests run one
        # at a time. The copies share their items with the tables, so an update must not change an item in place.
        (DynamoHandler, "call_action", _call_action_locked),
        (DynamoDBBackend, "update_item", _update_item_copy),
        (Table, "__deepcopy__", _copy_table_sharing_items),
        # If a target has a message group, moto takes its queue for a FIFO queue, and fails if it is not.
        (Rule, "_send_to_sqs_queue", _send_to_fair_queue),
        # For each event and target, moto parses eight JSONPath expressions.
        (EventTemplateParser, "parse", staticmethod(_event_for_target)),
        # For each message that is sent, moto computes the time once for every message in the queue, with datetimes.
        (sqs, "unix_time_millis", _fast_unix_time_millis),
        # moto deletes a message by replacing the queue's list, without the message that is sent meanwhile.
        (sqs.Queue, "delete_message", _delete_message_locked),
        # moto keeps every item, key and message that it creates for ever.
        (BaseModel, "__new__", _new_instance),
        # In each attribute of an item, moto searches for all types that it could have, under several names each.
        (BaseJSONSerializer, "_serialize_type_structure", _serialize_attribute_as_it_is),
        (BaseJSONSerializer, "_serialize_type_map", _serialize_attributes_as_they_are),
        # For each member of a response, moto makes a list of the names that it could have.
        (ResponseSerializer, "get_value", _value_by_known_names),
        # moto chooses each of the 52 characters of a request's id at random.
        (responses, "gen_amzn_requestid_long", _add_request_id),
        # For each error, moto makes a table of all errors of the service.
        (ErrorLookupFactory, "for_service", _cached_errors),
        # For each request, moto inspects all methods of a service.
        (responses, "method_names_from_class", _cached_method_names),
        # For each request, moto lists its own folders to find its services, and then closes the connection.
        (DomainDispatcherApplication, "get_backend_for_host", _cached_backend_for_host),
        (threaded_moto_server, "MotoRequestHandler", RequestHandler),
    )
    for owner, name, replacement in replacements:
        setattr(owner, name, replacement)
    moto_items.apply()
    _import_parameter_store()


def _import_parameter_store() -> None:
    """Import moto's Parameter Store without EC2, whose tables take longer to load than everything else in the sandbox.

    Parameter Store's module uses EC2 to find the servers that a command is for; the sandbox has none. EC2 itself can
    still be imported afterwards.
    """
    if {"moto.ec2", "moto.ssm.models"} & sys.modules.keys():
        return
    stand_in: Any = ModuleType("moto.ec2")
    stand_in.ec2_backends = {}
    sys.modules["moto.ec2"] = stand_in
    try:
        import_module("moto.ssm.models")
    finally:
        del sys.modules["moto.ec2"]


def _call_action_locked(handler: DynamoHandler) -> Any:
    with _LOCK:
        return _call_action(handler)


def _update_item_copy(
    backend: DynamoDBBackend, table_name: str, key: dict[str, Any], *rest: Any, **options: Any
) -> Any:
    """Replace the item with a copy before moto updates it in place."""
    table = backend.get_table(table_name)
    names = [name for name in (table.hash_key_attr, table.range_key_attr) if name in key]
    parts: list[Any] = [DynamoType(key[name]) for name in names if name is not None]
    if parts and len(parts) == len(table.table_key_attrs) and (item := table.get_item(*parts)) is not None:
        items: Any = table.items[parts[0]] if table.range_key_attr else table.items
        items[parts[-1]] = copy.deepcopy(item)
    return _update_item(backend, table_name, key, *rest, **options)


def _copy_table_sharing_items(table: Table, _memo: dict[int, Any]) -> Table:
    copied = copy.copy(table)
    items: Any = table.items
    if table.range_key_attr:
        items = {hash_key: dict(by_range_key) for hash_key, by_range_key in items.items()}
    copied.items = defaultdict(dict, items)
    return copied


def _delete_message_locked(queue: sqs.Queue, receipt_handle: str) -> None:
    with queue._messages_lock:  # noqa: SLF001 - moto's own lock for messages that are sent
        _delete_message(queue, receipt_handle)


def _send_to_fair_queue(rule: Rule, name: str, event: dict[str, Any], group_id: str | None = None) -> None:
    """Send an event, whose time is in seconds since 1970, to a queue."""
    if group_id is None:
        _send_to_sqs_queue(rule, name, event)
        return
    time_text = datetime.fromtimestamp(float(event["time"]), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = json.dumps({**event, "time": time_text})
    sqs.sqs_backends[rule.account_id][rule.region_name].send_message(name, body, group_id=group_id)


def _event_for_target(input_template: str, input_paths_map: dict[str, Any], event: Any) -> Any:
    if input_template or input_paths_map:
        return _parse_template(input_template, input_paths_map, event)
    return copy.deepcopy({name: event[name] for name in _EVENT_FIELDS})


def _new_instance(model: Any, *_arguments: Any, **_options: Any) -> Any:
    instance = object.__new__(model)
    # Objects of S3 with an open file: they complain if nobody closes it.
    if hasattr(model, "dispose"):
        model.instances_tracked.append(instance)
    return instance


def _serialize_attribute_as_it_is(serializer: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
    if shape.name == "AttributeValue" and key and _is_serialized(value):
        serialized[key] = value
    else:
        _serialize_structure(serializer, serialized, value, shape, key)


def _serialize_attributes_as_they_are(serializer: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
    if shape.value.name == "AttributeValue" and all(map(_is_serialized, value.values())):
        serialized[serializer.get_serialized_name(shape, key)] = value
    else:
        _serialize_map(serializer, serialized, value, shape, key)


def _value_by_known_names(serializer: Any, value: Any, key: str, shape: Any) -> Any:
    picker = serializer._value_picker  # noqa: SLF001 - no extension points, see above
    if type(value) is not dict or type(picker) is not XFormedAttributePicker or picker.response_transformers:
        return _get_value(serializer, value, key, shape)
    # The names depend on the shape, which moto keeps, and on the class of the value.
    known = shape.__dict__.setdefault("_names_in_dict", {})
    if (names := known.get(key)) is None:
        context = AttributePickerContext(obj=value, key=key, shape=shape)
        names = known[key] = list(picker.get_possible_keys(context))
    return next((value[name] for name in names if name in value), None)


def _add_request_id(headers: dict[str, Any]) -> str:
    headers["x-amzn-requestid"] = request_id = uuid.uuid4().hex.upper()
    return request_id


def _cached_errors(_factory: ErrorLookupFactory, service: Any) -> Any:
    return _errors_of(service)


@cache
def _errors_of(service: Any) -> Any:
    return _for_service(ErrorLookupFactory(), service)


def _is_serialized(attribute: Any) -> bool:
    """Return whether moto holds an attribute of an item as it is in JSON. Binary values may be different."""
    if type(attribute) is not dict or len(attribute) != 1:
        return False
    ((kind, content),) = attribute.items()
    if kind == "M":
        return all(map(_is_serialized, content.values()))
    if kind == "L":
        return all(map(_is_serialized, content))
    return kind in _JSON_TYPES


def _fast_unix_time_millis(moment: datetime | None = None) -> float:
    return time.time() * 1000 if moment is None else unix_time_millis(moment)
