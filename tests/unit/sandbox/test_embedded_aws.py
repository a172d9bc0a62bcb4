"""Embedded AWS has the template's resources, and is the only AWS that the process knows meanwhile."""

import json
import os
import uuid
from typing import Any

import boto3
import httpx
import pytest

from sandbox.embedded_aws import REGION, EmbeddedAws
from sandbox.template import Template


@pytest.fixture
def template(embedded_aws: EmbeddedAws) -> Template:
    """A template that was deployed, with messages that are hidden for 7 s."""
    name = f"embedded-{uuid.uuid4().hex[:12]}"
    template = Template(parameters={"QueueVisibilitySeconds": "7"}, stack=name, sqs_url=embedded_aws.url)
    embedded_aws.deploy(template)
    return template


def bodies(queue_url: str) -> list[Any]:
    """The JSON in the messages of a queue, which are taken out of it."""
    found = boto3.client("sqs").receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(message["Body"]) for message in found]


def test_the_bucket_is_in_the_region(template: Template) -> None:
    """The template's bucket exists, in the region that clients are told."""
    bucket = template.values["Bucket"]

    assert boto3.client("s3").get_bucket_location(Bucket=bucket)["LocationConstraint"] == REGION


def test_the_table_is_as_the_template_says(template: Template) -> None:
    """The template's table exists with its key, on demand, and its time to live."""
    dynamodb, deployed = boto3.client("dynamodb"), template.values["Table"]

    table = dynamodb.describe_table(TableName=deployed)["Table"]
    expiry = dynamodb.describe_time_to_live(TableName=deployed)["TimeToLiveDescription"]

    assert table["KeySchema"] == [{"AttributeName": "pk", "KeyType": "HASH"}]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert (expiry["AttributeName"], expiry["TimeToLiveStatus"]) == ("expires_at", "ENABLED")


def test_the_queue_is_as_the_template_says(template: Template) -> None:
    """The template's queue exists at its URL with its visibility, and gives its messages up to the dead letters."""
    url = template.values["JobQueue"]

    found = boto3.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]

    assert found["QueueArn"] == template.values["JobQueue.Arn"]
    assert found["VisibilityTimeout"] == "7"
    assert json.loads(found["RedrivePolicy"]) == {
        "deadLetterTargetArn": template.values["DeadLetters.Arn"],
        "maxReceiveCount": 5,
    }


@pytest.mark.parametrize("detail_type", ["Image Generation Requested", "Image Edit Requested"])
def test_requests_by_event_are_queued(template: Template, detail_type: str) -> None:
    """An event that asks for images is in the queue, whoever sent it."""
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
    """What asks for nothing, or says to come from AWS itself, is not in the queue."""
    boto3.client("events").put_events(Entries=[{"Source": source, "DetailType": detail_type, "Detail": "{}"}])

    assert bodies(template.values["JobQueue"]) == []


@pytest.mark.parametrize("key", ["requests/one.json", "requests/2026/many lines.jsonl"])
def test_request_files_are_queued(template: Template, key: str) -> None:
    """A request file that is put into the bucket is told of in the queue, with bucket and key."""
    bucket = template.values["Bucket"]

    boto3.client("s3").put_object(Bucket=bucket, Key=key, Body=b"{}")

    (event,) = bodies(template.values["JobQueue"])
    assert (event["source"], event["detail-type"]) == ("aws.s3", "Object Created")
    assert (event["detail"]["bucket"]["name"], event["detail"]["object"]["key"]) == (bucket, key)


@pytest.mark.parametrize("key", ["requests/notes.txt", "results/one.json", "images/requests/one.json", "requests/json"])
def test_other_objects_are_not_queued(template: Template, key: str) -> None:
    """Another object, such as a result, is not told of."""
    boto3.client("s3").put_object(Bucket=template.values["Bucket"], Key=key, Body=b"{}")

    assert bodies(template.values["JobQueue"]) == []


def test_deployments_have_their_own_bus(embedded_aws: EmbeddedAws) -> None:
    """A bus that a parameter names is made, and requests come in by it."""
    name = f"embedded-{uuid.uuid4().hex[:12]}"
    template = Template(parameters={"EventBusName": name}, stack=name, sqs_url=embedded_aws.url)
    embedded_aws.deploy(template)
    entry: Any = {"Source": "shop", "DetailType": "Image Edit Requested", "Detail": "{}", "EventBusName": name}

    boto3.client("events").put_events(Entries=[entry])

    assert len(bodies(template.values["JobQueue"])) == 1


def test_queues_and_rules_are_deployed_again(embedded_aws: EmbeddedAws) -> None:
    """A second deployment of the same name with another bucket finds queues and rules there, and brings them up."""
    name = f"embedded-{uuid.uuid4().hex[:12]}"
    for number, visibility in enumerate(("7", "9")):
        template = Template(parameters={"QueueVisibilitySeconds": visibility}, stack=name)
        template.values.update(Bucket=f"{name}-{number}", Table=f"{name}-{number}")
        embedded_aws.deploy(template)

    found = boto3.client("sqs").get_queue_attributes(
        QueueUrl=template.values["JobQueue"], AttributeNames=["VisibilityTimeout"]
    )

    assert found["Attributes"]["VisibilityTimeout"] == "9"


def test_a_developers_own_account_is_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's profile, session and endpoint are neither needed nor used, and are there again afterwards."""
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


def test_two_have_ports_of_their_own() -> None:
    """Servers take free ports, so that any number of sandboxes runs on a machine."""
    with EmbeddedAws() as one, EmbeddedAws() as other:
        assert one.url != other.url


def test_the_server_ends() -> None:
    """After the block nothing answers."""
    with EmbeddedAws() as aws:
        pass

    with pytest.raises(httpx.ConnectError):
        httpx.get(aws.url, timeout=1, trust_env=False)
