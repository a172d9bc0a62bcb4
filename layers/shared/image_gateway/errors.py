"""Every error the gateway raises on purpose, and the problem document each becomes.

    GatewayError
    ├── InvalidRequest          422 invalid_request
    │   ├── InvalidSize         400 invalid_size
    │   ├── InvalidImage        400 invalid_image
    │   └── InvalidUrl          400 invalid_url
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
    ├── Busy                    503 busy
    ├── StorageUnavailable      503 storage_unavailable
    └── EngineError
        ├── EngineRejected      400 engine_rejected
        │   └── ContentBlocked  400 content_blocked
        ├── EngineRateLimited   429 engine_rate_limited
        ├── EngineUnavailable   502 engine_unavailable
        ├── EngineTimeout       504 engine_timeout
        └── Interrupted         502 interrupted

`status` and `code` are part of the HTTP contract. `retry_after` is in seconds. `may_have_cost` says that the engine
may have been paid for the failed attempt: such an answer carries `x-should-retry: false`. `outstanding` says that what
the engine was asked for did not arrive, though the engine may have made it, or be making it still: one that finds its
runs again can give it after all.
"""

from typing import Any, ClassVar


class GatewayError(Exception):
    """Base of the tree. `detail` is written for the caller: what was tried, what is wrong, what to do.

    Args:
        detail: one or two sentences, free of secrets.
        field: the form or configuration field at fault, where there is one.
        retry_after: seconds after which the same request may succeed.
        may_have_cost: overrides the class's own answer to "may the engine have been paid?".
        outstanding: whether it can have made, or be making, what did not arrive.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    title: ClassVar[str] = "Internal error"
    should_retry: ClassVar[bool] = False

    def __init__(
        self,
        detail: str,
        *,
        field: str | None = None,
        retry_after: float | None = None,
        may_have_cost: bool = False,
        outstanding: bool = False,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field
        self.retry_after = retry_after
        self.may_have_cost = may_have_cost
        self.outstanding = outstanding


class InvalidRequest(GatewayError):
    """The body, a field or a parameter does not validate."""

    status, code, title = 422, "invalid_request", "The request does not validate"


class InvalidSize(InvalidRequest):
    """A size that is not `WIDTHxHEIGHT` or `auto`, or out of bounds."""

    status, code, title = 400, "invalid_size", "The size cannot be used"


class InvalidImage(InvalidRequest):
    """An input image that cannot be read or used."""

    status, code, title = 400, "invalid_image", "The image cannot be used"


class InvalidUrl(InvalidRequest):
    """A URL that is malformed, or that the gateway will not fetch."""

    status, code, title = 400, "invalid_url", "The URL cannot be used"


class Unauthorized(GatewayError):
    """No credentials. `challenge` is the `WWW-Authenticate` header of the answer (RFC 6750, section 3)."""

    status, code, title = 401, "unauthorized", "Authentication is required"
    challenge: ClassVar[str] = "Bearer"


class InvalidToken(Unauthorized):
    """A token that is nobody's: unknown, malformed, expired or revoked."""

    challenge = 'Bearer error="invalid_token"'


class Forbidden(GatewayError):
    """The caller is known and may not do this."""

    status, code, title = 403, "forbidden", "Not allowed"


class Disabled(Forbidden):
    """The operator has switched this operation off."""

    code, title = "disabled", "Switched off"


class NotFound(GatewayError):
    """No such thing, or somebody else's."""

    status, code, title = 404, "not_found", "Not found"


class PreconditionFailed(GatewayError):
    """`If-Match` names another version than the current one."""

    status, code, title = 412, "precondition_failed", "Changed meanwhile"


class TooLarge(GatewayError):
    """Something sent, or configured, is over a limit."""

    status, code, title = 413, "too_large", "Too large"


class NotConfigured(GatewayError):
    """The operator has not set a field this request needs; `field` names it."""

    status, code, title = 409, "not_configured", "Not configured"


class Conflict(GatewayError):
    """What is asked for no longer makes sense in the state a thing is in."""

    status, code, title = 409, "conflict", "Not possible any more"


class Canceled(GatewayError):
    """The job was canceled by its owner or an admin."""

    status, code, title = 409, "canceled", "Canceled"


class NotQueued(GatewayError):
    """A line of a request file whose file could not be read to its end; nothing was paid."""

    status, code, title = 409, "not_queued", "Not queued"


class Busy(GatewayError):
    """Another writer holds what this request needs; nothing was changed."""

    status, code, title, should_retry = 503, "busy", "Busy", True


class StorageUnavailable(GatewayError):
    """Parameter Store, S3 or DynamoDB did not answer as it should."""

    status, code, title = 503, "storage_unavailable", "Storage is unavailable"


class EngineError(GatewayError):
    """The engine behind the gateway failed or refused; `detail` carries its own words."""


class EngineRejected(EngineError):
    """The engine refuses this request, or the gateway's credentials.

    `engine_code` and `param` are the engine's own code and the parameter it names, where it does.
    """

    status, code, title = 400, "engine_rejected", "The engine refuses the request"

    def __init__(
        self, detail: str, *, engine_code: str | None = None, param: str | None = None, **options: Any
    ) -> None:
        super().__init__(detail, **options)
        self.engine_code = engine_code
        self.param = param


class ContentBlocked(EngineRejected):
    """The engine refuses for its content policy."""

    code, title = "content_blocked", "Blocked by the engine's content policy"


class EngineRateLimited(EngineError):
    """The engine asks to slow down."""

    status, code, title, should_retry = 429, "engine_rate_limited", "The engine is rate limited", True


class EngineUnavailable(EngineError):
    """The engine cannot be reached, or answers what it should not."""

    status, code, title = 502, "engine_unavailable", "The engine is unavailable"


class EngineTimeout(EngineError):
    """The engine took longer than `IMAGE_ENGINE_TIMEOUT`."""

    status, code, title = 504, "engine_timeout", "The engine took too long"


class Interrupted(EngineError):
    """The function ended while the engine was at work: the images may have been paid for, and are lost."""

    status, code, title = 502, "interrupted", "Interrupted"
