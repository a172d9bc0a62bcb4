"""What a call to AWS may raise, and the one mapping of it to the gateway's own errors."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from image_gateway.errors import StorageUnavailable

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
GONE = frozenset({"NoSuchKey", "NoSuchVersion", "AccessDenied", "PreconditionFailed", "404", "403", "412"})
"""Codes of an object that does not exist: S3 answers 403 to those who may not list the bucket, and 412 where the object
under the key has been replaced."""
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
    def gone(self) -> bool:
        """Whether S3 says that the object does not exist, or not any more."""
        return self.code in GONE

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed a moment later."""
        return self.throttled or self.code in TRANSIENT or self.status in TRANSIENT_STATUSES


class NoResponse(AwsError):
    """There was no whole answer, so nobody knows whether the request arrived."""

    @property
    def transient(self) -> bool:
        """The next connection may do better."""
        return True


def unavailable(failure: str, error: AwsError, **options: Any) -> StorageUnavailable:
    """The gateway's error for a call to AWS that failed.

    Args:
        failure: what was not done, as a sentence without its full stop, for the caller.
        error: why; only its code is shown.
        options: of `StorageUnavailable`; `retry_after` is one second where nothing else is said.
    """
    return StorageUnavailable(f"{failure}: {error.code}", **{"retry_after": 1, **options})


@contextmanager
def storage_errors(failure: str, **options: Any) -> Iterator[None]:
    """Raise `StorageUnavailable` in place of an `AwsError` of the block; arguments as those of `unavailable`."""
    try:
        yield
    except AwsError as error:
        raise unavailable(failure, error, **options) from error
