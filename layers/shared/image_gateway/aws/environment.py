"""The AWS region, endpoints and credentials from the environment.

Lambda sets all necessary variables. Where they are not set (a developer's profile, a container's role), boto3 is loaded
and searches its usual sources. FIPS endpoints are not selected automatically: set `AWS_ENDPOINT_URL_{SERVICE}`.
"""

import os
from functools import cache
from typing import TYPE_CHECKING

from image_gateway.aws.errors import AwsError
from image_gateway.aws.signing import Credentials

if TYPE_CHECKING:
    import boto3

# Prefixes of regions. All other regions are in the partition `aws` or `aws-us-gov` (botocore's partitions.json).
_SUFFIXES = {
    "cn-": "amazonaws.com.cn",
    "eusc-": "amazonaws.eu",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "us-isof-": "csp.hci.ic.gov",
    "eu-isoe-": "cloud.adc-e.uk",
}


def region() -> str:
    """Return the region: from the variables of boto3 and Lambda, or from the profile.

    Raises:
        AwsError: no region is set.
    """
    name = os.environ.get("AWS_DEFAULT_REGION") or os.environ.get("AWS_REGION") or session().region_name
    if not name:
        raise AwsError("NoRegion", "set AWS_REGION")
    return name


def custom_endpoint(service: str) -> str | None:
    """Return the URL that a variable sets for a service, or for all services, without a trailing slash; else None."""
    name = {"events": "EVENTBRIDGE"}.get(service, service.upper())
    url = os.environ.get(f"AWS_ENDPOINT_URL_{name}") or os.environ.get("AWS_ENDPOINT_URL")
    return url.rstrip("/") if url else None


def host(service: str) -> str:
    """Return the public host name of a service in the region."""
    name = region()
    suffix = next((suffix for prefix, suffix in _SUFFIXES.items() if name.startswith(prefix)), "amazonaws.com")
    return f"{service}.{name}.{suffix}"


def credentials() -> Credentials:
    """Return the current credentials. Outside Lambda this may block while boto3 renews a role's credentials.

    Raises:
        AwsError: there are no credentials.
    """
    key, secret = os.environ.get("AWS_ACCESS_KEY_ID"), os.environ.get("AWS_SECRET_ACCESS_KEY")
    if key and secret:
        return Credentials(key, secret, os.environ.get("AWS_SESSION_TOKEN") or None)
    renewable = session().get_credentials()
    frozen = renewable.get_frozen_credentials() if renewable else None
    if frozen is None or not frozen.access_key or not frozen.secret_key:
        raise AwsError("NoCredentials", "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    return Credentials(frozen.access_key, frozen.secret_key, frozen.token)


@cache
def session() -> "boto3.session.Session":
    """Return boto3's session, which reads profiles, assumes roles, and renews credentials that expire."""
    import boto3  # noqa: PLC0415 - takes 130 ms, and no function on Lambda needs it

    return boto3.session.Session()
