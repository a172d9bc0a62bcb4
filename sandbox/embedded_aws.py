"""AWS on a laptop: moto's server over HTTP, with the resources of the template in it."""

import json
import logging
import os
from functools import cache
from typing import Any, Final, Self

import boto3
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from sandbox import moto_fixes
from sandbox.template import REGION, Template

__all__ = ["REGION", "EmbeddedAws"]

_QUEUE_ATTRIBUTES: Final = ("VisibilityTimeout", "MessageRetentionPeriod", "SqsManagedSseEnabled")


class EmbeddedAws:
    """moto's server, for the life of a `with` block; meanwhile it is the only AWS that this process knows.

    moto keeps what it holds for the life of the process, so a second server finds what the first one was given.
    """

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._before: dict[str, str] = {}

    def __enter__(self) -> Self:
        """Start the server on a free port."""
        moto_fixes.apply()
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.url = f"http://{host}:{port}"
        # A developer's own profile or session token must neither be needed nor be sent.
        self._before = _take_variables()
        os.environ.update(self.variables)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop it, and give the process its own AWS variables back."""
        self._server.stop()
        _take_variables()
        os.environ.update(self._before)

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables that make any AWS client use this server."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "sandbox",
            "AWS_SECRET_ACCESS_KEY": "sandbox",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def deploy(self, template: Template, *kinds: str) -> None:
        """Make the template's bucket, table, queues and rules; what is there already is left as it is or brought up.

        Args:
            template: says what there is to be.
            *kinds: makes resources of these types only.
        """
        resources = {
            name: resource
            for name, resource in template.document["Resources"].items()
            if not kinds or resource["Type"] in kinds
        }
        makers = {
            "AWS::S3::Bucket": _make_bucket,
            "AWS::DynamoDB::Table": _make_table,
            "AWS::SQS::Queue": _make_queue,
            # Each needs queues that may come after it in the template.
            "AWS::Events::Rule": _make_rule,
        }
        for kind, make in makers.items():
            for name in [name for name, resource in resources.items() if resource["Type"] == kind]:
                # moto keeps no time, and gives every event to a rule without a pattern.
                if "ScheduleExpression" not in template.resource(name):
                    make(template, name, template.resource(name))
        for name in [name for name, resource in resources.items() if resource["Type"] == "AWS::SQS::Queue"]:
            _set_redrive(template, name, template.resource(name))


def _make_bucket(template: Template, name: str, properties: dict[str, Any]) -> None:
    s3, bucket = _client("s3"), template.values[name]
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    if "EventBridgeConfiguration" in properties.get("NotificationConfiguration", {}):
        s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )


def _make_table(template: Template, name: str, properties: dict[str, Any]) -> None:
    dynamodb, table = _client("dynamodb"), template.values[name]
    known = ("AttributeDefinitions", "KeySchema", "BillingMode", "GlobalSecondaryIndexes")
    dynamodb.create_table(TableName=table, **{key: properties[key] for key in known if key in properties})
    dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification=properties["TimeToLiveSpecification"])


def _make_queue(template: Template, name: str, properties: dict[str, Any]) -> None:
    sqs = _client("sqs")
    queue = sqs.create_queue(QueueName=template.values[f"{name}.QueueName"])
    attributes = {key: template.resolve(properties[key]).lower() for key in _QUEUE_ATTRIBUTES if key in properties}
    sqs.set_queue_attributes(QueueUrl=queue["QueueUrl"], Attributes=attributes)


def _set_redrive(template: Template, name: str, properties: dict[str, Any]) -> None:
    if "RedrivePolicy" in properties:
        policy = json.dumps(template.resolve_within(properties["RedrivePolicy"]))
        _client("sqs").set_queue_attributes(QueueUrl=template.values[name], Attributes={"RedrivePolicy": policy})


def _make_rule(template: Template, name: str, properties: dict[str, Any]) -> None:
    events, rule = _client("events"), template.values[name]
    bus = template.resolve(properties.get("EventBusName", "default"))
    if bus not in [known["Name"] for known in events.list_event_buses()["EventBuses"]]:
        events.create_event_bus(Name=bus)
    pattern = json.dumps(template.resolve_within(properties["EventPattern"]))
    events.put_rule(Name=rule, EventBusName=bus, EventPattern=pattern)
    events.put_targets(Rule=rule, EventBusName=bus, Targets=template.resolve_within(properties["Targets"]))


def _client(service: str) -> Any:
    """A client of the server that the environment names; made once, which takes longer than what it is asked."""
    return _made(service, os.environ["AWS_ENDPOINT_URL"])


@cache
def _made(service: Any, url: str) -> Any:
    return boto3.client(service, endpoint_url=url)


def _take_variables() -> dict[str, str]:
    """Remove all of AWS's variables from this process's environment, and give them."""
    return {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("AWS_")}
