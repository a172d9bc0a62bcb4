"""Errors of calls to AWS, and their mapping to the gateway's errors."""

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
"""Error codes of throttling (from botocore's `retries.standard`)."""
TRANSACTION_CONFLICT = "TransactionConflictException"
"""The error code if the item of a write is in a transaction that is in progress."""
TRANSIENT = frozenset(
    {
        "PriorRequestNotComplete",
        "RequestTimeout",
        "RequestTimeoutException",
        TRANSACTION_CONFLICT,  # not in botocore's list
    }
)
"""Error codes of transient failures, in addition to the statuses below."""
TRANSIENT_STATUSES = frozenset({500, 502, 503, 504})
GONE = frozenset({"NoSuchKey", "NoSuchVersion", "AccessDenied", "PreconditionFailed", "404", "403", "412"})
"""Error codes for an object that does not exist. S3 responds with 403 to callers that may not list the bucket, and with
412 if the object under the key was replaced."""
_NOT_CONNECTED = frozenset({"ConnectError", "ConnectTimeout"})
TOO_LARGE = "EntityTooLarge"
"""The error code if an object is larger than the caller's `max_bytes`."""


class AwsError(Exception):
    """AWS refused a request, failed, or did not respond.

    Attributes:
        code: the service's error code, such as `ParameterNotFound`; for a response without a code, its status (`404`);
            without a response, the kind of failure (`ConnectTimeout`).
        status: the HTTP status; 0 without a response.
        response: the body of a JSON service's response, for instance with a transaction's `CancellationReasons`.
    """

    def __init__(
        self, code: str, message: str = "", *, status: int = 0, response: Mapping[str, Any] | None = None
    ) -> None:
        # A validation message may quote the invalid value, which can be a secret.
        super().__init__(f"{code}: {message}" if message and "Validation" not in code else code)
        self.code = code
        self.status = status
        self.response = response or {}

    @property
    def throttled(self) -> bool:
        """Whether the service throttles requests."""
        return self.code in THROTTLED

    @property
    def conflict(self) -> bool:
        """Whether the item of a write is in a transaction that is in progress."""
        return self.code == TRANSACTION_CONFLICT

    @property
    def gone(self) -> bool:
        """Whether S3 reports that the object does not exist, or no longer exists."""
        return self.code in GONE

    @property
    def transient(self) -> bool:
        """Whether the same request may succeed if it is sent again."""
        return self.throttled or self.code in TRANSIENT or self.status in TRANSIENT_STATUSES

    @property
    def may_be_done(self) -> bool:
        """Whether the service may have executed the request all the same: it did not say that it refused it."""
        return self.status >= 500 and not self.throttled


class NoResponse(AwsError):
    """There was no complete response, so it is unknown whether the request arrived."""

    @property
    def transient(self) -> bool:
        """Always true, because another connection may work."""
        return True

    @property
    def may_be_done(self) -> bool:
        """True unless there was no connection on which the request could be sent."""
        return self.code not in _NOT_CONNECTED


def unavailable(failure: str, error: AwsError, **options: Any) -> StorageUnavailable:
    """Return the gateway's error for a failed call to AWS.

    Args:
        failure: what was not done, as a sentence for the caller, without its full stop.
        error: the cause; only its code is shown.
        options: options of `StorageUnavailable`; `retry_after` is one second by default if the cause is temporary.
    """
    return StorageUnavailable(f"{failure}: {error.code}", **{"retry_after": 1 if error.transient else None, **options})


def may_be_done(error: StorageUnavailable) -> bool:
    """Whether the write that failed with this error may have been executed all the same."""
    return isinstance(error.__cause__, AwsError) and error.__cause__.may_be_done


@contextmanager
def storage_errors(failure: str, **options: Any) -> Iterator[None]:
    """Replace an `AwsError` of the block by `StorageUnavailable`; the arguments are those of `unavailable`."""
    try:
        yield
    except AwsError as error:
        raise unavailable(failure, error, **options) from error
