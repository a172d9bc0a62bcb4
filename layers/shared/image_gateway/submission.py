"""How a request becomes a job, and a job an answer."""

import logging
import uuid
from collections.abc import Sequence

from image_gateway.engines.base import InputImage
from image_gateway.errors import GatewayError
from image_gateway.image_store import ImageStore, new_job_id
from image_gateway.job_store import JobStore
from image_gateway.models.forms import CreateImageForm, EditImageForm
from image_gateway.models.jobs import Door, Job, JobError
from image_gateway.models.pictures import Picture
from image_gateway.service import ImageService
from image_gateway.tokens import Principal

logger = logging.getLogger(__name__)


class Submission:
    """Takes requests in.

    Args:
        jobs: where jobs are kept.
        service: what does them.
        lease_seconds: longest time that a function can work on a job: its own timeout.
    """

    def __init__(self, jobs: JobStore, service: ImageService, lease_seconds: float) -> None:
        self._jobs = jobs
        self._service = service
        self._lease_seconds = lease_seconds

    async def run(
        self,
        form: CreateImageForm | EditImageForm,
        principal: Principal,
        *,
        images: Sequence[InputImage] = (),
        mask: InputImage | None = None,
        door: Door = "images",
    ) -> Job:
        """Do a request here and now, and keep a record of it.

        Args:
            form: what is asked for.
            principal: who asks, and will own the job.
            images: the pictures to edit.
            mask: their mask.
            door: the API the request came through.

        Returns:
            The job, succeeded.

        Raises:
            GatewayError: it failed; the record says the same.
        """
        edit = isinstance(form, EditImageForm)
        request = form.model_dump(mode="json", exclude_none=True, exclude={"image", "mask"})
        job = Job(
            id=new_job_id(),
            kind="edit" if edit else "generation",
            owner=principal.owner,
            door=door,
            request=request,
        )
        holder = uuid.uuid4().hex
        await self._service.enabled(edit=edit)
        await self._jobs.create(job, lease_seconds=self._lease_seconds, holder=holder)
        try:
            await self._service.execute(job, form, images, mask)
            job.status = "succeeded"
        except GatewayError as error:
            job.status, job.error = "failed", job_error(error)
            raise
        except BaseException:
            job.status, job.error = "failed", job_error(GatewayError("The gateway failed"))
            raise
        finally:
            await self._record(job, holder)
        return job

    async def _record(self, job: Job, holder: str) -> None:
        """Keep how the job ended. Pictures that are there are answered even if this fails."""
        try:
            await self._jobs.finish(job, holder)
        except GatewayError:
            logger.exception("a job's end was not recorded", extra={"job_id": job.id, "outcome": job.status})


def job_error(error: GatewayError) -> JobError:
    """What a job remembers of an error."""
    return JobError(status=error.status, code=error.code, title=error.title, detail=error.detail, field=error.field)


def pictures(job: Job, images: ImageStore) -> list[Picture]:
    """The answer that a succeeded job stands for, with fresh URLs."""
    answers = []
    for stored in job.pictures:
        url, expires_at = images.url(stored.key)
        picture_id = f"{job.id}-{stored.number}"
        answers.append(
            Picture(
                url=url,
                id=picture_id,
                name=f"{picture_id}.{stored.key.rpartition('.')[2]}",
                content_type=stored.content_type,
                width=stored.width,
                height=stored.height,
                expires_at=expires_at,
                seed=stored.seed,
                revised_prompt=stored.revised_prompt,
                warnings=job.warnings or None,
            )
        )
    return answers
