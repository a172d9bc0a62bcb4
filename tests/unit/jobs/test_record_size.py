"""Records of jobs whose texts are too large for the table."""

import pytest

from image_gateway.jobs.record_size import TRUNCATED
from image_gateway.jobs.store import JobStore
from image_gateway.models.jobs import JobError, JobImage
from tests.unit.jobs.job_records import leased_job, new_job

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("letter", ["x", "🦊", "\x01"])
async def test_revised_prompts_and_warnings_are_cut_to_fit(store: JobStore, letter: str) -> None:
    """The request and the keys of images are never cut."""
    job = new_job(request={"prompt": "🦊" * 32_000, "negative_prompt": "🦊" * 32_000})
    await store.create(job, lease_seconds=60, holder="a")
    job.status = "succeeded"
    job.images = [
        JobImage(
            key=f"images/2026/01/02/{job.id}/{number}.png", content_type="image/png", revised_prompt=letter * 50_000
        )
        for number in range(10)
    ]
    job.warnings = ["first", letter * 100_000]

    assert await store.finish(job, "a")

    stored = await store.get(job.id)
    assert stored == job
    assert (len(stored.images), len(stored.request["prompt"]), stored.warnings[0]) == (10, 32_000, "first")
    assert stored.warnings[-1] == TRUNCATED
    assert all(image.revised_prompt for image in stored.images)


async def test_a_long_text_that_fits_is_not_cut(store: JobStore) -> None:
    """There is no limit for a single text."""
    job = await leased_job(store)
    job.status = "succeeded"
    job.images = [JobImage(key="k/0.png", content_type="image/png", revised_prompt="x" * 300_000)]

    assert await store.finish(job, "a")

    stored = await store.get(job.id)
    assert stored
    assert stored.warnings == []
    assert stored.images[0].revised_prompt == "x" * 300_000


async def test_a_usage_that_is_too_large_is_left_out(store: JobStore) -> None:
    """An engine can report anything as its token counts."""
    job = await leased_job(store)
    job.status, job.usage = "succeeded", {"text": "x" * 500_000}

    assert await store.finish(job, "a")

    stored = await store.get(job.id)
    assert stored
    assert (stored.usage, stored.warnings) == (None, [TRUNCATED])


async def test_a_reported_quality_and_an_errors_field_are_cut_to_fit(store: JobStore) -> None:
    """Both are texts of the engine."""
    job = await leased_job(store)
    job.status, job.reported = "succeeded", {"quality": "x" * 500_000}
    job.error = JobError(status=400, code="engine_rejected", title="t", detail="d", field="x" * 500_000)

    assert await store.finish(job, "a")
    assert job.warnings == [TRUNCATED]
