"""Jobs: reading, listing and canceling them, and reading stored images."""

from tests.deployment.deployment import FOX, Deployment, download
from tests.deployment.step import body, step

QUEUED = {"Prefer": "respond-async"}
_LONG = 600.0
"""An engine's latency in seconds that is longer than the run."""


@step
async def a_user_lists_and_reads_own_jobs_and_images(deployment: Deployment) -> None:
    """An image by its id is a redirect to a presigned URL. The job of another owner does not exist for a user."""
    (image,) = await deployment.post("/api/v1/images/generations", {**FOX, "prompt": "a listed fox"})
    job_id = image["id"].rpartition("-")[0]

    assert job_id in [job["id"] for job in (await deployment.get("/api/v1/images/jobs"))["jobs"]]
    assert (await deployment.get(f"/api/v1/images/jobs/{job_id}"))["request"]["prompt"] == "a listed fox"
    found = await deployment.request("GET", f"/api/v1/images/{image['id']}", token=deployment.user_token)
    assert found.status_code == 302
    assert await download(found.headers["location"])
    job = body(await deployment.request("POST", "/api/v1/images/generations", json=FOX))
    await deployment.get(f"/api/v1/images/jobs/{job[0]['id'].rpartition('-')[0]}", 404)


@step
async def a_queued_job_can_be_canceled(deployment: Deployment) -> None:
    """It never reaches the engine, and its cancellation is announced."""
    form = {**FOX, "prompt": "a fox that is not wanted"}
    async with deployment.paused_worker():
        job = await deployment.post("/api/v1/images/generations", form, 202, headers=QUEUED)
        canceled = await deployment.request("DELETE", f"/api/v1/images/jobs/{job['id']}", token=deployment.user_token)
    assert body(canceled)["status"] == "canceled"

    assert (await deployment.until_event(job["id"]))["status"] == "canceled"
    assert deployment.requests_of(form["prompt"]) == 0


@step
async def a_running_job_can_be_canceled(deployment: Deployment) -> None:
    """At once, although the engine cannot be stopped."""
    form = {**FOX, "prompt": "a fox that takes too long"}
    async with deployment.engine_with(latency=_LONG):
        job = await deployment.post("/api/v1/images/generations", form, 202, headers=QUEUED)

        async def is_running() -> bool:
            return bool(deployment.engine.in_flight)

        await deployment.until(is_running, "the engine is called")
        path = f"/api/v1/images/jobs/{job['id']}"
        body(await deployment.request("DELETE", path, token=deployment.user_token))
        await deployment.ended(job["id"], "canceled")
    await deployment.get(f"{path}/result", 409)
