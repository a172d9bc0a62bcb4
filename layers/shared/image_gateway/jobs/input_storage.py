"""Storage of input images: while a job is queued, they are objects in the bucket, and its record has their keys."""

import asyncio
from collections.abc import Sequence

from image_gateway.engines.protocol import InputImage
from image_gateway.images.store import ImageStore
from image_gateway.models.jobs import Job


async def store_inputs(store: ImageStore, job: Job, images: Sequence[InputImage], mask: InputImage | None) -> None:
    """Store a job's input images and mask, and set its `inputs`, `mask` and `input_bytes`.

    Raises:
        StorageUnavailable: the bucket does not accept them.
    """
    named_images = [(f"{number}.{image.extension}", image) for number, image in enumerate(images)]
    if mask:
        named_images.append((f"mask.{mask.extension}", mask))
    keys = await asyncio.gather(
        *(store.put_input(job.id, name, image.data, image.content_type) for name, image in named_images)
    )
    job.inputs, job.mask = keys[: len(images)], keys[-1] if mask else None
    job.input_bytes = sum(len(image.data) for _name, image in named_images)
