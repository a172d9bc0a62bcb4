"""Embedded AWS has the template's resources, and is the only AWS that the process knows meanwhile."""

import os
import uuid

import boto3
import httpx
import pytest

from sandbox.embedded_aws import REGION, EmbeddedAws
from sandbox.template import Template


@pytest.fixture
def deployed(embedded_aws: EmbeddedAws) -> str:
    """The name of a bucket and of a table that were deployed."""
    name = f"embedded-{uuid.uuid4().hex[:12]}"
    template = Template()
    template.values.update(Bucket=name, Table=name)
    embedded_aws.deploy(template)
    return name


def test_the_bucket_is_in_the_region(deployed: str) -> None:
    """The template's bucket exists, in the region that clients are told."""
    assert boto3.client("s3").get_bucket_location(Bucket=deployed)["LocationConstraint"] == REGION


def test_the_table_is_as_the_template_says(deployed: str) -> None:
    """The template's table exists with its key, on demand, and its time to live."""
    dynamodb = boto3.client("dynamodb")

    table = dynamodb.describe_table(TableName=deployed)["Table"]
    expiry = dynamodb.describe_time_to_live(TableName=deployed)["TimeToLiveDescription"]

    assert table["KeySchema"] == [{"AttributeName": "pk", "KeyType": "HASH"}]
    assert table["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert (expiry["AttributeName"], expiry["TimeToLiveStatus"]) == ("expires_at", "ENABLED")


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
