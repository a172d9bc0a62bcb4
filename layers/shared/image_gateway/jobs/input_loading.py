"""Loading of a job's form and input images in the worker.

An edit that arrives as an event names its images as text: URLs, ids or base64. The worker resolves them once, and
stores the images for later attempts.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

from image_gateway.access.principals import EventPrincipal, Role
from image_gateway.aws.object_store import ObjectStore
from image_gateway.engines.protocol import InputImage
from image_gateway.errors import InvalidRequest, NotConfigured, NotFound
from image_gateway.images.inputs import ImageInputs
from image_gateway.images.sniff import sniff
from image_gateway.images.store import ImageStore
from image_gateway.jobs.input_storage import store_inputs
from image_gateway.jobs.pricing import event_scopes, reserve
from image_gateway.models.forms import CreateImageForm, EditImageForm
from image_gateway.models.jobs import Job
from image_gateway.routing.router import Router

_STORED = "stored"
"""The member of a job's unresolved texts that replaces them when its images are stored."""
_STORED_FIELDS = ("inputs", "mask", "input_bytes")


class JobInputs:
    """Stores and loads the requests of jobs.

    Args:
        objects: stores the unresolved texts of images.
        images: stores input images.
        inputs: resolves texts to images.
        router: knows which models are routes.
    """

    def __init__(self, objects: ObjectStore, images: ImageStore, inputs: ImageInputs, router: Router) -> None:
        self._objects = objects
        self._images = images
        self._inputs = inputs
        self._router = router

    async def attach_request(self, job: Job, form: CreateImageForm | EditImageForm) -> list[str]:
        """Set the request of a new job, its route, and what it may cost. Long texts of images go to the bucket.

        Returns:
            The scopes whose budgets count for the job.

        Raises:
            NotConfigured: the job has no price, and the operator refuses such jobs.
            InvalidRequest, NotConfigured: it cannot go anywhere, and a budget counts for it.
            StorageUnavailable: the bucket does not accept them, or the configuration cannot be read.
        """
        job.request = form.model_dump(mode="json", exclude_unset=True, exclude={"image", "mask"})
        await self._router.accept(job, form.model)
        if isinstance(form, EditImageForm):
            key = _unresolved_key(job)
            await self._objects.put_json(key, {"image": form.image, "mask": form.mask})
            job.inputs = [key]
        try:
            plan = await self._router.of_job(job)
        except (InvalidRequest, NotConfigured):
            if event_scopes(job.owner, await self._router.metering()):
                # Nothing can be held for it, so that no change of the configuration may let it run.
                raise
            # The worker finds that again, and says so in the job.
            return []
        scopes = event_scopes(job.owner, plan.metering)
        reserve(job, plan, form, limited=bool(scopes))
        if scopes and not job.route:
            # What is held is the price of this destination. No change of the configuration may lead to a dearer one.
            plan.first.record_in(job)
            job.catalogue, job.pinned = plan.catalogue, True
        return scopes

    async def load(self, job: Job) -> tuple[CreateImageForm | EditImageForm, Sequence[InputImage], InputImage | None]:
        """Return a job's form, input images and mask.

        Where the images are still unresolved, they are resolved and stored, and `job` gets their keys. The bucket keeps
        that they are, so that a later attempt knows it if this process dies: see `were_read`.

        Raises:
            GatewayError: as `ImageInputs.resolve`.
            StorageUnavailable: the bucket does not respond.
        """
        if job.kind == "generation":
            return CreateImageForm.model_validate(job.request), (), None
        if job.inputs == [_unresolved_key(job)]:
            document = await self._objects.get_json(_unresolved_key(job))
            if _STORED not in document:
                images, mask = await self._resolve(job, document)
                return _edit_form(job), images, mask
            for name in _STORED_FIELDS:
                setattr(job, name, document[_STORED][name])
        loaded = await asyncio.gather(*(self._load_image(key) for key in (*job.inputs, job.mask) if key))
        images, mask = tuple(loaded[: len(job.inputs)]), loaded[-1] if job.mask else None
        return _edit_form(job), images, mask

    async def were_read(self, job: Job) -> bool:
        """Return whether an attempt that did not end may have called an engine, because it had read the job's images.

        Raises:
            StorageUnavailable: the bucket does not respond.
        """
        if job.inputs != [_unresolved_key(job)]:
            return True
        try:
            return _STORED in await self._objects.get_json(_unresolved_key(job))
        except NotFound:
            return True

    async def _resolve(self, job: Job, texts: dict[str, Any]) -> tuple[Sequence[InputImage], InputImage | None]:
        principal = EventPrincipal(id=job.owner, name=job.owner, role=Role.USER)
        images, mask = await self._inputs.resolve(texts["image"], texts["mask"], principal)
        await store_inputs(self._images, job, images, mask)
        # Without texts, which take memory again otherwise.
        stored = {name: getattr(job, name) for name in _STORED_FIELDS}
        await self._objects.put_json(_unresolved_key(job), {"image": [], "mask": None, _STORED: stored})
        return images, mask

    async def _load_image(self, key: str) -> InputImage:
        data = await self._images.get(key)
        image_type = sniff(data)
        return InputImage(data, image_type.content_type, image_type.width or 0, image_type.height or 0)


def _edit_form(job: Job) -> EditImageForm:
    return EditImageForm.model_validate({**job.request, "image": job.inputs})


def _unresolved_key(job: Job) -> str:
    return f"inputs/{job.id}/request.json"
