"""Detection of repeated requests: by `Idempotency-Key`, or by the header with which OpenAI SDKs mark retries."""

import hashlib
import json
from dataclasses import dataclass, replace

from image_gateway.errors import InvalidRequest, StorageUnavailable
from image_gateway.models.forms import Form
from image_gateway.models.jobs import Job

KEY_SECONDS = 24 * 3_600
"""How long an `Idempotency-Key` is remembered."""
RETRY_SECONDS = 600
"""How long a request is remembered that an SDK may retry by itself."""
UNMARKED_SECONDS = 1_200
"""How long a slow or failed request is remembered that a client may retry without saying so."""
MAX_KEY_LENGTH = 255
"""Maximum length of an `Idempotency-Key`, in characters."""
_AFTER = "#after#"


@dataclass(frozen=True, slots=True)
class Claim:
    """A job's claim on a key: a later request with the same key gets the job that has the claim.

    Attributes:
        key: the key of the item in the table, without secrets.
        body: a hash of the request. A different request under the same key is the caller's mistake.
        seconds: how long the claim is valid.
        replaces: whether the claim replaces an existing claim on the key.
    """

    key: str
    body: str
    seconds: int
    replaces: bool = False

    def after(self, job_id: str) -> "Claim":
        """Return the claim of the next job for the same request, after the job `job_id` has failed."""
        return replace(self, key=f"{self.key.partition(_AFTER)[0]}{_AFTER}{job_id}", replaces=False)


def claim_for(
    owner: str, form: Form, idempotency_key: str | None, retry_count: str | None, inputs: str = ""
) -> Claim | None:
    """Return the claim that a request's headers make, or None without such headers.

    Args:
        owner: the owner of the request; each owner has separate keys.
        form: the request.
        idempotency_key: the header of that name.
        retry_count: the header `X-Stainless-Retry-Count`, which OpenAI's SDKs send.
        inputs: further content of the request beside the form, as text.

    Raises:
        InvalidRequest: the key is empty or too long.
    """
    if idempotency_key is not None:
        if not 1 <= len(idempotency_key) <= MAX_KEY_LENGTH:
            raise InvalidRequest(f"Idempotency-Key must be 1 to {MAX_KEY_LENGTH} characters", field="Idempotency-Key")
        return Claim(f"idempotency#{owner}#{_hash(idempotency_key)}", _body_hash(form, inputs), KEY_SECONDS)
    if retry_count is not None:
        is_first = not (retry_count.isascii() and retry_count.isdigit() and int(retry_count[:9]) > 0)
        return replace(unmarked_claim(owner, form, inputs), seconds=RETRY_SECONDS, replaces=is_first)
    return None


def unmarked_claim(owner: str, form: Form, inputs: str = "") -> Claim:
    """Return the claim of a request without such headers. It is stored only if a client may retry the request."""
    body = _body_hash(form, inputs)
    return Claim(f"retry#{owner}#{body}", body, UNMARKED_SECONDS, replaces=True)


def should_be_retried(job: Job) -> bool:
    """Whether a job failed without cost, and for a reason that may no longer exist."""
    if job.status != "failed":
        return False
    error = job.to_error()
    # The operator ends a permanent error, or a failure of the storage that was not temporary.
    by_operator = error.permanent or isinstance(error, StorageUnavailable)
    return error.should_retry or (by_operator and not error.may_have_cost)


def _body_hash(form: Form, inputs: str) -> str:
    return _hash(type(form).__name__, json.dumps(form.requested(), sort_keys=True), inputs)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
