"""The token registry: creates, lists and revokes tokens.

A token is two items of the table, which are created together and deleted together. `token#{hash}` is the item for
authentication, in which the time of the last use is recorded: nothing else changes in between. `token-id#{id}` is the
item for listing and revoking; ids sort by time. A third item counts the administrators' tokens that never expire. Each
change is one transaction, so concurrent changes leave neither half a token nor a wrong count. The list is a query of an
index, which lags by up to a second, so no decision depends on it. The index has only keys: the items are read by them.
"""

import asyncio
import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from image_gateway.access.principals import Role
from image_gateway.access.token_limits import read_limits, stored_limits
from image_gateway.access.tokens import TOKEN_PATTERN, listing_key, lookup_key
from image_gateway.aws import CONDITION_FAILED, Aws, Reason, Table
from image_gateway.errors import Busy, Conflict, NotFound
from image_gateway.ids import uuid7
from image_gateway.metering.limit_item import limits_key
from image_gateway.metering.limit_store import LimitStore
from image_gateway.metering.scopes import token_owner
from image_gateway.models.limits import Limits, LimitState
from image_gateway.models.tokens import NewToken, TokenChanges, TokenInfo, TokenPage
from image_gateway.settings import Settings

_LISTED: Final = "token"
_ADMIN_COUNT_KEY: Final = {"pk": {"S": "token-count#admin"}}
_RETENTION_SECONDS: Final = 7 * 86_400
"""How long an expired token stays listed."""
_NOT_READ: Final = "The tokens cannot be read"

_Item = Mapping[str, Any]


def new_token() -> str:
    """Return a new random token."""
    return f"igw_{secrets.token_urlsafe(32)}"


class TokenRegistry:
    """The tokens of a deployment.

    Args:
        aws: DynamoDB.
        settings: names the table.
        now: returns the time in seconds since 1970.
        sleep: waits for a number of seconds.
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
        self._limits = LimitStore(aws, settings, now=now)
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
        connections: Collection[str] | None = None,
        routes: Collection[str] | None = None,
        limits: Limits | None = None,
        forwards_users: bool = False,
    ) -> NewToken:
        """Create a token and return it with its secret, which cannot be shown again.

        Args:
            name: a name for people.
            role: what the token may do.
            token: the secret; by default a new one.
            expires_at: with a time zone; None: never.
            engines: engines that the token may use; None: all.
            models: models that the token may use; None: all.
            connections: connections that the token may use; None: all.
            routes: routes that the token may use with all their targets; None: as the other limits allow.
            limits: its budget and the other limits of its requests; None: there are none.
            forwards_users: whether it is trusted to say who its end users are.

        Raises:
            ValueError: `token` does not have the form of a token.
            Conflict: another token has this secret.
            Busy: every attempt conflicted with another change of administrators' tokens.
            StorageUnavailable: the table cannot be written.
        """
        token = token or new_token()
        if not TOKEN_PATTERN.fullmatch(token):
            raise ValueError("a token is 1 to 256 printable ASCII characters without spaces")
        token_id = uuid7(int(self._now() * 1000), secrets.randbits(80))
        common: dict[str, Any] = {"name": {"S": name}, "role": {"S": role.name.lower()}}
        if expires_at is not None:
            common["token_expires_at"] = {"N": str(expires_at.timestamp())}
            common["expires_at"] = {"N": str(int(expires_at.timestamp()) + _RETENTION_SECONDS)}
        common |= stored_limits({"engines": engines, "models": models, "connections": connections, "routes": routes})
        metered = limits is not None and not limits.is_empty
        common |= {"metered": {"BOOL": True}} if metered else {}
        common |= {"forwards_users": {"BOOL": True}} if forwards_users else {}
        lookup_item = {**lookup_key(token), **common, "token_id": {"S": token_id}}
        listing_item = {
            **listing_key(token_id),
            **common,
            "token_pk": lookup_item["pk"],
            "created_at": {"N": str(int(self._now()))},
            "listed": {"S": _LISTED},
        }
        writes = [self._put(lookup_item), self._put(listing_item)]
        if limits and metered:
            writes.append(self._put(self._limits.new_item(token_owner(token_id), limits)))
        if role is Role.ADMIN and expires_at is None:
            writes.append(self._change_count(1))
        if CONDITION_FAILED in await self._transact(writes):
            raise Conflict("A token with this secret already exists")
        state = await self._limits.state(token_owner(token_id)) if metered else None
        return NewToken(**_info(listing_item, state=state).model_dump(), token=token)

    async def change(self, token_id: str, changes: TokenChanges) -> TokenInfo:
        """Change the limits of a token's requests and whether it forwards users, and return the token.

        Changed limits hold at once; the first ones of a token, and anything else, when the caches of its lookup have
        expired.

        Raises:
            NotFound: the token does not exist.
            Busy: other requests keep changing the same limits.
            StorageUnavailable: the table cannot be written.
        """
        item = await self._table.get(listing_key(token_id), _NOT_READ)
        if item is None:
            raise NotFound("There is no such token")
        scope = token_owner(token_id)
        flags: dict[str, bool] = {}
        if changes.model_fields_set & Limits.model_fields.keys():
            await self._limits.change(scope, lambda limits: limits.after(changes))
            flags |= {} if "metered" in item else {"metered": True}
        if "forwards_users" in changes.model_fields_set:
            flags["forwards_users"] = changes.forwards_users
        keys = ({"pk": item["token_pk"]}, listing_key(token_id))
        revoked = bool(flags) and await self._transact([self._set_flags(key, flags) for key in keys])
        tokens = [] if revoked else await self._read([listing_key(token_id)])
        if not tokens:
            # It was revoked meanwhile. Its limits may have been removed before they were changed here.
            await self._limits.remove(scope)
            raise NotFound("There is no such token")
        return tokens[0]

    def _set_flags(self, key: _Item, flags: Mapping[str, bool]) -> dict[str, Any]:
        update = {
            "UpdateExpression": "SET " + ", ".join(f"{name} = :{name}" for name in flags),
            "ConditionExpression": "attribute_exists(pk)",
            "ExpressionAttributeValues": {f":{name}": {"BOOL": value} for name, value in flags.items()},
        }
        return {"Update": {"TableName": self._table.name, "Key": key, **update}}

    async def page(self, *, limit: int = 20, cursor: str | None = None) -> TokenPage:
        """Return a page of tokens, the newest first. `cursor` is the id of the last token of the previous page.

        Raises:
            StorageUnavailable: the table cannot be read.
        """
        start = {**listing_key(cursor), "listed": {"S": _LISTED}} if cursor is not None else None
        tokens: list[TokenInfo] = []
        while True:
            position = {"ExclusiveStartKey": start} if start else {}
            response = await self._table.call(
                "Query",
                _NOT_READ,
                IndexName="listed",
                KeyConditionExpression="listed = :listed",
                ExpressionAttributeValues={":listed": {"S": _LISTED}},
                ScanIndexForward=False,
                # One more token than the page needs shows whether there is a next page.
                Limit=limit - len(tokens) + 1,
                **position,
            )
            tokens += await self._read([{"pk": item["pk"]} for item in response["Items"]])
            start = response.get("LastEvaluatedKey")
            if len(tokens) > limit:
                return TokenPage(tokens=tokens[:limit], cursor=tokens[limit - 1].id)
            if not start:
                return TokenPage(tokens=tokens)

    async def names(self, ids: Collection[str]) -> dict[str, str]:
        """Return the names of tokens by their ids. Ids without a token are left out.

        Raises:
            StorageUnavailable: the table cannot be read.
        """
        keys = [listing_key(token_id) for token_id in sorted(ids)]
        items = await self._table.get_many(keys, _NOT_READ, consistent=False, attributes=("pk", "name"))
        return {_id(item): item["name"]["S"] for item in items}

    async def delete(self, token_id: str) -> None:
        """Revoke a token. Requests with it are refused when the caches of its lookup have expired.

        An administrator's token can be revoked only if it has expired, or if another one that never expires remains. A
        table without the count has no such token.

        Raises:
            NotFound: the token does not exist.
            Conflict: no administrator's token that never expires would remain.
            Busy: every attempt conflicted with another change of administrators' tokens.
            StorageUnavailable: the table cannot be written.
        """
        item = await self._table.get(listing_key(token_id), _NOT_READ)
        if item is None:
            raise NotFound("There is no such token")
        token = _info(item)
        exists = {"ConditionExpression": "attribute_exists(pk)"}
        writes = [self._delete({"pk": item["token_pk"]}), self._delete(listing_key(token_id), **exists)]
        if "metered" in item:
            writes.append(self._delete(limits_key(token_owner(token_id))))
        if token.role == "admin" and token.expires_at is None:
            writes.append(self._change_count(-1, min_remaining=1))
        elif token.role == "admin" and token.expires_at and token.expires_at.timestamp() > self._now():
            writes.append({"ConditionCheck": self._count_condition(1)})
        _, listing_reason, *count_reasons = await self._transact(writes) or ("", "")
        if listing_reason == CONDITION_FAILED:
            raise NotFound("There is no such token")
        if CONDITION_FAILED in count_reasons:
            raise Conflict(
                "No administrator's token that never expires would remain: create another one first "
                "(POST /api/v1/images/tokens with the role admin and without expires_at)"
            )

    async def _read(self, keys: Sequence[_Item]) -> list[TokenInfo]:
        """Return the tokens whose listing items have these keys, the newest first. Revoked ones are left out."""
        listing = await self._table.get_many(keys, _NOT_READ)
        lookup = await self._table.get_many([{"pk": item["token_pk"]} for item in listing], _NOT_READ)
        uses = {item["pk"]["S"]: item.get("last_used_at") for item in lookup}
        listing.sort(key=lambda item: item["pk"]["S"], reverse=True)
        states = await self._limits.states([token_owner(_id(item)) for item in listing if "metered" in item])
        return [_info(item, uses.get(item["token_pk"]["S"]), states.get(token_owner(_id(item)))) for item in listing]

    def _put(self, item: _Item) -> dict[str, Any]:
        return {"Put": {"TableName": self._table.name, "Item": item, "ConditionExpression": "attribute_not_exists(pk)"}}

    def _delete(self, key: _Item, **condition: str) -> dict[str, Any]:
        return {"Delete": {"TableName": self._table.name, "Key": key, **condition}}

    def _count_condition(self, minimum: int) -> dict[str, Any]:
        """Return the condition that at least `minimum` administrators' tokens never expire."""
        return {
            "TableName": self._table.name,
            "Key": _ADMIN_COUNT_KEY,
            "ConditionExpression": "lasting >= :least",
            "ExpressionAttributeValues": {":least": {"N": str(minimum)}},
        }

    def _change_count(self, change: int, *, min_remaining: int | None = None) -> dict[str, Any]:
        """Return the write that changes the count; with `min_remaining`, only if at least that many remain."""
        update = {} if min_remaining is None else self._count_condition(min_remaining - change)
        values = {**update.get("ExpressionAttributeValues", {}), ":change": {"N": str(change)}}
        key = {"TableName": self._table.name, "Key": _ADMIN_COUNT_KEY, "UpdateExpression": "ADD lasting :change"}
        return {"Update": {**update, **key, "ExpressionAttributeValues": values}}

    async def _transact(self, writes: list[dict[str, Any]]) -> tuple[Reason, ...]:
        contended = Busy("Other requests are changing tokens: nothing was changed", retry_after=1)
        return await self._table.transact(writes, "The token was not changed", contended=contended)


def _id(item: _Item) -> str:
    token_id: str = item["pk"]["S"].partition("#")[2]
    return token_id


def _info(item: _Item, last_used_at: _Item | None = None, state: LimitState | None = None) -> TokenInfo:
    return TokenInfo(
        id=_id(item),
        name=item["name"]["S"],
        role=item["role"]["S"],
        created_at=_datetime(item["created_at"]),
        expires_at=_datetime(item["token_expires_at"]) if "token_expires_at" in item else None,
        last_used_at=_datetime(last_used_at) if last_used_at else None,
        **{limit: None if names is None else sorted(names) for limit, names in read_limits(item).items()},
        forwards_users=item.get("forwards_users") == {"BOOL": True},
        **(dict(state) if state else {}),
    )


def _datetime(number: _Item) -> datetime:
    return datetime.fromtimestamp(float(number["N"]), UTC)
