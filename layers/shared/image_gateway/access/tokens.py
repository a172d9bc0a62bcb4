"""Bearer tokens: who sends one, and what they may do. The table knows only a token's SHA-256.

A token is looked up by that hash as the key of an item, so nothing here compares secrets. What the time of a lookup
tells is about hashes: to use it, somebody would have to find texts whose hashes begin as a stored one does, and would
end with a hash, not with the 256 random bits that it was made of.
"""

import asyncio
import hashlib
import logging
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from image_gateway.access.principals import Principal, Role
from image_gateway.aws import Aws, ConditionFailed, Table
from image_gateway.errors import StorageUnavailable
from image_gateway.settings import Settings

logger = logging.getLogger(__name__)

TOKEN_PATTERN = re.compile(r"[!-~]{1,256}")
"""The form of a token; those that are made here are `igw_` and 32 random bytes."""

_USE_SECONDS = 3600
"""A token's last use is recorded at most that often."""
_DUE = "attribute_exists(pk) AND (attribute_not_exists(last_used_at) OR last_used_at <= :due)"
"""Another process may have recorded it; and what is revoked must not come back."""
_MAX_WAIT_SECONDS = 0.5
"""How long an answer waits for that at most."""


def lookup_key(token: str) -> dict[str, Any]:
    """The key of the item that authentication looks up: all the table knows of a token's text."""
    return {"pk": {"S": f"token#{hashlib.sha256(token.encode()).hexdigest()}"}}


def listing_key(token_id: str) -> dict[str, Any]:
    """The key of the item that a token is listed by."""
    return {"pk": {"S": f"token-id#{token_id}"}}


class TokenAuthenticator:
    """Tokens in the gateway's table.

    Args:
        aws: clients; DynamoDB.
        settings: names the table and how long a lookup is trusted.
        now: seconds since 1970.
    """

    def __init__(self, aws: Aws, settings: Settings, *, now: Callable[[], float] = time.time) -> None:
        self._table = Table(aws, settings.table)
        self._ttl = settings.token_ttl_seconds
        self._now = now
        self._known: dict[str, tuple[float, Principal]] = {}
        self._noted: dict[str, float] = {}

    async def authenticate(self, token: str) -> Principal | None:
        """Whose token this is, or None. What has not the form of a token costs no lookup.

        Raises:
            StorageUnavailable: the table cannot be read.
        """
        if not TOKEN_PATTERN.fullmatch(token):
            return None
        key, now = lookup_key(token), self._now()
        hashed = key["pk"]["S"]
        looked_up_at, principal = self._known.get(hashed, (float("-inf"), None))
        if principal is None or now - looked_up_at >= self._ttl:
            self._known.pop(hashed, None)
            principal = await self._find(key)
            if principal is None:
                return None
            self._known[hashed] = (now, principal)
        return principal if principal.expires_at is None or now < principal.expires_at else None

    @asynccontextmanager
    async def recording_use(self, principal: Principal) -> AsyncIterator[None]:
        """Record, while the block runs, that a token is in use: at most once an hour, and whether or not it succeeds.

        A function may be frozen once it has answered, so the block's end waits for the write, but not for long.
        """
        now = self._now()
        if now - self._noted.get(principal.id, float("-inf")) < _USE_SECONDS:
            yield
            return
        self._noted[principal.id] = now
        noting = asyncio.create_task(self._note_use(principal.id, now))
        try:
            yield
        finally:
            await asyncio.wait({noting}, timeout=_MAX_WAIT_SECONDS)
            if noting.cancel():
                _not_noted(principal.id, "it took too long")

    async def _find(self, key: dict[str, Any]) -> Principal | None:
        # Consistent: of a token that was revoked a moment ago, another copy of the table may not know yet.
        item = await self._table.get(key, "The token cannot be checked")
        if item is None:
            return None
        expires = item.get("token_expires_at")
        return Principal(
            id=item["token_id"]["S"],
            name=item["name"]["S"],
            role=Role[item["role"]["S"].upper()],
            expires_at=float(expires["N"]) if expires else None,
            engines=frozenset(item["engines"]["SS"]) if "engines" in item else None,
            models=frozenset(item["models"]["SS"]) if "models" in item else None,
        )

    async def _note_use(self, token_id: str, now: float) -> None:
        try:
            await self._table.call(
                "UpdateItem",
                "The last use of the token was not recorded",
                Key=listing_key(token_id),
                UpdateExpression="SET last_used_at = :now",
                ConditionExpression=_DUE,
                # Sent although it is the default: the functions' policies require it.
                ReturnValues="NONE",
                ExpressionAttributeValues={":now": {"N": str(int(now))}, ":due": {"N": str(int(now) - _USE_SECONDS)}},
            )
        except ConditionFailed:
            pass  # another process has recorded it, or the token was revoked
        except StorageUnavailable as error:
            _not_noted(token_id, error.detail)


def _not_noted(token_id: str, why: str) -> None:
    logger.warning("the last use of a token was not recorded", extra={"token_id": token_id, "error": why})
