"""What a call to AWS may raise."""

from collections.abc import Mapping
from typing import Any

THROTTLED = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
"""Codes by which services ask to slow down (botocore's `retries.standard`)."""
TRANSIENT = frozenset(
    {
        "PriorRequestNotComplete",
        "RequestTimeout",
        "RequestTimeoutException",
        # An item is in a transaction that is under way; not in botocore's list.
        "TransactionConflictException",
    }
)
"""Codes of failures that pass by themselves, beside the statuses below."""
TRANSIENT_STATUSES = frozenset({500, 502, 503, 504})
TOO_LARGE = "EntityTooLarge"
"""The code where an object has more bytes than the caller takes."""


class AwsError(Exception):
    """AWS refused a request, failed, or was not reached.

    Attributes:
        code: the service's own, such as `ParameterNotFound`; of an answer without one, its status (`404`); where there
            was no answer, the kind of the failure (`ConnectTimeout`).
        status: of HTTP; 0 where there was no answer.
        response: the body of a JSON service's answer, such as a transaction's `CancellationReasons`.
    """

    def __init__(
        self, code: str, message: str = "", *, status: int = 0, response: Mapping[str, Any] | None = None
    ) -> None:
        # What a service says of a value that does not validate can quote the value.
        super().__init__(f"{code}: {message}" if message and "Validation" not in code else code)
        self.code = code
        self.status = status
        self.response = response or {}

    @property
    def throttled(self) -> bool:
        """Whether the service asks to slow down."""
        return self.code in THROTTLED

    @property
    def passing(self) -> bool:
        """Whether the same request may succeed a moment later."""
        return self.throttled or self.code in TRANSIENT or self.status in TRANSIENT_STATUSES


class Unreached(AwsError):
    """There was no whole answer, so nobody knows whether the request arrived."""

    @property
    def passing(self) -> bool:
        """The next connection may do better."""
        return True
