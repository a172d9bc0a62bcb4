"""Bearer tokens: `igw_` and 32 random bytes. The table knows only their SHA-256."""

import asyncio
import hashlib
import re
import secrets
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from image_gateway.aws import Aws, error_code
from image_gateway.errors import Forbidden, StorageUnavailable
from image_gateway.settings import Settings

_TOKEN = re.compile(r"[!-~]{1,256}")


class Role(IntEnum):
    """What a token may do; a higher role may do all that a lower one may."""

    USER = 1
    ADMIN = 2


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is calling. `expires_at` is in seconds since 1970, None for never.

    `engines` and `models` are those it may use; None for all.
    """

    id: str
    name: str
    role: Role
    expires_at: float | None = None
    engines: frozenset[str] | None = None
    models: frozenset[str] | None = None

    @property
    def owner(self) -> str:
        """What jobs and pictures of this caller are owned by."""
        return f"token:{self.id}"

    def require(self, engine: str, model: str | None) -> None:
        """Return if this caller may use the engine with the model, which is None where the engine chooses it.

        Raises:
            Forbidden: it may not.
        """
        if self.engines is not None and engine not in self.engines:
            raise Forbidden(f"This token may not use the engine {engine}", field="model")
        if self.models is not None and (model or "") not in self.models:
            raise Forbidden(f"This token may only use these models: {', '.join(sorted(self.models))}", field="model")


def digest(token: str) -> str:
    """What the table knows of a token: the SHA-256 of its text, in hex."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_token() -> str:
    """A token nobody has seen."""
    return f"igw_{secrets.token_urlsafe(32)}"


class TokenStore:
    """Tokens in the gateway's table.

    Args:
        aws: clients; DynamoDB.
        settings: names the table and how long a lookup is trusted.
        now: seconds since 1970.
    """

    def __init__(self, aws: Aws, settings: Settings, *, now: Callable[[], float] = time.time) -> None:
        self._aws = aws
        self._table = settings.table
        self._ttl = settings.token_ttl_seconds
        self._now = now
        self._known: dict[str, tuple[float, Principal]] = {}

    async def authenticate(self, token: str) -> Principal | None:
        """Whose token this is, or None. What has not the form of a token costs no lookup.

        Raises:
            StorageUnavailable: the table cannot be read.
        """
        if not _TOKEN.fullmatch(token):
            return None
        key, now = digest(token), self._now()
        looked_up_at, principal = self._known.get(key, (float("-inf"), None))
        if principal is None or now - looked_up_at >= self._ttl:
            self._known.pop(key, None)
            principal = await asyncio.to_thread(self._find, key)
            if principal is None:
                return None
            self._known[key] = (now, principal)
        return principal if principal.expires_at is None or now < principal.expires_at else None

    def create(self, name: str, role: Role, *, token: str | None = None, expires_at: float | None = None) -> str:
        """Store a token and give its text, which nothing can show again.

        Args:
            name: for people.
            role: what it may do.
            token: a text chosen by the caller; by default a new one.
            expires_at: seconds since 1970.

        Raises:
            ValueError: `token` has not the form of a token.
            StorageUnavailable: the table cannot be written.
        """
        token = token or new_token()
        if not _TOKEN.fullmatch(token):
            raise ValueError("a token is 1 to 256 printable ASCII characters without spaces")
        item = {
            "pk": {"S": f"token#{digest(token)}"},
            "token_id": {"S": uuid.uuid4().hex[:16]},
            "name": {"S": name},
            "role": {"S": role.name.lower()},
        }
        if expires_at is not None:
            item["token_expires_at"] = {"N": str(int(expires_at))}
        try:
            self._aws.dynamodb.put_item(TableName=self._table, Item=item)
        except self._aws.errors as error:
            raise StorageUnavailable(f"The token was not stored: {error_code(error)}") from error
        return token

    def _find(self, key: str) -> Principal | None:
        try:
            found = self._aws.dynamodb.get_item(TableName=self._table, Key={"pk": {"S": f"token#{key}"}})
        except self._aws.errors as error:
            raise StorageUnavailable(f"The token cannot be checked: {error_code(error)}", retry_after=1) from error
        item = found.get("Item")
        if item is None:
            return None
        expires = item.get("token_expires_at")
        return Principal(
            id=item["token_id"]["S"],
            name=item["name"]["S"],
            role=Role[item["role"]["S"].upper()],
            expires_at=float(expires["N"]) if expires else None,
        )
