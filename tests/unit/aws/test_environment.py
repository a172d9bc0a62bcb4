"""Region, endpoints and credentials: what boto3 would use."""

from pathlib import Path

import boto3
import pytest

from image_gateway.aws import AwsError, environment
from image_gateway.aws.signing import Credentials

REGIONS = [
    "us-east-1",
    "eu-central-2",
    "il-central-1",
    "us-gov-west-1",
    "cn-north-1",
    "us-iso-east-1",
    "us-isob-east-1",
    "us-isof-south-1",
    "eu-isoe-west-1",
    "eusc-de-east-1",
]
SERVICES = ["dynamodb", "events", "s3", "sqs", "ssm"]


@pytest.fixture(autouse=True)
def empty(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine that knows nothing of AWS."""
    import os

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    environment.session.cache_clear()


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("service", SERVICES)
def test_hosts_are_botocores(monkeypatch: pytest.MonkeyPatch, region: str, service: str) -> None:
    """In every partition."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    client = boto3.client(service, aws_access_key_id="x", aws_secret_access_key="x")  # type: ignore[call-overload]  # any

    if (service, region) != ("s3", "us-east-1"):  # there botocore gives the old global host, which signs for no region
        assert f"https://{environment.host(service)}" == client.meta.endpoint_url


@pytest.mark.parametrize("service", SERVICES)
def test_a_services_own_endpoint_wins(monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    """As for boto3, under the same names."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    assert environment.custom_endpoint(service) is None
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://all.example/")
    assert environment.custom_endpoint(service) == "http://all.example"
    monkeypatch.setenv(f"AWS_ENDPOINT_URL_{'EVENTBRIDGE' if service == 'events' else service.upper()}", "http://one")

    client = boto3.client(service, aws_access_key_id="x", aws_secret_access_key="x")  # type: ignore[call-overload]  # any
    assert environment.custom_endpoint(service) == "http://one" == client.meta.endpoint_url


def test_lambdas_variables_are_read_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A role's credentials change while a process lives."""
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "A")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    assert environment.credentials() == Credentials("A", "s", None)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "t")

    assert environment.credentials() == Credentials("A", "s", "t")
    assert environment.region() == "eu-central-1"


def test_a_profile_stands_in_for_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On a developer's machine, boto3 knows."""
    (tmp_path / "config").write_text("[profile work]\nregion = eu-west-3\n")
    (tmp_path / "credentials").write_text("[work]\naws_access_key_id = B\naws_secret_access_key = s\n")
    monkeypatch.setenv("AWS_PROFILE", "work")

    assert environment.credentials() == Credentials("B", "s", None)
    assert environment.region() == "eu-west-3"


def test_nothing_is_known() -> None:
    """The error says what to set."""
    with pytest.raises(AwsError, match=r"NoCredentials: set AWS_PROFILE"):
        environment.credentials()
    with pytest.raises(AwsError, match=r"NoRegion: set AWS_REGION"):
        environment.region()
