"""MiniStack with IAM enforced, and with everything in which it is made to behave more like AWS than it does by itself.

A program of MiniStack's own environment, which has none of this repository's packages:

    .venv-ministack/bin/python tests/deployment/environment/ministack_server.py RECORD

`RECORD` is a file to which it adds a line of JSON for each statement that allowed a function something, and for each
thing that a function was denied. It ends when its standard input is closed, so it never outlives its parent.

Each function below that begins with `work_around` is for one gap of MiniStack 1.5.33. When MiniStack is updated, remove
each of them, one after the other, and see whether `make deploy-local` still passes.
"""

import contextvars
import hashlib
import json
import os
import re
import signal
import sys
import tempfile
import threading
import types
import zipfile
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

from ministack import app
from ministack.core import iam_actions, iam_evaluator, lambda_runtime
from ministack.services import apigateway
from ministack.services.cloudformation import provisioners

_HANDLERS = provisioners._RESOURCE_HANDLERS


def work_around_missing_metric_math() -> None:
    """Alarms on an expression are refused (CREATE_FAILED): the alarm is made on the expression's first metric."""
    original = provisioners._cw_metric_alarm_record

    def record(name: str, properties: dict[str, Any]) -> Any:
        metrics = [item["MetricStat"] for item in properties.get("Metrics") or [] if "MetricStat" in item]
        if metrics:
            rest = {key: value for key, value in properties.items() if key != "Metrics"}
            first = {"Period": metrics[0]["Period"], "Statistic": metrics[0]["Stat"], **metrics[0]["Metric"]}
            properties = {**rest, **first}
        return original(name, properties)

    provisioners._cw_metric_alarm_record = record


def work_around_numbers_as_text() -> None:
    """`MaximumConcurrency` from a parameter stays text, and every pass of the SQS poller ends with a TypeError."""
    mapping = _HANDLERS["AWS::Lambda::EventSourceMapping"]

    def with_numbers(properties: dict[str, Any]) -> dict[str, Any]:
        scaling = properties.get("ScalingConfig") or {}
        return {**properties, "ScalingConfig": {name: int(value) for name, value in scaling.items()}}

    create, update = mapping["create"], mapping["update"]
    mapping["create"] = lambda logical_id, new, stack: create(logical_id, with_numbers(new), stack)
    mapping["update"] = lambda physical_id, old, new, stack: update(
        physical_id, with_numbers(old), with_numbers(new), stack
    )


def work_around_apis_without_routes() -> None:
    """An API's OpenAPI `Body`, which is what SAM makes of an HttpApi, is ignored: its routes are made here."""
    api = _HANDLERS["AWS::ApiGatewayV2::Api"]

    def routes(api_id: str, properties: dict[str, Any]) -> None:
        apigateway._routes[api_id], apigateway._integrations[api_id] = {}, {}
        for path, methods in properties.get("Body", {}).get("paths", {}).items():
            for method, operation in methods.items():
                target = operation.get("x-amazon-apigateway-integration")
                if not target:
                    continue
                names = {"uri": "integrationUri", "httpMethod": "integrationMethod"}
                integration = {names.get(name, name): value for name, value in target.items() if name != "type"}
                made = apigateway._create_integration(api_id, {**integration, "integrationType": "AWS_PROXY"})
                verb = "ANY" if method == "x-amazon-apigateway-any-method" else method.upper()
                key = path if path == "$default" else f"{verb} {path}"
                route = {"routeKey": key, "target": f"integrations/{json.loads(made[2])['integrationId']}"}
                apigateway._create_route(api_id, route)

    create, update = api["create"], api["update"]

    def create_with_routes(logical_id: str, new: dict[str, Any], stack: str) -> Any:
        api_id, attributes = create(logical_id, new, stack)
        routes(api_id, new)
        return api_id, attributes

    def update_with_routes(
        physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str, logical_id: str | None = None
    ) -> Any:
        api_id, attributes = update(physical_id, old, new, stack, logical_id)
        routes(api_id, new)
        return api_id, attributes

    api["create"], api["update"] = create_with_routes, update_with_routes


def work_around_greedy_variables() -> None:
    """`/console/` is not found at `/console/{path+}`, which API Gateway matches with an empty variable.

    No documentation says so; https://github.com/storacha/w3infra/pull/166 relies on it.
    """
    original = apigateway._extract_path_params

    def variables(route: str, path: str) -> dict[str, str] | None:
        found: dict[str, str] | None = original(route, path)
        folder, _, name = route.rpartition("/{")
        if found is None and name.endswith("+}") and path.endswith("/"):
            found = original(folder, path.removesuffix("/"))
            return None if found is None else {**found, name.removesuffix("+}"): ""}
        return found

    apigateway._extract_path_params = variables


def work_around_plain_http() -> None:
    """It is reached over plain HTTP, which the bucket and queue policies deny: every request counts as HTTPS."""
    pin = iam_evaluator.pin_request_origin
    app.pin_request_origin = lambda source_ip, _secure_transport: pin(source_ip, True)  # noqa: FBT003 - its signature


def work_around_visible_packages() -> None:
    """Functions could import MiniStack's own packages: they run in the Python that the environment was made from."""
    original = lambda_runtime._detect_runtime_binary

    def binary(runtime: str) -> tuple[str, str]:
        found, script = original(runtime)
        return (sys._base_executable if found == sys.executable else found), script  # type: ignore[attr-defined]

    lambda_runtime._detect_runtime_binary = binary


def work_around_repeated_unpacking() -> None:
    """Every process of a function unpacks its code and layers again, 50 MB each: they share one read-only copy."""
    copies: dict[str, str] = {}
    lock = threading.Lock()

    class SharedZip(zipfile.ZipFile):
        def namelist(self) -> list[str]:
            # MiniStack examines each name of a layer, a thousand of them, before it unpacks.
            return [] if self._digest in copies else super().namelist()

        def extractall(self, path: Any = None, *_: Any) -> None:
            digest = self._digest
            with lock:
                if digest not in copies:
                    folder = tempfile.mkdtemp(prefix="unpacked-")
                    super().extractall(folder)
                    copies[digest] = folder
            Path(path).rmdir()
            Path(path).symlink_to(copies[digest])

        @cached_property
        def _digest(self) -> str:
            return hashlib.sha256(Path(str(self.filename)).read_bytes()).hexdigest()

    lambda_runtime.zipfile = types.SimpleNamespace(**{**vars(zipfile), "ZipFile": SharedZip})


_keys_of_request: contextvars.ContextVar[Iterator[dict[str, Any]] | None] = contextvars.ContextVar("keys", default=None)


def work_around_missing_condition_keys() -> None:
    """Requests lack `dynamodb:LeadingKeys`, `:ReturnValues`, `:Attributes` of writes, and `events:source`.

    They are read from the body: once for each item of a transaction, which IAM checks one by one. Batch calls of SQS
    are checked as an action of their own, which AWS does not have.
    """
    extract, enforce = iam_actions.extract_iam_action, iam_evaluator.enforce

    def extract_iam_action(service: str, method: str, path: str, headers: Any, body: bytes, params: Any) -> str | None:
        action: str | None = extract(service, method, path, headers, body, params)
        _keys_of_request.set(_condition_keys(service, body) if service in ("dynamodb", "events") else None)
        return action.removesuffix("Batch") if action and service == "sqs" else action

    def enforce_with_keys(
        access_key: str,
        action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        remaining = _keys_of_request.get() if service in ("dynamodb", "events") else None
        context = {**(service_context or {}), **(next(remaining) if remaining else {})}
        return enforce(access_key, action, service, region, resource_arn=resource_arn, service_context=context)

    iam_actions.extract_iam_action = extract_iam_action
    iam_evaluator.enforce = enforce_with_keys


def _condition_keys(service: str, body: bytes) -> Iterator[dict[str, Any]]:
    """Yield the condition keys of each check of a request: one for each item of a transaction, else always the same."""
    request = json.loads(body or b"{}")
    if service == "events":
        # AWS checks each entry. Here one check has to be for all: two sources are a list, which equals no text.
        sources = sorted({entry.get("Source", "") for entry in request.get("Entries", [])})
        checks = [{"events:source": sources[0] if len(sources) == 1 else sources}]
    elif "TransactItems" in request:
        checks = [_dynamodb_keys(operation) for item in request["TransactItems"] for operation in item.values()]
    else:
        checks = [_dynamodb_keys(request)]
    yield from checks
    while True:
        yield checks[-1]


_EXPRESSIONS = ("ProjectionExpression", "UpdateExpression", "ConditionExpression", "FilterExpression")
_NAME = re.compile(r"(?<![:\w])#?[A-Za-z_]\w*")
_WORDS = frozenset(
    {"set", "remove", "add", "delete", "and", "or", "not", "between", "in", "contains", "size", "begins_with"}
    | {"attribute_exists", "attribute_not_exists", "attribute_type", "if_not_exists", "list_append"}
)
"""What is not the name of an attribute in an expression."""


def _dynamodb_keys(request: dict[str, Any]) -> dict[str, Any]:
    """Return DynamoDB's condition keys of one operation. The partition key of every table here is `pk`.

    https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html
    """
    names, values = request.get("ExpressionAttributeNames", {}), request.get("ExpressionAttributeValues", {})
    items = [key for table in request.get("RequestItems", {}).values() for key in table.get("Keys", [])]
    items += [request[member] for member in ("Item", "Key") if member in request]
    leading = [item["pk"]["S"] for item in items]
    # The first equality of a query names the partition key of the table or the index.
    leading += [
        values[value]["S"]
        for value in re.findall(r"^\s*[#\w]+\s*=\s*(:\w+)", request.get("KeyConditionExpression", ""))
    ]
    attributes = {name for item in items for name in item}
    for member in _EXPRESSIONS:
        found = _NAME.findall(request.get(member) or "")
        attributes |= {names.get(name, name) for name in found if name.lower() not in _WORDS}
    keys = {"dynamodb:LeadingKeys": sorted(set(leading)), "dynamodb:Attributes": sorted(attributes)}
    present = {name: value for name, value in keys.items() if value}
    return {**present, **({"dynamodb:ReturnValues": request["ReturnValues"]} if "ReturnValues" in request else {})}


def record_decisions(path: Path) -> None:
    """Add a line to the file for each statement that allows a function an action, and for each denied action."""
    match, enforce, lock = iam_evaluator._first_match, iam_evaluator.enforce, threading.Lock()

    def add(principal: str, **fields: Any) -> None:
        # Sessions of functions are called as the functions are: `assumed-role/{role}/{function}`.
        if ":assumed-role/" in principal:
            line = json.dumps({"function": principal.rsplit("/", 1)[1], **fields})
            with lock, path.open("a") as file:
                file.write(f"{line}\n")

    def first_match(context: Any, statements: Any, effect: str) -> Any:
        found = match(context, statements, effect)
        if found and effect == "Allow":
            add(context.principal_arn, sid=found.sid, action=context.action)
        return found

    def enforce_and_record(access_key: str, action: str, *arguments: Any, **options: Any) -> Any:
        denied = enforce(access_key, action, *arguments, **options)
        if denied:
            add(getattr(denied, "principal_arn", ""), denied=action, resource=options.get("resource_arn", ""))
        return denied

    iam_evaluator._first_match = first_match
    iam_evaluator.enforce = enforce_and_record


def end_with_the_parent() -> None:
    """End this process and those of the functions, which are in its group, when the parent closes or is gone."""

    def wait() -> None:
        sys.stdin.buffer.read()
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()


if __name__ == "__main__":
    end_with_the_parent()
    work_around_missing_metric_math()
    work_around_numbers_as_text()
    work_around_apis_without_routes()
    work_around_greedy_variables()
    work_around_plain_http()
    work_around_visible_packages()
    work_around_repeated_unpacking()
    work_around_missing_condition_keys()
    record_decisions(Path(sys.argv[1]))
    sys.argv[1:] = []
    app.main()
