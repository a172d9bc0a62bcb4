"""The route of usage: what was requested, made and spent."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, get_args

from fastapi import Header, Query, Response

from image_gateway.access.principals import Principal, Role
from image_gateway.api import Access, GatewayDep, PrincipalDep, access, create_router, error_responses
from image_gateway.container import Gateway
from image_gateway.errors import InvalidRequest, StorageUnavailable
from image_gateway.metering.usage import RETENTION_DAYS, UsageTable
from image_gateway.metering.usage_report import grouped, to_csv, with_token_names
from image_gateway.models.usage import GroupBy, Usage, UsageQuery, UsageRow

router = create_router(prefix="/api/v1/images", tags=["metering"])

_WITH_END_USERS = frozenset({"end_user", "day", "token"})
"""What usage of end users can be grouped by."""
_CSV = "text/csv"


@router.get(
    "/usage",
    response_model=Usage,
    response_model_exclude_none=True,
    responses={200: {"content": {_CSV: {}}}, **error_responses(InvalidRequest, StorageUnavailable)},
)
@access(Access.USER)
async def read_usage(
    gateway: GatewayDep,
    principal: PrincipalDep,
    query: Annotated[UsageQuery, Query()],
    accept: Annotated[str, Header(description="`text/csv` for a table.")] = "",
) -> Usage | Response:
    """Report what was requested, made and spent. Jobs are counted within seconds of their end; refusals are not.

    A user's token sees its own usage, an administrator all.
    """
    today = datetime.now(UTC).date()
    last = query.last or today
    first = query.first or last.replace(day=1)
    groups = _groups(query.group_by)
    _check_range(first, last, today)
    of_end_users = bool(query.end_user) or "end_user" in groups
    if of_end_users and not set(groups) <= _WITH_END_USERS:
        raise InvalidRequest("group_by: end users go together with day and token only", field="group_by")
    items = UsageTable(gateway.aws, gateway.settings).read(first, last, end_users=of_end_users)
    labels = await gateway.end_users.meant(query.end_user) if query.end_user else ()
    owner = None if principal.role >= Role.ADMIN else principal.owner
    rows = await grouped(items, groups, owner=owner, end_users=labels)
    if "token" in groups:
        rows = with_token_names(rows, await _token_names(gateway, principal, rows))
    if _CSV in accept:
        disposition = f'attachment; filename="usage-{first}-{last}.csv"'
        headers = {"Content-Disposition": disposition, "Cache-Control": "no-store"}
        return Response(to_csv(rows, groups), media_type=f"{_CSV}; charset=utf-8", headers=headers)
    return Usage.model_validate({"from": first, "to": last, "rows": rows})


def _groups(text: str) -> list[GroupBy]:
    known = get_args(GroupBy)
    names = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InvalidRequest(f"group_by: {unknown[0][:50]} is none of {', '.join(known)}", field="group_by")
    return [name for name in known if name in names]


def _check_range(first: date, last: date, today: date) -> None:
    if first > last:
        raise InvalidRequest("from must not be after to", field="from")
    if (last - first).days > RETENTION_DAYS:
        raise InvalidRequest(f"from and to must be at most {RETENTION_DAYS} days apart", field="from")
    if first < today - timedelta(days=RETENTION_DAYS) or last > today + timedelta(days=RETENTION_DAYS):
        raise InvalidRequest(f"from and to must be within {RETENTION_DAYS} days of today", field="from")


async def _token_names(gateway: Gateway, principal: Principal, rows: Iterable[UsageRow]) -> Mapping[str, str]:
    """Return the names of the rows' tokens by their ids. A user's token sees its own rows only."""
    if principal.role < Role.ADMIN:
        return {principal.id: principal.name}
    ids = {row.token for row in rows if row.token}
    return await gateway.config_parts.token_registry.names(ids)
