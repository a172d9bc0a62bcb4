"""Memory that an attempt releases."""

import gc
import weakref
from typing import TYPE_CHECKING, cast

import pytest

from image_gateway.errors import StorageUnavailable
from image_gateway.jobs.attempt import run_attempt
from image_gateway.models.config import ImagesConfig
from image_gateway.models.forms import CreateImageForm
from image_gateway.models.jobs import Job
from image_gateway.routing.destination import Destination

if TYPE_CHECKING:
    from image_gateway.jobs.execution import JobExecutor

pytestmark = pytest.mark.anyio


class LargeImage:
    """Stands for an image in memory."""


class FailingExecutor:
    """Fails while a local variable refers to an image, with an error from a list, as where one of many is raised."""

    image: weakref.ref[LargeImage]

    async def execute(self, *_arguments: object, **_options: object) -> None:
        image = LargeImage()
        self.image = weakref.ref(image)
        failures = [StorageUnavailable("The image was not stored")]
        raise failures[0]


async def test_a_failed_attempt_releases_its_images_at_once() -> None:
    """Their memory is free without a run of the garbage collector."""
    executor = FailingExecutor()
    job = Job(id="job", kind="generation", owner="token:t")
    gc.disable()
    try:
        error = await run_attempt(
            cast("JobExecutor", executor),
            job,
            Destination(engine="openai", model=None, config=ImagesConfig()),
            CreateImageForm(prompt="a fox"),
            remaining=lambda: 9.0,
        )
        image = executor.image()
    finally:
        gc.enable()

    assert (job.status, error and error.code) == ("failed", StorageUnavailable.code)
    assert image is None
