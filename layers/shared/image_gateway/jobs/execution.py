"""Execution of a job at its destination: from its form to stored images."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from image_gateway.aws import Remaining
from image_gateway.engines.protocol import Engine, EngineImage, EngineResult, ImageRequest, InputImage
from image_gateway.engines.result_limits import limit_result
from image_gateway.errors import EngineRejected, EngineUnavailable, GatewayError, Interrupted
from image_gateway.images.output_formats import OutputFormats
from image_gateway.images.provenance import lost_mark_warnings, marked
from image_gateway.images.sniff import sniff
from image_gateway.images.store import ImageStore
from image_gateway.jobs.engine_factory import EngineFactory
from image_gateway.jobs.engine_request import build_engine_request, size_warnings
from image_gateway.jobs.pricing import charge_failed_answer, set_cost
from image_gateway.jobs.prompt_pricing import charge_rewriting
from image_gateway.jobs.prompt_rewriting import PromptRewriter, PromptWriterFactory, Rewriting
from image_gateway.models.fields import Size
from image_gateway.models.forms import CreateImageForm, EditImageForm
from image_gateway.models.jobs import Job, JobImage
from image_gateway.models.money import from_micros
from image_gateway.models.sizes import has_proportion
from image_gateway.routing.destination import Destination
from image_gateway.routing.failures import UNSUPPORTED
from image_gateway.telemetry import JobMetrics

ImageContents = dict[str, bytes]
"""Encoded images by their keys in the bucket."""


class JobExecutor:
    """Calls engines for jobs, and stores the images.

    Args:
        images: stores the images.
        engine: creates an engine.
        prompt_writer: creates a prompt writer.
        formats: converts images to the requested format.
        prepare: completes the configuration of a destination, just before it is used.
    """

    def __init__(
        self,
        images: ImageStore,
        engine: EngineFactory,
        prompt_writer: PromptWriterFactory,
        formats: OutputFormats,
        *,
        prepare: Callable[[Destination], Awaitable[Destination]] | None = None,
    ) -> None:
        self._images = images
        self._engine = engine
        self._rewriter = PromptRewriter(prompt_writer)
        self._formats = formats
        self._prepare = prepare

    async def execute(
        self,
        job: Job,
        destination: Destination,
        form: CreateImageForm | EditImageForm,
        images: Sequence[InputImage] = (),
        *,
        mask: InputImage | None = None,
        contents: ImageContents | None = None,
        remaining: Remaining,
    ) -> None:
        """Execute a job, and set its `engine`, `model`, `images`, `warnings`, `usage`, `reported` and `cost`.

        Args:
            job: the job, running.
            destination: where it goes.
            form: its request.
            images: the images to edit.
            mask: their mask, of the first image's size.
            contents: where given, the encoded images are added to it, for a response that contains them.
            remaining: returns the seconds that are left for converting and storing the images.

        Raises:
            Disabled: generation or editing is switched off.
            EngineError: no image was made.
            StorageUnavailable: no image could be stored.
        """
        metrics = JobMetrics(
            job.id,
            job.kind,
            end_user=job.end_user,
            connection=destination.connection,
            route=job.route,
            engine=destination.engine,
            model=destination.model or "",
        )
        config = destination.for_all
        try:
            destination.require_enabled()
            destination.record_in(job)
            if mask and destination.refuses_masks:
                raise EngineRejected(f"{destination.engine} does not support masks", failure=UNSUPPORTED)
            engine = self._engine(await self._prepare(destination) if self._prepare else destination)
            request = build_engine_request(form, destination, job.id, images)
            request = replace(request, mask=mask)
            job.warnings = [f"{name} is not a field of this request and was ignored" for name in form.unknown_fields()]
            job.warnings += size_warnings(form)
            with metrics.timed("engine_ms"):
                result, seconds = await self._call(job, destination, engine, request)
            limit_result(result, destination.engine)
            job.usage = result.usage
            job.reported = result.reported
            set_cost(job, destination, request, result, seconds)
            with metrics.timed("store_ms"):
                converted = await self._formats.apply(request, result, remaining)
                job.warnings = [*job.warnings, *map(destination.explained, result.warnings)]
                if config.IMAGE_PROVENANCE != "off":
                    job.warnings = [*job.warnings, *lost_mark_warnings(result.images, converted)]
                # An original is freed when its marked copy replaces it: all of both would take twice the memory.
                result.images = []
                # Until its next iteration, the event loop refers to the future that the engine waited for last, and so
                # to that future's result: images, or parts of `result` with their images.
                await asyncio.sleep(0)
                if config.IMAGE_PROVENANCE == "mark":
                    _mark(job, converted)
                await self._store(job, metrics, converted, contents, remaining)
            job.warnings = [*dict.fromkeys([*job.warnings, *_size_warnings(job, request)])]
            metrics.succeeded()
        except GatewayError as error:
            metrics.code = error.code
            error.detail = destination.explained(error.detail)
            charge_failed_answer(job, destination, error.usage)
            raise
        except asyncio.CancelledError:
            metrics.code = Interrupted.code
            raise
        finally:
            metrics.usd = job.cost.usd if job.cost else from_micros(job.charged)
            metrics.emit()

    async def _call(
        self, job: Job, destination: Destination, engine: Engine, request: ImageRequest
    ) -> tuple[EngineResult, float]:
        """Call the engine; for a generation with a rewritten prompt, where that is switched on.

        If rewriting fails, the result has a warning.

        Returns:
            The result, and how many seconds the engine took.
        """
        rewriting = Rewriting()
        if not destination.edit and destination.for_all.ENABLE_IMAGE_PROMPT_GENERATION:
            rewriting = await self._rewriter.rewrite(request.job_id, request.prompt, destination.for_all)
            charge_rewriting(job, destination, rewriting)
            request = replace(request, prompt=rewriting.text or request.prompt)
        started = time.perf_counter()
        result = await (engine.edit(request) if destination.edit else engine.generate(request))
        seconds = time.perf_counter() - started
        if text := rewriting.text:
            result.images = [replace(image, revised_prompt=image.revised_prompt or text) for image in result.images]
        result.warnings[:0] = [rewriting.warning] if rewriting.warning else []
        return result, seconds

    async def _store(
        self,
        job: Job,
        metrics: JobMetrics,
        images: Sequence[EngineImage],
        contents: ImageContents | None,
        remaining: Remaining,
    ) -> None:
        """Store the engine's images concurrently. Images that cannot be stored are left out with a warning.

        Raises:
            GatewayError: no image could be stored.
        """
        outcomes = await asyncio.gather(
            *(self._store_one(job, number, image, contents, remaining) for number, image in enumerate(images)),
            return_exceptions=True,
        )
        failures: list[GatewayError] = []
        for outcome in outcomes:
            if isinstance(outcome, GatewayError):
                failures.append(outcome)
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                job.images.append(outcome)
        if not job.images:
            raise failures[0] if failures else EngineUnavailable("The engine returned no images", may_have_cost=True)
        if failures:
            warning = f"{len(failures)} of {len(outcomes)} images were lost: {failures[0].detail}"
            job.warnings = [*job.warnings, warning]
        metrics.images = len(job.images)
        metrics.bytes = sum(
            len(image.data) for image, outcome in zip(images, outcomes, strict=True) if isinstance(outcome, JobImage)
        )

    async def _store_one(
        self, job: Job, number: int, image: EngineImage, contents: ImageContents | None, remaining: Remaining
    ) -> JobImage:
        try:
            image_type = sniff(image.data)
        except ValueError as error:
            message = f"The engine returned data that cannot be used: {error}"
            raise EngineUnavailable(message, may_have_cost=True) from None
        metadata = {"engine": job.engine, "model": job.model, "job": job.id}
        key = await self._images.put(job.id, number, image.data, image_type, metadata, remaining=remaining)
        stored = JobImage(
            key=key,
            content_type=image_type.content_type,
            width=image_type.width,
            height=image_type.height,
            seed=image.seed,
            revised_prompt=image.revised_prompt,
            size=len(image.data),
        )
        if contents is not None:
            contents[key] = image.data
        return stored


def _mark(job: Job, images: list[EngineImage]) -> None:
    """Replace the images, one by one, by those with the mark that AI made them."""
    for number, image in enumerate(images):
        images[number] = _marked(job, image)


def _marked(job: Job, image: EngineImage) -> EngineImage:
    """Return an image with the mark that AI made it. If that fails, it is unchanged, and the job has a warning."""
    try:
        data = marked(image.data, engine=job.engine, model=job.model, edited=job.kind == "edit")
    except ValueError as reason:
        job.warnings = [*job.warnings, f"An image was not marked as made by AI: {reason}"]
        return image
    return replace(image, data=data)


def _size_warnings(job: Job, request: ImageRequest) -> list[str]:
    """Return a warning if images do not have the requested size, unless an earlier warning mentions the size."""
    if request.size is None or any("size" in warning or str(request.size) in warning for warning in job.warnings):
        return []
    size = (request.size.width, request.size.height)
    others = {f"{i.width}x{i.height}" for i in job.images if i.width and (i.width, i.height) != size}
    if request.approximate_size:
        shape = f"{request.size.width}:{request.size.height}"
        others = {text for text in others if not has_proportion(Size.parse(text) or request.size, shape)}
    if not others:
        return []
    if request.aspect_ratio:
        return [
            f"The engine made {', '.join(sorted(others))} pixels instead of the aspect ratio {request.aspect_ratio}"
        ]
    return [f"The engine made {', '.join(sorted(others))} pixels instead of the size {request.size}"]
