"""What a job works with: its form, and its images, which an edit by event names and the worker resolves once."""

import asyncio
from collections.abc import Sequence

from image_gateway.access.principals import EventPrincipal, Role
from image_gateway.aws.object_store import ObjectStore
from image_gateway.engines.protocol import InputImage
from image_gateway.images.inputs import ImageInputs
from image_gateway.images.sniff import sniff
from image_gateway.images.store import ImageStore
from image_gateway.jobs.input_storage import store_inputs
from image_gateway.models.forms import CreateImageForm, EditImageForm
from image_gateway.models.jobs import Job


class JobInputs:
    """Loads forms and images of jobs.

    Args:
        objects: where the texts that name images wait.
        images: where images lie.
        inputs: resolves texts to images.
    """

    def __init__(self, objects: ObjectStore, images: ImageStore, inputs: ImageInputs) -> None:
        self._objects = objects
        self._images = images
        self._inputs = inputs

    async def assign(self, job: Job, form: CreateImageForm | EditImageForm) -> None:
        """Make a form what a job asks for. Texts that stand for images, of any length, wait in the bucket.

        Raises:
            StorageUnavailable: the bucket does not take them.
        """
        job.request = form.model_dump(mode="json", exclude_unset=True, exclude={"image", "mask"})
        if isinstance(form, EditImageForm):
            await self._objects.put_json(_unresolved(job), {"image": form.image, "mask": form.mask})
            job.inputs = [_unresolved(job)]

    async def load(self, job: Job) -> tuple[CreateImageForm | EditImageForm, Sequence[InputImage], InputImage | None]:
        """The form, the images and the mask. Images resolved here are stored, and `job` names them from then on.

        Raises:
            GatewayError: as `ImageInputs.resolve`.
            StorageUnavailable: the bucket does not answer.
        """
        if job.kind == "generation":
            return CreateImageForm.model_validate(job.request), (), None
        if job.inputs == [_unresolved(job)]:
            requested = await self._objects.get_json(_unresolved(job))
            source = EventPrincipal(id=job.owner, name=job.owner, role=Role.USER)
            images, mask = await self._inputs.resolve(requested["image"], requested["mask"], source)
            await store_inputs(self._images, job, images, mask)
        else:
            found = await asyncio.gather(*(self._image(key) for key in (*job.inputs, job.mask) if key))
            images, mask = tuple(found[: len(job.inputs)]), found[-1] if job.mask else None
        return EditImageForm.model_validate({**job.request, "image": job.inputs}), images, mask

    async def _image(self, key: str) -> InputImage:
        data = await self._images.get(key)
        kind = sniff(data)
        return InputImage(data, kind.content_type, kind.width or 0, kind.height or 0)


def _unresolved(job: Job) -> str:
    return f"inputs/{job.id}/request.json"
