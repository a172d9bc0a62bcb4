"""Records of jobs whose texts are too large for the table."""

import pytest
from pydantic_core import to_json

from image_gateway.engines.protocol import EngineImage, EngineResult
from image_gateway.engines.result_limits import limit_result
from image_gateway.jobs.record_size import MAX_BYTES, TRUNCATED
from image_gateway.jobs.store import JobStore
from image_gateway.models.forms import MAX_PROMPT, MAX_PROMPT_BYTES, EditImageForm
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


async def test_an_errors_field_is_cut_to_fit(store: JobStore) -> None:
    """It is a text of the engine."""
    job = await leased_job(store)
    job.status = "failed"
    job.error = JobError(status=400, code="engine_rejected", title="t", detail="d", field="x" * 500_000)

    assert await store.finish(job, "a")
    assert job.warnings == [TRUNCATED]


@pytest.mark.parametrize("letter", ["x", "🦊", "\x01"])
async def test_the_largest_record_fits_into_the_table(store: JobStore, letter: str) -> None:
    """Every text of the request, and every image and text of the engine, is as long as it can be."""
    prompt = "x" + letter * min(MAX_PROMPT - 1, (MAX_PROMPT_BYTES - 3) // (len(to_json(letter)) - 2))
    short_fields = ("model", "quality", "background", "output_format", "moderation", "complexity", "input_fidelity")
    form = EditImageForm.model_validate(
        {
            "image": "x",
            "prompt": prompt,
            "negative_prompt": prompt,
            **dict.fromkeys(short_fields, letter * 256),
            **dict.fromkeys(("user", "safety_identifier"), letter * 512),
            **{f"{number}{letter * 500}": None for number in range(100)},
        }
    )
    images = [EngineImage(b"x", seed=2**64 - 1, revised_prompt=letter * 100_000)] * 5_000
    result = EngineResult(images, [letter * 100_000] * 5_000, {"total_tokens": 1}, {"quality": letter * 100_000})
    limit_result(result, "openai")
    request = form.model_dump(mode="json", exclude_unset=True, exclude={"image", "mask"})
    job = new_job(request=request, kind="edit", model=letter * 256, batch=new_job().id, line=10_000)
    job.inputs = [f"inputs/{job.id}/{number}.jpg" for number in range(16)]
    await store.create(job, lease_seconds=60, holder="a")

    job.status, job.usage, job.reported, job.warnings = "succeeded", result.usage, result.reported, result.warnings
    job.images = [
        JobImage(
            key=f"images/2026/01/02/{job.id}/{number}.webp",
            content_type="image/webp",
            width=16_384,
            height=16_384,
            seed=image.seed,
            revised_prompt=image.revised_prompt,
            size=200_000_000,
        )
        for number, image in enumerate(result.images)
    ]

    assert await store.finish(job, "a")
    stored = await store.get(job.id)
    assert stored
    assert len(stored.images) == 64
    assert len(stored.model_dump_json(exclude_none=True).encode()) <= MAX_BYTES
