"""Which requests are the same request: by `Idempotency-Key`, or by what the OpenAI SDK says of its own retries."""

import hashlib
import json
from dataclasses import dataclass, replace

from image_gateway.errors import InvalidRequest
from image_gateway.models.forms import Form

KEY_SECONDS = 24 * 3_600
"""How long an `Idempotency-Key` is remembered."""
RETRY_SECONDS = 600
"""How long a request is remembered that an SDK may send again by itself."""
MAX_KEY = 255
_AFTER = "#after#"


@dataclass(frozen=True, slots=True)
class Claim:
    """A job's claim on a key: who comes second with it gets the first one's job.

    Attributes:
        key: the key of the item in the table, without secrets.
        body: hash of the request; another one under the same key is a mistake of the caller's.
        seconds: how long the claim stands.
        replaces: takes the key over whoever has it.
    """

    key: str
    body: str
    seconds: int
    replaces: bool = False

    def after(self, job_id: str) -> "Claim":
        """The claim on being the next job of the same request, once that one has failed."""
        return replace(self, key=f"{self.key.partition(_AFTER)[0]}{_AFTER}{job_id}", replaces=False)


def claim_for(
    owner: str, form: Form, idempotency_key: str | None, retry_count: str | None, inputs: str = ""
) -> Claim | None:
    """The claim that a request's headers make, if any.

    Args:
        owner: who asks; keys of different owners are apart.
        form: what is asked for.
        idempotency_key: the header of that name.
        retry_count: the header `X-Stainless-Retry-Count`, which OpenAI's SDKs send.
        inputs: what the request holds beside the form, as text.

    Raises:
        InvalidRequest: the key is empty or too long.
    """
    body = _hash(type(form).__name__, json.dumps(form.requested(), sort_keys=True), inputs)
    if idempotency_key is not None:
        if not 1 <= len(idempotency_key) <= MAX_KEY:
            raise InvalidRequest(f"Idempotency-Key must be 1 to {MAX_KEY} characters", field="Idempotency-Key")
        return Claim(f"idempotency#{owner}#{_hash(idempotency_key)}", body, KEY_SECONDS)
    if retry_count is not None:
        first = not (retry_count.isascii() and retry_count.isdigit() and int(retry_count[:9]) > 0)
        return Claim(f"retry#{owner}#{body}", body, RETRY_SECONDS, replaces=first)
    return None


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
