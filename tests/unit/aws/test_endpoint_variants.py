"""FIPS and dual-stack endpoints are botocore's, in every partition, and none is replaced by another silently."""

from functools import cache

import botocore.session
import pytest
from botocore.endpoint_provider import EndpointProvider

from image_gateway.aws import Aws, AwsError, Bucket, Table, environment
from image_gateway.errors import StorageUnavailable

REGIONS = [
    *("us-east-1", "ca-west-1", "eu-central-1", "il-central-1", "us-gov-east-1", "us-gov-west-1", "cn-north-1"),
    *("us-iso-east-1", "us-isob-east-1", "us-isof-south-1", "eu-isoe-west-1", "eusc-de-east-1"),
]
SERVICES = ["dynamodb", "events", "s3", "sqs", "ssm"]
FIPS, DUAL_STACK = "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"


@cache
def rules(service: str) -> EndpointProvider:
    loader = botocore.session.get_session().get_component("data_loader")
    return EndpointProvider(loader.load_service_model(service, "endpoint-rule-set-1"), loader.load_data("partitions"))


def botocores_url(service: str, region: str, *, fips: bool, dual_stack: bool) -> str:
    """Return the URL of a service, to which botocore sends requests; for S3, requests without a bucket's name in it."""
    bucket = {"Bucket": "bucket"} if service == "s3" else {}
    endpoint = rules(service).resolve_endpoint(Region=region, UseFIPS=fips, UseDualStack=dual_stack, **bucket)
    return str(endpoint.url).replace("https://bucket.", "https://")


@pytest.fixture(autouse=True)
def no_aws_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove all AWS settings from the environment."""
    import os

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize("region", REGIONS)
@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(("fips", "dual_stack"), [(True, False), (False, True), (True, True)])
def test_variants_equal_botocores(
    monkeypatch: pytest.MonkeyPatch, region: str, service: str, fips: bool, dual_stack: bool
) -> None:
    """China has no FIPS endpoints of S3, so there every call is refused with the name of the variable."""
    monkeypatch.setenv("AWS_REGION", region)
    monkeypatch.setenv(FIPS, str(fips).lower())
    monkeypatch.setenv(DUAL_STACK, str(dual_stack).upper())
    # botocore refuses FIPS in China for S3 only, without which no image could be stored.
    if fips and region.startswith("cn-"):
        with pytest.raises(AwsError, match=f"{FIPS}: cn-north-1 has no FIPS endpoints"):
            environment.host(service)
    else:
        url = botocores_url(service, region, fips=fips, dual_stack=dual_stack)
        assert f"https://{environment.host(service)}" == url


@pytest.mark.parametrize("name", [FIPS, DUAL_STACK])
@pytest.mark.parametrize("value", ["1", "yes", "on", "True "])
def test_another_value_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """Only true and false are read by every AWS SDK; another value would be ignored by some of them."""
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv(name, value)

    with pytest.raises(AwsError, match=f"{name}: must be true or false"):
        environment.host("s3")


@pytest.mark.parametrize("value", ["", "false", "False"])
def test_false_and_nothing_change_nothing(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    """An empty variable counts as absent."""
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv(FIPS, value)
    monkeypatch.setenv(DUAL_STACK, value)

    assert environment.host("s3") == "s3.us-east-1.amazonaws.com"


def test_presigned_urls_use_the_same_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bucket's host is the variant's, also in what callers receive."""
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "A")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s")
    monkeypatch.setenv(FIPS, "true")
    monkeypatch.setenv(DUAL_STACK, "true")

    assert (
        Bucket(Aws(), "b").presigned_url("k", 60).startswith("https://b.s3-fips.dualstack.us-east-1.amazonaws.com/k?")
    )


def test_a_custom_endpoint_overrides_the_variants(monkeypatch: pytest.MonkeyPatch) -> None:
    """`AWS_ENDPOINT_URL` is the last word, as for botocore."""
    monkeypatch.setenv(FIPS, "true")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")

    assert environment.custom_endpoint("ssm") == "http://127.0.0.1:1"


@pytest.mark.anyio
async def test_callers_learn_which_variable_to_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error of a request names the variable."""
    monkeypatch.setenv("AWS_REGION", "cn-north-1")
    monkeypatch.setenv(FIPS, "true")

    with pytest.raises(StorageUnavailable, match=f"cannot be read: {FIPS}"):
        await Table(Aws(), "table").get({"pk": {"S": "x"}}, "The item cannot be read")
