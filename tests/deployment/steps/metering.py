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

    async def reported() -> bool:
        """Return whether there was an event about the budget: the only ones that are not about a job."""
        return any("id" not in event["detail"] for event in deployment.announcements.events())

    await deployment.until(reported, "an event says that the budget is used up")


@step
async def an_end_user_is_found_and_forgotten(deployment: Deployment) -> None:
    """Whom a trusted token names: in a job that ran inline and in one of the worker, and in their usage."""
    form = {"name": "a front end", "role": "user"}
    created = body(await deployment.request("POST", "/api/v1/images/tokens", json=form), 201)
    path = f"/api/v1/images/tokens/{created['id']}"
    try:
        body(await deployment.request("PATCH", path, json={"forwards_users": True}))
        request = {"token": created["token"], "json": FOX, "headers": {"X-OpenWebUI-User-Id": "alice"}}
        body(await deployment.request("POST", "/api/v1/images/generations", **request))
        request["headers"] = {**request["headers"], "Prefer": "respond-async"}
        queued = body(await deployment.request("POST", "/api/v1/images/generations", **request), 202)
        label = (await deployment.ended(queued["id"]))["end_user"]

        async def found(count: int) -> bool:
            jobs = body(await deployment.request("GET", "/api/v1/images/jobs?end_user=alice"))["jobs"]
            return [job["end_user"] for job in jobs] == [label] * count

        async def counted() -> bool:
            usage = body(await deployment.request("GET", f"/api/v1/images/usage?end_user={label}"))
            return [row["requests"] for row in usage["rows"]] == [2]

        await deployment.until(lambda: found(2), "the jobs of an end user are listed")
        await deployment.until(counted, "the usage of an end user is counted")
        done = body(await deployment.request("DELETE", "/api/v1/images/end-users/alice"))
        assert (done["end_user"], done["jobs"], done["usage"], done["complete"]) == (label, 2, 1, True), done
        await deployment.until(lambda: found(0), "an end user is forgotten")
    finally:
        body(await deployment.request("DELETE", path), 204)
