"""Embedded AWS has the template's resources, and is the only AWS that the process can reach."""

import json
import os
import uuid
from datetime import datetime
from typing import Any

import boto3
import httpx
import pytest

from sandbox.embedded_aws import EmbeddedAws
from sandbox.template import REGION, Template


@pytest.fixture
def template(embedded_aws: EmbeddedAws) -> Template:
    """A deployed template whose queue has a visibility timeout of 7 s."""
    name = f"embedded-{uuid.uuid4().hex[:12]}"
    template = Template(parameters={"QueueVisibilitySeconds": "7"}, stack=name, sqs_url=embedded_aws.url)
    embedded_aws.deploy(template)
    return template


def bodies(queue_url: str) -> list[Any]:
    """Receive the messages of a queue and return their JSON."""
    response = boto3.client("sqs").receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10)
    return [json.loads(message["Body"]) for message in response.get("Messages", [])]


def test_an_event_reaches_a_standard_queue_with_its_rules_message_group(template: Template) -> None:
    """The queue is a fair queue; its message is the event as EventBridge sends it."""
    detail = json.dumps({"prompt": "a fox"})
    boto3.client("events").put_events(
        Entries=[{"Source": "shop", "DetailType": "Image Generation Requested", "Detail": detail}]
    )

    received = boto3.client("sqs").receive_message(
        QueueUrl=template.values["JobQueue"], MessageSystemAttributeNames=["All"]
    )
    (message,) = received["Messages"]
    event = json.loads(message["Body"])

    assert message["Attributes"]["MessageGroupId"] == "events"
    assert (event["source"], event["detail"]) == ("shop", {"prompt": "a fox"})
    assert datetime.fromisoformat(event["time"]).tzinfo is not None


def test_the_bucket_is_in_the_region(template: Template) -> None:
    """The template's bucket exists, in the region of the sandbox's clients."""
    bucket = template.values["Bucket"]

    assert boto3.client("s3").get_bucket_location(Bucket=bucket)["LocationConstraint"] == REGION


def test_the_table_has_the_templates_properties(template: Template) -> None:
    """The template's table exists with its key, on-demand billing and its time to live."""
    dynamodb, name = boto3.client("dynamodb"), template.values["Table"]

    table = dynamodb.describe_table(TableName=name)["Table"]
    expiry = dynamodb.describe_time_to_live(TableName=name)["TimeToLiveDescription"]

    assert table["KeySchema"] == [{"AttributeName": "pk", "KeyType": "HASH"}]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert (expiry["AttributeName"], expiry["TimeToLiveStatus"]) == ("expires_at", "ENABLED")


def test_the_queue_has_the_templates_properties(template: Template) -> None:
    """The template's queue exists at its URL, with its visibility timeout and its dead-letter queue."""
    url = template.values["JobQueue"]

    attributes = boto3.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]

    assert attributes["QueueArn"] == template.values["JobQueue.Arn"]
    assert attributes["VisibilityTimeout"] == "7"
    assert json.loads(attributes["RedrivePolicy"]) == {
        "deadLetterTargetArn": template.values["DeadLetters.Arn"],
        "maxReceiveCount": 5,
    }


@pytest.mark.parametrize("detail_type", ["Image Generation Requested", "Image Edit Requested"])
def test_request_events_are_queued(template: Template, detail_type: str) -> None:
    """An event that requests images is in the queue, whatever its source."""
    entry: Any = {"Source": "shop.orders", "DetailType": detail_type, "Detail": '{"prompt": "a fox"}'}

    boto3.client("events").put_events(Entries=[entry])

    (event,) = bodies(template.values["JobQueue"])
    assert (event["source"], event["detail-type"], event["detail"]) == ("shop.orders", detail_type, {"prompt": "a fox"})
    assert event["id"]
    assert event["time"]


@pytest.mark.parametrize(
    ("source", "detail_type"),
    [("aws.s3", "Image Edit Requested"), ("image-gateway", "Image Job Succeeded"), ("shop.orders", "Order Placed")],
)
def test_other_events_are_not_queued(template: Template, source: str, detail_type: str) -> None:
    """An event that requests no images, or has a source of AWS, is not in the queue."""
    boto3.client("events").put_events(Entries=[{"Source": source, "DetailType": detail_type, "Detail": "{}"}])

    assert bodies(template.values["JobQueue"]) == []


@pytest.mark.parametrize("key", ["requests/one.json", "requests/2026/many lines.jsonl"])
def test_request_files_are_queued(template: Template, key: str) -> None:
    """A request file that is put into the bucket causes a message in the queue, with bucket and key."""
    bucket = template.values["Bucket"]

    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=b"{}")

    (event,) = bodies(template.values["JobQueue"])
    assert (event["source"], event["detail-type"]) == ("aws.s3", "Object Created")
    assert (event["detail"]["bucket"]["name"], event["detail"]["object"]["key"]) == (bucket, key)


@pytest.mark.parametrize("key", ["requests/notes.txt", "results/one.json", "images/requests/one.json", "requests/json"])
def test_other_objects_are_not_queued(template: Template, key: str) -> None:
    """Another object, such as a result, causes no message."""
    boto3.client("s3").put_object(Bucket=template.values["Bucket"], Key=key, Body=b"{}")

    assert bodies(template.values["JobQueue"]) == []


def test_a_deployment_may_have_its_own_bus(embedded_aws: EmbeddedAws) -> None:
    """An event bus that a parameter names is created, and requests on it are queued."""
    name = f"embedded-{uuid.uuid4().hex[:12]}"
    template = Template(parameters={"EventBusName": name}, stack=name, sqs_url=embedded_aws.url)
    embedded_aws.deploy(template)
    entry: Any = {"Source": "shop", "DetailType": "Image Edit Requested", "Detail": "{}", "EventBusName": name}

    boto3.client("events").put_events(Entries=[entry])

    assert len(bodies(template.values["JobQueue"])) == 1


def test_a_second_deployment_updates_queues_and_rules(embedded_aws: EmbeddedAws) -> None:
    """A second deployment of the same name, with another bucket and table, updates the existing queues and rules."""
    name = f"embedded-{uuid.uuid4().hex[:12]}"
    for number, visibility in enumerate(("7", "9")):
        template = Template(parameters={"QueueVisibilitySeconds": visibility}, stack=name)
        template.values.update(Bucket=f"{name}-{number}", Table=f"{name}-{number}", UsageTable=f"{name}-{number}-usage")
        embedded_aws.deploy(template)

    queue = boto3.client("sqs").get_queue_attributes(
        QueueUrl=template.values["JobQueue"], AttributeNames=["VisibilityTimeout"]
    )

    assert queue["Attributes"]["VisibilityTimeout"] == "9"


def test_a_developers_own_account_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's profile, session and endpoint are neither needed nor used, and are restored afterwards."""
    monkeypatch.setenv("AWS_PROFILE", "no-such-profile")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "planted-session")
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://192.0.2.1")
    with EmbeddedAws() as aws:
        client = boto3.session.Session().client("s3")
        assert client.meta.endpoint_url == aws.url
        assert {name for name in os.environ if name.startswith("AWS_")} == set(aws.variables)
        client.list_buckets()

    assert os.environ["AWS_PROFILE"] == "no-such-profile"
    assert os.environ["AWS_SESSION_TOKEN"] == "planted-session"


def test_two_servers_have_different_ports() -> None:
    """Servers use free ports, so that several sandboxes can run on one computer."""
    with EmbeddedAws() as first, EmbeddedAws() as second:
        assert first.url != second.url


def test_the_server_stops_at_the_end_of_the_block() -> None:
    """After the block, connections are refused."""
    with EmbeddedAws() as aws:
        pass

    with pytest.raises(httpx.ConnectError):
        httpx.get(aws.url, timeout=1, trust_env=False)
