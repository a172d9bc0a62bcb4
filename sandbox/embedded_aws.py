"""AWS on a laptop: moto's server over HTTP, with the template's resources."""

import json
import logging
import os
from functools import cache
from typing import Any, Final, Self

import boto3
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from sandbox import moto_fixes
from sandbox.template import REGION, Template

_QUEUE_ATTRIBUTES: Final = ("VisibilityTimeout", "MessageRetentionPeriod", "SqsManagedSseEnabled")


class EmbeddedAws:
    """Runs moto's server for the duration of a `with` block; in the block, this process can reach no other AWS.

    moto keeps its data for the life of the process, so a second server has the resources and data of the first one.
    """

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._saved_variables: dict[str, str] = {}

    def __enter__(self) -> Self:
        """Start the server on a free port."""
        moto_fixes.apply()
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.url = f"http://{host}:{port}"
        # A developer's own profile or session token must neither be needed nor be sent.
        self._saved_variables = _remove_aws_variables()
        os.environ.update(self.variables)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server and restore the process's own AWS variables."""
        self._server.stop()
        _remove_aws_variables()
        os.environ.update(self._saved_variables)

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
            # moto handles most requests one at a time, and the computer may be busy with other work.
            "AWS_TIME_LIMIT_FACTOR": "20",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def deploy(self, template: Template, *types: str) -> None:
        """Create the template's bucket, table, queues and rules; existing queues and rules are updated.

        Args:
            template: the template to deploy.
            *types: CloudFormation resource types to create, e.g. `AWS::S3::Bucket`; none given creates all.
        """
        resources = {
            name: resource
            for name, resource in template.document["Resources"].items()
            if not types or resource["Type"] in types
        }
        create_functions = {
            "AWS::S3::Bucket": _create_bucket,
            "AWS::DynamoDB::Table": _create_table,
            "AWS::SQS::Queue": _create_queue,
            # Rules come last: their target queues may follow them in the template.
            "AWS::Events::Rule": _create_rule,
        }
        for resource_type, create in create_functions.items():
            for name in [name for name, resource in resources.items() if resource["Type"] == resource_type]:
                # moto runs no schedules, and sends every event to the targets of a rule without a pattern.
                if "ScheduleExpression" not in template.properties(name):
                    create(template, name, template.properties(name))
        for name in [name for name, resource in resources.items() if resource["Type"] == "AWS::SQS::Queue"]:
            _set_redrive(template, name, template.properties(name))


def _create_bucket(template: Template, name: str, properties: dict[str, Any]) -> None:
    s3, bucket = _client("s3"), template.values[name]
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION})
    if "EventBridgeConfiguration" in properties.get("NotificationConfiguration", {}):
        s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )


def _create_table(template: Template, name: str, properties: dict[str, Any]) -> None:
    dynamodb, table = _client("dynamodb"), template.values[name]
    supported = ("AttributeDefinitions", "KeySchema", "BillingMode", "GlobalSecondaryIndexes")
    dynamodb.create_table(TableName=table, **{key: properties[key] for key in supported if key in properties})
    dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification=properties["TimeToLiveSpecification"])


def _create_queue(template: Template, name: str, properties: dict[str, Any]) -> None:
    sqs = _client("sqs")
    queue = sqs.create_queue(QueueName=template.values[f"{name}.QueueName"])
    attributes = {key: template.resolve(properties[key]).lower() for key in _QUEUE_ATTRIBUTES if key in properties}
    sqs.set_queue_attributes(QueueUrl=queue["QueueUrl"], Attributes=attributes)


def _set_redrive(template: Template, name: str, properties: dict[str, Any]) -> None:
    if "RedrivePolicy" in properties:
        policy = json.dumps(template.resolve_within(properties["RedrivePolicy"]))
        _client("sqs").set_queue_attributes(QueueUrl=template.values[name], Attributes={"RedrivePolicy": policy})


def _create_rule(template: Template, name: str, properties: dict[str, Any]) -> None:
    events, rule = _client("events"), template.values[name]
    bus = template.resolve(properties.get("EventBusName", "default"))
    if bus not in [existing["Name"] for existing in events.list_event_buses()["EventBuses"]]:
        events.create_event_bus(Name=bus)
    pattern = json.dumps(template.resolve_within(properties["EventPattern"]))
    events.put_rule(Name=rule, EventBusName=bus, EventPattern=pattern)
    events.put_targets(Rule=rule, EventBusName=bus, Targets=template.resolve_within(properties["Targets"]))


def _client(service: str) -> Any:
    """Return a client of the server that the environment names."""
    return _cached_client(service, os.environ["AWS_ENDPOINT_URL"])


@cache  # creating a client takes longer than its requests
def _cached_client(service: Any, url: str) -> Any:
    return boto3.client(service, endpoint_url=url)


def _remove_aws_variables() -> dict[str, str]:
    """Remove all `AWS_` variables from this process's environment and return them."""
    return {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("AWS_")}
