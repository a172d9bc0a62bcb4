"""The input images of a job while it waits in the queue: objects of the bucket, which the job's record names."""

import asyncio
from collections.abc import Sequence

from image_gateway.engines.protocol import InputImage
from image_gateway.images.store import ImageStore
from image_gateway.models.jobs import Job


async def store_inputs(store: ImageStore, job: Job, images: Sequence[InputImage], mask: InputImage | None) -> None:
    """Store a job's inputs, so that its message need not carry them, and name them in the job.

    Raises:
        StorageUnavailable: the bucket does not take them.
    """
    named = [(f"{number}.{image.extension}", image) for number, image in enumerate(images)]
    if mask:
        named.append((f"mask.{mask.extension}", mask))
    keys = await asyncio.gather(
        *(store.put_input(job.id, name, image.data, image.content_type) for name, image in named)
    )
    job.inputs, job.mask = keys[: len(images)], keys[-1] if mask else None
    job.input_bytes = sum(len(image.data) for _name, image in named)
