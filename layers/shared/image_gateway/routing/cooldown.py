"""Cooldown of targets: one that fails repeatedly is left alone for a while, by all processes of the deployment.

One item of the table has all that is known, with times in seconds since 1970. `{key}` is a target's connection and its
model or workflow.

| attribute | content |
| --- | --- |
| `failed#{key}` | when the target failed, in the order of the failures |
| `cooling#{key}` | `until`, and the `reason`: the failure |
| `probe#{key}` | until when one request tries the target; nobody else does meanwhile |
| `expires_at` | when DynamoDB may remove the item, because nothing has failed for a day |

A failure is one write, and nothing is written while targets work. The item decides nothing about costs: where it cannot
be read or written, requests go on with what their process knows.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from image_gateway.aws import Aws, ConditionFailed, Table, time_limit
from image_gateway.errors import StorageUnavailable
from image_gateway.settings import Settings

logger = logging.getLogger(__name__)

FAILURES: Final = 3
"""After how many failures a target is left alone."""
WINDOW_SECONDS: Final = 60.0
"""Within how many seconds these failures must be."""
COOLING_SECONDS: Final = 30.0
"""For how long the target is left alone."""
_KEY: Final = {"pk": {"S": "cooldown#targets"}}
_NOT_READ: Final = "The cooldown cannot be read"
_NOT_WRITTEN: Final = "The cooldown was not written"
_MAX_SECONDS: Final = 2.0
"""How long a request waits for the item."""
_KEPT_SECONDS: Final = 86_400
_KEPT_FAILURES: Final = 12
"""How many failures may be listed before old ones are removed."""


@dataclass(frozen=True, slots=True)
class Cooling:
    """A target that is left alone.

    Attributes:
        until: until when. After that, one request tries it.
        reason: the failure that was the last.
        probe_until: until when a request tries the target; 0: none does.
    """

    until: float
    reason: str
    probe_until: float = 0.0


class Cooldowns:
    """The targets of one deployment that are left alone.

    Args:
        aws: DynamoDB.
        settings: names the table.
        now: returns seconds since 1970.
    """

    def __init__(self, aws: Aws, settings: Settings, *, now: Callable[[], float] = time.time) -> None:
        self._table = Table(aws, settings.table)
        self._now = now
        self._known: dict[str, Cooling] = {}
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def read(self, max_age: float) -> None:
        """Learn which targets are left alone, unless that was read within the last `max_age` seconds."""
        arrived = self._now()
        async with self._reading:
            # What was read since this request arrived is new enough for it.
            if self._read_at >= arrived - max_age:
                return
            try:
                async with time_limit(_MAX_SECONDS, _NOT_READ):
                    self._learn(await self._table.get(_KEY, _NOT_READ) or {})
            except StorageUnavailable as error:
                logger.warning("the cooldown of targets is not known", extra={"reason": error.detail})
            self._read_at = self._now()

    def all(self) -> Mapping[str, Cooling]:
        """Return the targets that are known to be left alone, by their keys."""
        return self._known

    def of_connection(self, connection: str) -> Cooling | None:
        """Return the cooldown of a connection's target that lasts longest; None if it has none now."""
        now = self._now()
        cooling = [
            each for key, each in self._known.items() if key.partition("/")[0] == connection and each.until > now
        ]
        return max(cooling, key=lambda each: each.until, default=None)

    def is_cooling(self, key: str) -> bool:
        """Whether a target is left alone now, also because another request is trying it."""
        cooling = self._known.get(key)
        return cooling is not None and max(cooling.until, cooling.probe_until) > self._now()

    async def may_try(self, key: str, seconds: float) -> bool:
        """Whether a request may try a target. One that was left alone is tried by one request at a time.

        Args:
            key: the target.
            seconds: how long the request may take. If it has reported nothing by then, another one may try the target.
        """
        if key not in self._known:
            return True
        if self.is_cooling(key):
            return False
        try:
            await self._update(
                "SET #probe = :until, expires_at = :expires",
                condition="attribute_exists(#cooling) AND #cooling.#until < :now"
                " AND (attribute_not_exists(#probe) OR #probe < :now)",
                names={"#cooling": f"cooling#{key}", "#probe": f"probe#{key}", "#until": "until"},
                values={":until": _number(self._now() + seconds), ":now": _number(self._now())},
            )
        except ConditionFailed as failed:
            self._learn(failed.item or {})
            return key not in self._known
        except StorageUnavailable:
            return True
        return True

    async def failed(self, key: str, failure: str) -> None:
        """Record that a target has failed. With the third failure within a minute, it is left alone for a while."""
        try:
            item = await self._update(
                "SET #failed = list_append(if_not_exists(#failed, :none), :times), expires_at = :expires",
                names={"#failed": f"failed#{key}"},
                values={":none": {"L": []}, ":times": {"L": [_number(self._now())]}},
            )
            times = [float(value["N"]) for value in item[f"failed#{key}"]["L"]]
            recent = [at for at in times if at > self._now() - WINDOW_SECONDS]
            if key in self._known or len(recent) >= FAILURES:
                await self._leave_alone(key, failure)
            elif len(times) > _KEPT_FAILURES:
                await self._update(
                    "SET #failed = :times, expires_at = :expires",
                    names={"#failed": f"failed#{key}"},
                    values={":times": {"L": [_number(at) for at in recent]}},
                )
        except StorageUnavailable as error:
            logger.warning("a target's failure was not recorded", extra={"target": key, "reason": error.detail})

    async def answered(self, key: str) -> None:
        """Record that a target has answered, if it was left alone before."""
        if key not in self._known:
            return
        try:
            names = {"#failed": f"failed#{key}", "#cooling": f"cooling#{key}", "#probe": f"probe#{key}"}
            await self._update("SET expires_at = :expires REMOVE #failed, #cooling, #probe", names=names)
        except StorageUnavailable as error:
            logger.warning("a target's recovery was not recorded", extra={"target": key, "reason": error.detail})
        self._known.pop(key, None)

    async def give_up(self, key: str) -> None:
        """Record that a request does not try a target after all, so that another one may."""
        try:
            await self._update("SET expires_at = :expires REMOVE #probe", names={"#probe": f"probe#{key}"})
        except StorageUnavailable as error:
            logger.warning("a target is left alone for longer", extra={"target": key, "reason": error.detail})

    async def _leave_alone(self, key: str, failure: str) -> None:
        until = self._now() + COOLING_SECONDS
        logger.warning("a target is left alone", extra={"target": key, "reason": failure})
        await self._update(
            "SET #cooling = :cooling, expires_at = :expires REMOVE #failed, #probe",
            names={"#failed": f"failed#{key}", "#cooling": f"cooling#{key}", "#probe": f"probe#{key}"},
            values={":cooling": {"M": {"until": _number(until), "reason": {"S": failure}}}},
        )

    async def _update(
        self,
        update: str,
        *,
        names: dict[str, str],
        values: dict[str, Any] | None = None,
        condition: str = "",
    ) -> Mapping[str, Any]:
        """Update the item, learn from it, and return it.

        Raises:
            ConditionFailed: the condition does not hold; its item is the stored one.
            StorageUnavailable: the table does not respond.
        """
        conditional = (
            {"ConditionExpression": condition, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"} if condition else {}
        )
        expires = {"N": str(int(self._now() + _KEPT_SECONDS))}
        async with time_limit(_MAX_SECONDS, _NOT_WRITTEN):
            response = await self._table.call(
                "UpdateItem",
                _NOT_WRITTEN,
                Key=_KEY,
                UpdateExpression=update,
                ExpressionAttributeNames=names,
                ExpressionAttributeValues={**(values or {}), ":expires": expires},
                ReturnValues="ALL_NEW",
                **conditional,
            )
        item: Mapping[str, Any] = response["Attributes"]
        self._learn(item)
        return item

    def _learn(self, item: Mapping[str, Any]) -> None:
        known = {}
        for name, value in item.items():
            kind, hash_sign, key = name.partition("#")
            if kind == "cooling" and hash_sign:
                probe = item.get(f"probe#{key}", {"N": "0"})
                fields = value["M"]
                known[key] = Cooling(float(fields["until"]["N"]), fields["reason"]["S"], float(probe["N"]))
        self._known = known


def _number(value: float) -> dict[str, str]:
    return {"N": f"{value:.3f}"}
