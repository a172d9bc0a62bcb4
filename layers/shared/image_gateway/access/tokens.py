"""Authentication by bearer token. The table stores only the SHA-256 of a token.

The hash is the key of the token's item, so no code compares secrets. The time of a lookup can reveal only hashes: to
measure it, somebody would have to find strings whose hashes share a prefix with a stored hash, and would learn a hash,
not the 256 random bits of the token.
"""

import asyncio
import hashlib
import logging
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from image_gateway.access.principals import Principal, Role
from image_gateway.access.token_limits import read_limits
from image_gateway.aws import Aws, ConditionFailed, Table
from image_gateway.errors import Forbidden, StorageUnavailable
from image_gateway.settings import Settings

logger = logging.getLogger(__name__)

TOKEN_PATTERN = re.compile(r"[!-~]{1,256}")
"""The form of a token. Generated tokens are `igw_` and 32 random bytes in base64."""

_USE_INTERVAL_SECONDS = 3600
"""Minimum time between two records of a token's last use."""
_USE_IS_DUE = "attribute_exists(pk) AND (attribute_not_exists(last_used_at) OR last_used_at <= :due)"
"""Condition of the record: the token is not revoked, and no other process has recorded a use within the interval."""
_MAX_WAIT_SECONDS = 0.5
"""How long a response waits for the record of the use."""


def lookup_key(token: str) -> dict[str, Any]:
    """Return the key of the item that authenticates a token. It has the hash of the secret, which is not stored."""
    return {"pk": {"S": f"token#{hashlib.sha256(token.encode()).hexdigest()}"}}


def listing_key(token_id: str) -> dict[str, Any]:
    """Return the key of the item that lists a token and revokes it."""
    return {"pk": {"S": f"token-id#{token_id}"}}


@dataclass(slots=True)
class _Use:
    """The last use of a token: the key of the item that it is recorded in, and the latest record, since 1970."""

    key: dict[str, Any]
    recorded_at: float


class TokenAuthenticator:
    """Authenticates tokens by the gateway's table, with a cache.

    The last use is recorded in the item that authenticates the token. So a process knows from its lookup whether the
    use is due, and thousands of new processes do not write the same item.

    Args:
        aws: DynamoDB.
        settings: names the table and the lifetime of cache entries.
        now: returns the time in seconds since 1970.
    """

    def __init__(self, aws: Aws, settings: Settings, *, now: Callable[[], float] = time.time) -> None:
        self._table = Table(aws, settings.table)
        self._ttl = settings.token_ttl_seconds
        self._now = now
        self._cache: dict[str, tuple[float, Principal]] = {}
        self._uses: dict[str, _Use] = {}

    async def authenticate(self, token: str) -> Principal | None:
        """Return the token's principal, or None if the token is invalid. A malformed token causes no lookup.

        Raises:
            Forbidden: this version does not know the token's role.
            StorageUnavailable: the table cannot be read.
        """
        if not TOKEN_PATTERN.fullmatch(token):
            return None
        key, now = lookup_key(token), self._now()
        cache_key = key["pk"]["S"]
        looked_up_at, principal = self._cache.get(cache_key, (float("-inf"), None))
        if principal is None or now - looked_up_at >= self._ttl:
            self._cache.pop(cache_key, None)
            principal = await self._find(key)
            if principal is None:
                return None
            self._cache[cache_key] = (now, principal)
        return principal if principal.expires_at is None or now < principal.expires_at else None

    @asynccontextmanager
    async def recording_use(self, principal: Principal) -> AsyncIterator[None]:
        """Record the use of an authenticated token while the block runs, at most once an hour, even if the block fails.

        Lambda freezes a function after its response, so the end of the block waits for the record, for up to 0.5 s.
        """
        now, use = self._now(), self._uses[principal.id]
        if now - use.recorded_at < _USE_INTERVAL_SECONDS:
            yield
            return
        use.recorded_at = now
        recording = asyncio.create_task(self._record_use(principal.id, use.key, now))
        try:
            yield
        finally:
            await asyncio.wait({recording}, timeout=_MAX_WAIT_SECONDS)
            if recording.cancel():
                _log_unrecorded_use(principal.id, "it took too long")

    async def _find(self, key: dict[str, Any]) -> Principal | None:
        # A consistent read, because a replica may still have a token that was just revoked.
        item = await self._table.get(key, "The token cannot be checked")
        if item is None:
            return None
        token_id, expires = item["token_id"]["S"], item.get("token_expires_at")
        # A record of this process may have failed. It is not repeated.
        earlier = self._uses[token_id].recorded_at if token_id in self._uses else float("-inf")
        stored = float(item["last_used_at"]["N"]) if "last_used_at" in item else float("-inf")
        self._uses[token_id] = _Use(key, max(earlier, stored))
        return Principal(
            id=token_id,
            name=item["name"]["S"],
            role=_role(token_id, item["role"]["S"]),
            expires_at=float(expires["N"]) if expires else None,
            **read_limits(item),
            metered="metered" in item,
            forwards_users=item.get("forwards_users") == {"BOOL": True},
        )

    async def _record_use(self, token_id: str, key: dict[str, Any], now: float) -> None:
        try:
            await self._table.call(
                "UpdateItem",
                "The last use of the token was not recorded",
                Key=key,
                UpdateExpression="SET last_used_at = :now",
                ConditionExpression=_USE_IS_DUE,
                # Sent although it is the default, because the functions' policies require it.
                ReturnValues="NONE",
                ExpressionAttributeValues={
                    ":now": {"N": str(int(now))},
                    ":due": {"N": str(int(now) - _USE_INTERVAL_SECONDS)},
                },
            )
        except ConditionFailed:
            pass  # another process has recorded a use, or the token was revoked
        except StorageUnavailable as error:
            _log_unrecorded_use(token_id, error.detail)


def _role(token_id: str, name: str) -> Role:
    """Return the role with this name.

    Raises:
        Forbidden: a newer version, before a rollback, has created the token with a role that this one does not know.
    """
    if role := Role.__members__.get(name.upper()):
        return role
    logger.warning("a token has an unknown role", extra={"token_id": token_id, "role": name})
    raise Forbidden("This token has a role that the deployed version does not know")


def _log_unrecorded_use(token_id: str, reason: str) -> None:
    logger.warning("the last use of a token was not recorded", extra={"token_id": token_id, "error": reason})
