"""One attempt at a job."""

import gc
import weakref
from typing import TYPE_CHECKING, cast

import pytest

from image_gateway.errors import StorageUnavailable
from image_gateway.jobs.attempt import run_attempt
from image_gateway.models.forms import CreateImageForm
from image_gateway.models.jobs import Job

if TYPE_CHECKING:
    from image_gateway.jobs.execution import JobExecutor

pytestmark = pytest.mark.anyio


class ImageInfo:
    """Stands for something large."""


class FailingService:
    """Fails with images in its hands, as where one of many failures is raised."""

    image: weakref.ref[ImageInfo]

    async def execute(self, *_given: object) -> None:
        image = ImageInfo()
        self.image = weakref.ref(image)
        failures = [StorageUnavailable("The image was not stored")]
        raise failures[0]


async def test_a_failed_attempt_holds_no_images() -> None:
    """Once an attempt has failed, what it had in memory is gone, and not when garbage is collected some time."""
    service = FailingService()
    job = Job(id="job", kind="generation", owner="token:t")
    gc.disable()
    try:
        error = await run_attempt(cast("JobExecutor", service), job, CreateImageForm(prompt="a fox"))
        held = service.image()
    finally:
        gc.enable()

    assert (job.status, error and error.code) == ("failed", StorageUnavailable.code)
    assert held is None
