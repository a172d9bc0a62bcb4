"""The exceptions of the gateway, each with the HTTP status and the code of its response.

    GatewayError
    ├── InvalidRequest          422 invalid_request
    │   ├── InvalidSize         400 invalid_size
    │   ├── InvalidImage        400 invalid_image
    │   └── InvalidUrl          400 invalid_url
    │       ├── PrivateAddress  400 invalid_url
    │       └── UnreachableUrl  400 invalid_url
    │           └── UnresolvedHost 400 invalid_url
    ├── Unauthorized            401 unauthorized
    │   └── InvalidToken        401 unauthorized
    ├── Forbidden               403 forbidden
    │   └── Disabled            403 disabled
    ├── NotFound                404 not_found
    ├── PreconditionFailed      412 precondition_failed
    ├── TooLarge                413 too_large
    ├── NotConfigured           409 not_configured
    ├── Conflict                409 conflict
    ├── Canceled                409 canceled
    ├── NotQueued               409 not_queued
    ├── LimitExceeded           429 rate_limited
    │   └── BudgetExceeded      429 budget_exceeded
    ├── Busy                    503 busy
    ├── StorageUnavailable      503 storage_unavailable
    └── EngineError
        ├── EngineRejected      400 engine_rejected
        │   └── ContentBlocked  400 content_blocked
        ├── EngineRateLimited   429 engine_rate_limited
        ├── EngineUnavailable   502 engine_unavailable
        ├── EngineTimeout       504 engine_timeout
        └── Interrupted         502 interrupted

`status` and `code` are part of the HTTP contract. `retry_after` is in seconds. `may_have_cost` means that the failed
attempt may have been charged by the engine. `outstanding` means that the result did not arrive, but the engine may have
made it or may still be making it: an engine that finds earlier runs again can return it later. `permanent` means that
the same request fails until the operator has changed something. `should_retry` means that the failed attempt was free
and the reason is temporary: a response to any other error has the header `x-should-retry: false`.
"""

from typing import Any, ClassVar


class GatewayError(Exception):
    """Base class of the gateway's exceptions.

    Args:
        detail: one or two sentences for the caller, without secrets: what was tried, what is wrong, what to do.
        field: the form or configuration field with the error, if there is one.
        retry_after: seconds after which the same request may succeed.
        may_have_cost: whether the engine may have charged for the failed attempt.
        outstanding: whether the engine may have made, or may still be making, the result that did not arrive.
        permanent: whether the same request fails until the operator has changed something.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Internal error"
    temporary: ClassVar[bool] = False
    """Whether errors of this class end by themselves. Of other classes, those with a `retry_after` do."""
    failure: str = ""
    """Which failure of a server this is for routes, see `routing.failures`; empty: none that another server avoids."""
    usage: dict[str, Any] | None = None
    """The tokens of an answer without images, which was charged all the same: see `engines.usage`."""

    def __init__(
        self,
        detail: str,
        *,
        field: str | None = None,
        retry_after: float | None = None,
        may_have_cost: bool = False,
        outstanding: bool = False,
        permanent: bool = False,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.retry_after = retry_after
        self.may_have_cost = may_have_cost
        self.outstanding = outstanding
        self.permanent = permanent

    @property
    def should_retry(self) -> bool:
        """Whether the same request may succeed later, and the failed attempt was free."""
        return not (self.may_have_cost or self.permanent) and (self.temporary or self.retry_after is not None)


class InvalidRequest(GatewayError):
    """The body, a field or a parameter is invalid."""

    status, code, title = 422, "invalid_request", "The request is invalid"


class InvalidSize(InvalidRequest):
    """A size is not `WIDTHxHEIGHT` or `auto`, or is out of bounds."""

    status, code, title = 400, "invalid_size", "The size cannot be used"


class InvalidImage(InvalidRequest):
    """An input image cannot be read or used."""

    status, code, title = 400, "invalid_image", "The image cannot be used"


class InvalidUrl(InvalidRequest):
    """A URL is malformed, or the gateway does not fetch it."""

    status, code, title = 400, "invalid_url", "The URL cannot be used"


class PrivateAddress(InvalidUrl):
    """The host of a URL has no public address, and is not among `FetchAllowedHosts`."""


class UnreachableUrl(InvalidUrl):
    """The server of a URL did not answer, or answered with an error that may pass."""


class UnresolvedHost(UnreachableUrl):
    """The name of a URL's host could not be resolved, because the resolver failed."""

    temporary = True


class Unauthorized(GatewayError):
    """The request has no credentials.

    `challenge` is the `WWW-Authenticate` header of the response (RFC 6750, section 3).
    """

    status, code, title = 401, "unauthorized", "Authentication is required"
    challenge: ClassVar[str] = "Bearer"


class InvalidToken(Unauthorized):
    """The token is unknown, malformed, expired or revoked."""

    challenge = 'Bearer error="invalid_token"'


class Forbidden(GatewayError):
    """The caller is authenticated but not allowed to do this."""

    status, code, title = 403, "forbidden", "Not allowed"


class Disabled(Forbidden):
    """The operator has disabled this operation."""

    code, title = "disabled", "Disabled"


class NotFound(GatewayError):
    """The resource does not exist, or has another owner."""

    status, code, title = 404, "not_found", "Not found"


class PreconditionFailed(GatewayError):
    """`If-Match` names a version that is not the current one."""

    status, code, title = 412, "precondition_failed", "The resource has changed"


class TooLarge(GatewayError):
    """A request or a configured value is over a limit."""

    status, code, title = 413, "too_large", "Too large"


class NotConfigured(GatewayError):
    """The request needs a configuration field that the operator has not set; `field` names it."""

    status, code, title = 409, "not_configured", "Not configured"
    failure = "not_configured"


class Conflict(GatewayError):
    """The request is not possible in the current state of the resource."""

    status, code, title = 409, "conflict", "Not possible in the current state"


class Canceled(GatewayError):
    """The job was canceled by its owner or an admin."""

    status, code, title = 409, "canceled", "Canceled"


class NotQueued(GatewayError):
    """A line of a request file was not queued, because the file could not be read to its end; nothing was charged."""

    status, code, title = 409, "not_queued", "Not queued"


class LimitExceeded(GatewayError):
    """The caller or the deployment has as many requests in this minute, or as many open jobs, as it may."""

    status, code, title = 429, "rate_limited", "Too many requests"


class BudgetExceeded(LimitExceeded):
    """The budget has not enough left for the request; nothing was charged."""

    code, title = "budget_exceeded", "The budget is used up"


class Busy(GatewayError):
    """Another writer holds a lock that this request needs; nothing was changed."""

    status, code, title, temporary = 503, "busy", "Busy", True


class StorageUnavailable(GatewayError):
    """Parameter Store, S3, DynamoDB or SQS failed or did not respond. A temporary failure has a `retry_after`."""

    status, code, title = 503, "storage_unavailable", "Storage is unavailable"


class EngineError(GatewayError):
    """The engine failed or refused the request; `detail` contains its error text.

    `failure` replaces the failure of the class.
    """

    failure = "failed"

    def __init__(self, detail: str, *, failure: str = "", **options: Any) -> None:
        super().__init__(detail, **options)
        if failure:
            self.failure = failure


class EngineRejected(EngineError):
    """The engine refuses the request, or the gateway's credentials.

    `engine_code` and `param` are the engine's error code and the parameter that it names, or None.
    """

    status, code, title = 400, "engine_rejected", "The engine refuses the request"
    failure = "rejected"

    def __init__(
        self, detail: str, *, engine_code: str | None = None, param: str | None = None, **options: Any
    ) -> None:
        super().__init__(detail, **options)
        self.engine_code = engine_code
        self.param = param


class ContentBlocked(EngineRejected):
    """The engine refuses the request because of its content policy."""

    code, title = "content_blocked", "Blocked by the engine's content policy"
    failure = "content_blocked"


class EngineRateLimited(EngineError):
    """The engine limits the rate of requests."""

    status, code, title, temporary = 429, "engine_rate_limited", "The engine is rate limited", True
    failure = "rate_limited"


class EngineUnavailable(EngineError):
    """The engine cannot be reached, or its response is invalid."""

    status, code, title, temporary = 502, "engine_unavailable", "The engine is unavailable", True


class EngineTimeout(EngineError):
    """The engine took longer than `IMAGE_ENGINE_TIMEOUT`."""

    status, code, title = 504, "engine_timeout", "The engine took too long"
    failure = "timeout"


class Interrupted(EngineError):
    """The function ended while the engine worked: the images are lost, and may have been charged."""

    status, code, title = 502, "interrupted", "Interrupted"
    failure = ""
