"""The AWS region, endpoints and credentials from the environment.

Lambda sets all necessary variables. Where they are not set (a developer's profile, a container's role), boto3 is loaded
and searches its usual sources. `AWS_USE_FIPS_ENDPOINT` and `AWS_USE_DUALSTACK_ENDPOINT` select hosts as for boto3.
"""

import os
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from image_gateway.aws.errors import AwsError
from image_gateway.aws.signing import Credentials

if TYPE_CHECKING:
    import boto3

_FIPS = "AWS_USE_FIPS_ENDPOINT"
_DUAL_STACK = "AWS_USE_DUALSTACK_ENDPOINT"


class _Partition(NamedTuple):
    """The suffixes of host names."""

    suffix: str
    dual_stack_suffix: str


# Prefixes of regions. All other regions are in the partition `aws` or `aws-us-gov` (botocore's partitions.json).
_PARTITIONS = {
    "cn-": _Partition("amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    "eusc-": _Partition("amazonaws.eu", "api.amazonwebservices.eu"),
    "us-iso-": _Partition("c2s.ic.gov", "api.aws.ic.gov"),
    "us-isob-": _Partition("sc2s.sgov.gov", "api.aws.scloud"),
    "us-isof-": _Partition("csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    "eu-isoe-": _Partition("cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
}
_COMMERCIAL = _Partition("amazonaws.com", "api.aws")


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
    """Return the public host name of a service in the region, of the variant that the environment selects.

    Raises:
        AwsError: no region is set, or it has no FIPS endpoints, or a variable is invalid. The code is the variable.
    """
    name, fips, dual_stack = region(), _is_true(_FIPS), _is_true(_DUAL_STACK)
    partition = next((found for prefix, found in _PARTITIONS.items() if name.startswith(prefix)), _COMMERCIAL)
    # Only S3's rule set says so, but without S3 no image could be stored.
    if fips and name.startswith("cn-"):
        raise AwsError(_FIPS, f"{name} has no FIPS endpoints")
    label = f"{service}-fips" if fips and not _is_always_fips(service, name, dual_stack=dual_stack) else service
    if not dual_stack:
        return f"{label}.{name}.{partition.suffix}"
    if service == "s3":
        return f"{label}.dualstack.{name}.{partition.suffix}"
    return f"{label}.{name}.{partition.dual_stack_suffix}"


def _is_always_fips(service: str, region: str, *, dual_stack: bool) -> bool:
    """Whether the ordinary host of a service uses FIPS 140 (GovCloud; botocore's endpoint rule sets)."""
    return region.startswith("us-gov-") and service != "s3" and (service == "events" or not dual_stack)


def _is_true(variable: str) -> bool:
    """Return whether a variable is true; it is false if it is empty or not set.

    Raises:
        AwsError: the variable has another value, which only some of AWS's SDKs would read as true.
    """
    value = os.environ.get(variable, "").lower()
    if value not in {"", "true", "false"}:
        raise AwsError(variable, "must be true or false")
    return value == "true"


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
