"""Region, endpoints and credentials are those that boto3 would use."""

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
def no_aws_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Remove all AWS settings from the environment."""
    import os

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    environment.session.cache_clear()


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("service", SERVICES)
def test_hosts_equal_botocores(monkeypatch: pytest.MonkeyPatch, region: str, service: str) -> None:
    """The host of a service is botocore's in every partition."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    client = boto3.client(service, aws_access_key_id="x", aws_secret_access_key="x")  # type: ignore[call-overload]  # any

    if (service, region) != ("s3", "us-east-1"):  # botocore has the legacy global host here
        assert f"https://{environment.host(service)}" == client.meta.endpoint_url


@pytest.mark.parametrize("service", SERVICES)
def test_the_endpoint_of_a_service_overrides_the_general_one(monkeypatch: pytest.MonkeyPatch, service: str) -> None:
    """Endpoints are read from the same variables as in boto3, with the same precedence."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    assert environment.custom_endpoint(service) is None
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://all.example/")
    assert environment.custom_endpoint(service) == "http://all.example"
    monkeypatch.setenv(f"AWS_ENDPOINT_URL_{'EVENTBRIDGE' if service == 'events' else service.upper()}", "http://one")

    client = boto3.client(service, aws_access_key_id="x", aws_secret_access_key="x")  # type: ignore[call-overload]  # any
    assert environment.custom_endpoint(service) == "http://one" == client.meta.endpoint_url


def test_lambdas_variables_are_read_at_every_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """A role's credentials can change during the life of a process."""
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "A")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    assert environment.credentials() == Credentials("A", "s", None)
    monkeypatch.setenv("AWS_SESSION_TOKEN", "t")

    assert environment.credentials() == Credentials("A", "s", "t")
    assert environment.region() == "eu-central-1"


def test_a_profile_is_used_without_variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without variables, boto3 reads the credentials and the region of the profile."""
    (tmp_path / "config").write_text("[profile work]\nregion = eu-west-3\n")
    (tmp_path / "credentials").write_text("[work]\naws_access_key_id = B\naws_secret_access_key = s\n")
    monkeypatch.setenv("AWS_PROFILE", "work")

    assert environment.credentials() == Credentials("B", "s", None)
    assert environment.region() == "eu-west-3"


def test_missing_credentials_and_region_are_errors() -> None:
    """The errors name the variables to set."""
    with pytest.raises(AwsError, match=r"NoCredentials: set AWS_PROFILE"):
        environment.credentials()
    with pytest.raises(AwsError, match=r"NoRegion: set AWS_REGION"):
        environment.region()
