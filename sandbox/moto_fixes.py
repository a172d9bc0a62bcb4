"""moto, with what it lacks for a sandbox: transactions that leave others' writes alone, and speed.

moto offers no other way in than to put functions of ours into the place of its own.
"""

import copy
import sys
import threading
import time
from collections import defaultdict
from datetime import datetime
from functools import cache
from importlib import import_module
from io import BytesIO
from traceback import format_exc
from types import ModuleType
from typing import Any, Final

from moto.core.utils import unix_time_millis
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.dynamodb.responses import DynamoHandler
from moto.moto_server import threaded_moto_server
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler
from moto.sqs import models as sqs
from werkzeug.exceptions import InternalServerError
from werkzeug.test import run_wsgi_app

_TURN: Final = threading.RLock()
_serve: Final = DynamoHandler.call_action
_update: Final = DynamoDBBackend.update_item
_backend_for_host: Final = cache(DomainDispatcherApplication.get_backend_for_host)


def apply() -> None:
    """Have moto, wherever this process serves it, behave so. Doing it again changes nothing."""
    changes: tuple[tuple[Any, str, Any], ...] = (
        # A transaction that fails goes back to copies of its tables, and undoes what others wrote meanwhile: requests
        # take turns. The copies share their items with the tables, which updates must not change then.
        (DynamoHandler, "call_action", _serve_in_turn),
        (DynamoDBBackend, "update_item", _update_a_copy),
        (Table, "__deepcopy__", _with_the_same_items),
        # For every message that is sent all messages of its queue are asked for the time, by way of calendars.
        (sqs, "unix_time_millis", _quick_milliseconds),
        # For every request moto lists its own folders to see which services it has, and closes the connection after it.
        (DomainDispatcherApplication, "get_backend_for_host", _backend_for_host),
        (threaded_moto_server, "MotoRequestHandler", _KeepAliveHandler),
    )
    for owner, name, ours in changes:
        setattr(owner, name, ours)
    _import_parameter_store()


def _import_parameter_store() -> None:
    """Import moto's Parameter Store without EC2, whose tables take longer to load than all that the sandbox uses.

    It asks EC2 which servers a command is for; a sandbox has none. Whoever wants EC2 itself still gets it.
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


class _KeepAliveHandler(MotoRequestHandler):
    """Reads a request whole and answers it whole, so that the next one can come by the same connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def run_wsgi(self) -> None:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.wfile.flush()
        environ = self.make_environ()
        length = environ.get("CONTENT_LENGTH")
        chunked = environ.get("wsgi.input_terminated", False)
        sent = environ["wsgi.input"].read() if chunked else self.rfile.read(int(length or 0))
        environ |= {"wsgi.input": BytesIO(sent), "CONTENT_LENGTH": str(len(sent))}
        try:
            parts, status, headers = run_wsgi_app(self.server.app, environ, buffered=True)
        except Exception:  # noqa: BLE001 - as werkzeug's own: moto's defects are answers, and the server goes on
            self.server.log("error", format_exc())
            environ["wsgi.input"] = BytesIO()
            parts, status, headers = run_wsgi_app(InternalServerError(), environ, buffered=True)
        body = b"".join(parts)
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        if body or (self.command != "HEAD" and code not in ("204", "304")):
            headers["Content-Length"] = str(len(body))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _serve_in_turn(handler: DynamoHandler) -> Any:
    with _TURN:
        return _serve(handler)


def _update_a_copy(backend: DynamoDBBackend, table_name: str, key: dict[str, Any], *rest: Any, **options: Any) -> Any:
    table = backend.get_table(table_name)
    names = [name for name in (table.hash_key_attr, table.range_key_attr) if name in key]
    parts: list[Any] = [DynamoType(key[name]) for name in names if name is not None]
    if parts and len(parts) == len(table.table_key_attrs) and (item := table.get_item(*parts)) is not None:
        place: Any = table.items[parts[0]] if table.range_key_attr else table.items
        place[parts[-1]] = copy.deepcopy(item)
    return _update(backend, table_name, key, *rest, **options)


def _with_the_same_items(table: Table, _memo: dict[int, Any]) -> Table:
    # Not by `copy.copy`: moto remembers every table that is made in its way for ever.
    kind: Any = Table
    copied: Table = object.__new__(kind)
    copied.__dict__.update(table.__dict__)
    items: Any = table.items
    if table.range_key_attr:
        items = {key: dict(within) for key, within in items.items()}
    copied.items = defaultdict(dict, items)
    return copied


def _quick_milliseconds(moment: datetime | None = None) -> float:
    return time.time() * 1000 if moment is None else unix_time_millis(moment)
