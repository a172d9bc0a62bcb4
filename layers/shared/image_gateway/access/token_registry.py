"""Tokens as administrators see them: made, listed and revoked.

A token is two items of the table, written together and removed together, and never changed in between but for the last
use. `token#{hash}` is what authentication looks up. `token-id#{id}` is what is listed and revoked by; ids sort by time.
A third item counts the administrators' tokens that never expire. Each change is one transaction, so what happens at
once leaves neither half a token nor a wrong count. The list is a query of an index, which is up to a second late;
nothing is decided by it.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from image_gateway.access.principals import Role
from image_gateway.access.tokens import TOKEN_PATTERN, listing_key, lookup_key
from image_gateway.aws import CONDITION_FAILED, Aws, Table
from image_gateway.errors import Busy, Conflict, NotFound
from image_gateway.ids import uuid7
from image_gateway.models.tokens import NewToken, TokenInfo, TokenPage
from image_gateway.settings import Settings

_LISTED: Final = "token"
_COUNT: Final = {"pk": {"S": "token-count#admin"}}
_KEPT_SECONDS: Final = 7 * 86_400
"""How long an expired token is still listed."""
_TRIES: Final = 8
_NOT_READ: Final = "The tokens cannot be read"

_Item = Mapping[str, Any]


def new_token() -> str:
    """A token nobody has seen."""
    return f"igw_{secrets.token_urlsafe(32)}"


class TokenRegistry:
    """All tokens of a deployment.

    Args:
        aws: clients; DynamoDB.
        settings: names the table.
        now: seconds since 1970.
        sleep: waits, in seconds.
    """

    def __init__(
        self,
        aws: Aws,
        settings: Settings,
        *,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], Any] = asyncio.sleep,
    ) -> None:
        self._table = Table(aws, settings.table, sleep=sleep)
        self._now = now

    async def create(
        self,
        name: str,
        role: Role,
        *,
        token: str | None = None,
        expires_at: datetime | None = None,
        engines: Collection[str] | None = None,
        models: Collection[str] | None = None,
    ) -> NewToken:
        """Store a token and give it with its secret, which nothing can show again.

        Args:
            name: for people.
            role: what it may do.
            token: a secret chosen by the caller; by default a new one.
            expires_at: with its zone; None for never.
            engines: those it may use; None for all.
            models: those it may use; None for all.

        Raises:
            ValueError: `token` has not the form of a token.
            Conflict: the secret is another token's.
            Busy: others change administrators' tokens all the while.
            StorageUnavailable: the table cannot be written.
        """
        token = token or new_token()
        if not TOKEN_PATTERN.fullmatch(token):
            raise ValueError("a token is 1 to 256 printable ASCII characters without spaces")
        token_id = uuid7(int(self._now() * 1000), secrets.randbits(80))
        shared: dict[str, Any] = {"name": {"S": name}, "role": {"S": role.name.lower()}}
        if expires_at is not None:
            shared["token_expires_at"] = {"N": str(expires_at.timestamp())}
            shared["expires_at"] = {"N": str(int(expires_at.timestamp()) + _KEPT_SECONDS)}
        limits = {"engines": engines, "models": models}
        shared |= {limit: {"SS": sorted(names)} for limit, names in limits.items() if names is not None}
        looked_up = {**lookup_key(token), **shared, "token_id": {"S": token_id}}
        listed = {
            **listing_key(token_id),
            **shared,
            "token_pk": looked_up["pk"],
            "created_at": {"N": str(int(self._now()))},
            "listed": {"S": _LISTED},
        }
        writes = [self._put(looked_up), self._put(listed)]
        if role is Role.ADMIN and expires_at is None:
            writes.append(self._count(1))
        if CONDITION_FAILED in await self._transact(writes):
            raise Conflict("There is a token with this secret already")
        return NewToken(**_info(listed).model_dump(), token=token)

    async def page(self, *, limit: int = 20, cursor: str | None = None) -> TokenPage:
        """Tokens, the newest first, from the one after `cursor`, which is the id that ended the last page.

        Raises:
            StorageUnavailable: the table cannot be read.
        """
        start = {**listing_key(cursor), "listed": {"S": _LISTED}} if cursor is not None else None
        tokens: list[TokenInfo] = []
        while True:
            position = {"ExclusiveStartKey": start} if start else {}
            found = await self._table.call(
                "Query",
                _NOT_READ,
                IndexName="listed",
                KeyConditionExpression="listed = :listed",
                ExpressionAttributeValues={":listed": {"S": _LISTED}},
                ScanIndexForward=False,
                # One more than is left tells whether there is another page.
                Limit=limit - len(tokens) + 1,
                **position,
            )
            tokens += [_info(item) for item in found["Items"]]
            start = found.get("LastEvaluatedKey")
            if len(tokens) > limit:
                return TokenPage(tokens=tokens[:limit], cursor=tokens[limit - 1].id)
            if not start:
                return TokenPage(tokens=tokens)

    async def delete(self, token_id: str) -> None:
        """Remove a token: it is nobody's as soon as lookups of it are no longer trusted.

        An administrator's token can be removed only while there is another one that never expires, or when it has
        expired itself. In a table where none was ever made by this class there is no count, which is a count of none.

        Raises:
            NotFound: there is no such token.
            Conflict: no administrator's token that never expires would be left.
            Busy: others change administrators' tokens all the while.
            StorageUnavailable: the table cannot be written.
        """
        found = await self._table.get(listing_key(token_id), _NOT_READ)
        if found is None:
            raise NotFound("There is no such token")
        token = _info(found)
        there = {"ConditionExpression": "attribute_exists(pk)"}
        writes = [self._delete({"pk": found["token_pk"]}), self._delete(listing_key(token_id), **there)]
        if token.role == "admin" and token.expires_at is None:
            writes.append(self._count(-1, leaving=1))
        elif token.role == "admin" and token.expires_at and token.expires_at.timestamp() > self._now():
            writes.append({"ConditionCheck": self._at_least(1)})
        _, gone, *guard = await self._transact(writes) or ("", "")
        if gone == CONDITION_FAILED:
            raise NotFound("There is no such token")
        if CONDITION_FAILED in guard:
            raise Conflict(
                "No administrator's token that never expires would be left: make another one first "
                "(POST /api/v1/images/tokens with the role admin and without expires_at)"
            )

    def _put(self, item: _Item) -> dict[str, Any]:
        return {"Put": {"TableName": self._table.name, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}}

    def _delete(self, key: _Item, **condition: str) -> dict[str, Any]:
        return {"Delete": {"TableName": self._table.name, "Key": key, **condition}}

    def _at_least(self, least: int) -> dict[str, Any]:
        """The condition on the count of administrators' tokens that never expire."""
        return {
            "TableName": self._table.name,
            "Key": _COUNT,
            "ConditionExpression": "lasting >= :least",
            "ExpressionAttributeValues": {":least": {"N": str(least)}},
        }

    def _count(self, change: int, *, leaving: int | None = None) -> dict[str, Any]:
        """Change that count; with `leaving`, only where so many are left."""
        update = {} if leaving is None else self._at_least(leaving - change)
        values = {**update.get("ExpressionAttributeValues", {}), ":change": {"N": str(change)}}
        key = {"TableName": self._table.name, "Key": _COUNT, "UpdateExpression": "ADD lasting :change"}
        return {"Update": {**update, **key, "ExpressionAttributeValues": values}}

    async def _transact(self, writes: list[dict[str, Any]]) -> tuple[str, ...]:
        contended = Busy("Others are changing tokens: nothing was changed", retry_after=1)
        return await self._table.transact(writes, "The token was not changed", tries=_TRIES, contended=contended)


def _info(item: _Item) -> TokenInfo:
    return TokenInfo(
        id=item["pk"]["S"].partition("#")[2],
        name=item["name"]["S"],
        role=item["role"]["S"],
        created_at=_time(item["created_at"]),
        expires_at=_time(item["token_expires_at"]) if "token_expires_at" in item else None,
        last_used_at=_time(item["last_used_at"]) if "last_used_at" in item else None,
        engines=sorted(item["engines"]["SS"]) if "engines" in item else None,
        models=sorted(item["models"]["SS"]) if "models" in item else None,
    )


def _time(number: _Item) -> datetime:
    return datetime.fromtimestamp(float(number["N"]), UTC)
