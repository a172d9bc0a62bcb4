"""What the environment says of AWS: the region, the endpoints of services, and the credentials.

Lambda sets variables for all that is needed. Where they are not set (a developer's profile, a container's role), boto3
looks where it always does; only then is it loaded. Endpoints of FIPS are not chosen by themselves: name them by
`AWS_ENDPOINT_URL_{SERVICE}`.
"""

import os
from functools import cache
from typing import TYPE_CHECKING

from image_gateway.aws.errors import AwsError
from image_gateway.aws.signing import Credentials

if TYPE_CHECKING:
    import boto3

# The most specific first; every other region is of the partition `aws` or `aws-us-gov` (botocore's partitions.json).
_SUFFIXES = {
    "cn-": "amazonaws.com.cn",
    "eusc-": "amazonaws.eu",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "us-isof-": "csp.hci.ic.gov",
    "eu-isoe-": "cloud.adc-e.uk",
}


def region() -> str:
    """The region, by the variables that boto3 and Lambda know, or by the profile.

    Raises:
        AwsError: nothing names one.
    """
    found = os.environ.get("AWS_DEFAULT_REGION") or os.environ.get("AWS_REGION") or session().region_name
    if not found:
        raise AwsError("NoRegion", "set AWS_REGION")
    return found


def custom_endpoint(service: str) -> str | None:
    """The URL, without a slash at its end, that a variable sets for a service, or for all; None where none does."""
    name = {"events": "EVENTBRIDGE"}.get(service, service.upper())
    found = os.environ.get(f"AWS_ENDPOINT_URL_{name}") or os.environ.get("AWS_ENDPOINT_URL")
    return found.rstrip("/") if found else None


def host(service: str) -> str:
    """The public host of a service in the region."""
    where = region()
    suffix = next((suffix for prefix, suffix in _SUFFIXES.items() if where.startswith(prefix)), "amazonaws.com")
    return f"{service}.{where}.{suffix}"


def credentials() -> Credentials:
    """The credentials as they are now. Outside of Lambda, renewing a role's may block for as long as that takes.

    Raises:
        AwsError: there are none.
    """
    key, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if key and secret:
        return Credentials(key, secret, os.environ.get("AWS_SESSION_TOKEN") or None)
    found = session().get_credentials()
    frozen = found.get_frozen_credentials() if found else None
    if frozen is None or not frozen.access_key or not frozen.secret_key:
        raise AwsError("NoCredentials", "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    return Credentials(frozen.access_key, frozen.secret_key, frozen.token)


@cache
def session() -> "boto3.session.Session":
    """boto3's session: it knows profiles and roles, and renews what expires."""
    import boto3  # noqa: PLC0415 - 130 ms that a function on Lambda has no use for

    return boto3.session.Session()
