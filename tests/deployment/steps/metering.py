"""What jobs cost, who may spend how much, and who has spent what."""

from typing import Any

from tests.deployment.deployment import FOX, Deployment
from tests.deployment.step import body, step


@step
async def what_jobs_cost_is_reported(deployment: Deployment) -> None:
    """Each is counted when it has ended: by an inline request, or by the worker."""

    async def rows() -> list[dict[str, Any]]:
        usage = body(await deployment.request("GET", "/api/v1/images/usage?group_by=token"))
        return [row for row in usage["rows"] if float(row["usd"]) > 0]

    assert await deployment.until(rows, "the usage of a token is more than nothing")


@step
async def a_token_spends_its_budget_and_no_more(deployment: Deployment) -> None:
    """Two images of 5 cents do not fit into 6 cents, its first limit. With more, the next one is made."""
    form = {"name": "a small budget", "role": "user"}
    created = body(await deployment.request("POST", "/api/v1/images/tokens", json=form), 201)
    request = {"token": created["token"], "json": FOX}
    path = f"/api/v1/images/tokens/{created['id']}"
    try:
        body(await deployment.request("PATCH", path, json={"budget": {"usd": "0.06", "period": "day"}}))
        body(await deployment.request("POST", "/api/v1/images/generations", **request))
        refused = await deployment.request("POST", "/api/v1/images/generations", **request)
        assert body(refused, 429)["code"] == "budget_exceeded"
        body(await deployment.request("PATCH", path, json={"budget": {"usd": "1.00", "period": "day"}}))
        body(await deployment.request("POST", "/api/v1/images/generations", **request))
    finally:
        body(await deployment.request("DELETE", path), 204)

    async def told() -> bool:
        """Return whether there was an event about the budget: the only ones that are not about a job."""
        return any("id" not in event["detail"] for event in deployment.announcements.events())

    await deployment.until(told, "an event says that the budget is used up")
