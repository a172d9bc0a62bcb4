"""From a form to stored images: which engine, what of the configuration, what the caller is told."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from image_gateway.config.engine_choice import EngineChoice, choice_for_job
from image_gateway.config.store import ConfigStore
from image_gateway.engines.protocol import Engine, EngineImage, EngineResult, ImageRequest, InputImage, PromptWriter
from image_gateway.errors import Disabled, EngineUnavailable, GatewayError, Interrupted
from image_gateway.images.output_formats import OutputFormats
from image_gateway.images.sniff import sniff
from image_gateway.images.store import ImageStore
from image_gateway.jobs.engine_factory import EngineFactory
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import Size
from image_gateway.models.forms import MAX_PROMPT, CreateImageForm, EditImageForm
from image_gateway.models.jobs import Job, JobImage
from image_gateway.telemetry import JobMetrics

REWRITE = (
    "You write prompts for an image model. Rewrite the user's text as one vivid, concrete prompt in the same language, "
    "keeping everything it asks for: subject, style, words to be shown. Answer with the prompt alone."
)


ImageContents = dict[str, bytes]
"""Encoded images by their keys in the bucket."""


class JobExecutor:
    """Makes images and stores them.

    Args:
        configs: the configuration of the deployment.
        images: where images go.
        engine: makes an engine.
        prompt_writer: makes what rewrites prompts, for an engine's name.
    """

    def __init__(
        self,
        configs: ConfigStore,
        images: ImageStore,
        engine: EngineFactory,
        prompt_writer: Callable[[str, ImagesConfig], PromptWriter],
    ) -> None:
        self._configs = configs
        self._images = images
        self._engine = engine
        self._prompt_writer = prompt_writer
        self._formats = OutputFormats()

    async def require_enabled(self, *, edit: bool = False) -> ImagesConfig:
        """The configuration, if it lets images be made or edited.

        Raises:
            Disabled: generation or editing is switched off.
        """
        config = (await self._configs.read()).config
        if edit and not config.ENABLE_IMAGE_EDIT:
            raise Disabled("Image editing is switched off (ENABLE_IMAGE_EDIT)")
        if not edit and not config.ENABLE_IMAGE_GENERATION:
            raise Disabled("Image generation is switched off (ENABLE_IMAGE_GENERATION)")
        return config

    async def execute(
        self,
        job: Job,
        form: CreateImageForm | EditImageForm,
        images: Sequence[InputImage] = (),
        mask: InputImage | None = None,
        contents: ImageContents | None = None,
    ) -> None:
        """Do what a job asks for: its `engine`, `model`, `images`, `warnings` and `usage` are filled in.

        Args:
            job: the job, running.
            form: what it asks for.
            images: the images to edit.
            mask: their mask, of the first one's size.
            contents: is given the encoded images by their keys, for a response that holds them.

        Raises:
            Disabled: generation or editing is switched off.
            EngineError: no image was made.
            StorageUnavailable: none could be stored.
        """
        metrics = JobMetrics(job.id, job.kind)
        edit = isinstance(form, EditImageForm)
        try:
            config = await self.require_enabled(edit=edit)
            choice = choice_for_job(job, form.model, config)
            metrics.engine = job.engine = choice.engine
            metrics.model = job.model = choice.model or ""
            engine = self._engine(choice.engine, config, edit=edit)
            request = replace(_request(form, choice, config, job.id), images=tuple(images), mask=mask)
            job.warnings = [f"{name} is not a field of this request and was ignored" for name in form.unknown_fields()]
            with metrics.timed("engine_ms"):
                result = await (engine.edit(request) if edit else self._generate(engine, request, config))
            job.usage = result.usage
            job.reported = result.reported
            with metrics.timed("store_ms"):
                made = await self._formats.apply(request, result)
                job.warnings = [*job.warnings, *result.warnings]
                await self._store(job, metrics, made, contents)
            job.warnings = [*dict.fromkeys([*job.warnings, *_size_warnings(job, request)])]
            metrics.succeeded()
        except GatewayError as error:
            metrics.code = error.code
            raise
        except asyncio.CancelledError:
            metrics.code = Interrupted.code
            raise
        finally:
            metrics.emit()

    async def _generate(self, engine: Engine, request: ImageRequest, config: ImagesConfig) -> EngineResult:
        """Generate, from a rewritten prompt where the operator wants that; a failure to rewrite is a warning."""
        if not config.ENABLE_IMAGE_PROMPT_GENERATION:
            return await engine.generate(request)
        text, warning = await self._rewritten(request.prompt, config)
        result = await engine.generate(replace(request, prompt=text or request.prompt))
        if text:
            result.images = [replace(image, revised_prompt=image.revised_prompt or text) for image in result.images]
        result.warnings[:0] = [warning] if warning else []
        return result

    async def _rewritten(self, prompt: str, config: ImagesConfig) -> tuple[str | None, str | None]:
        """A better prompt, or the reason why there is none."""
        model = config.IMAGE_PROMPT_GENERATION_MODEL
        if not model:
            return None, "The prompt was not rewritten: IMAGE_PROMPT_GENERATION_MODEL is not set"
        try:
            writer = self._prompt_writer(config.IMAGE_GENERATION_ENGINE, config)
            text = (await writer.complete(model=model, system=REWRITE, user=prompt)).strip()
        except GatewayError as error:
            return None, f"The prompt was not rewritten: {error.detail}"
        if not text or len(text) > MAX_PROMPT:
            return None, f"The prompt was not rewritten: {model} answered {len(text)} characters"
        return text, None

    async def _store(
        self, job: Job, metrics: JobMetrics, images: Sequence[EngineImage], contents: ImageContents | None
    ) -> None:
        """Store what the engine made, all at once; what is no image is left out with a warning."""
        outcomes = await asyncio.gather(
            *(self._store_one(job, number, image, contents) for number, image in enumerate(images)),
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
            raise (
                failures[0] if failures else EngineUnavailable("The engine answered without images", may_have_cost=True)
            )
        if failures:
            lost = f"{len(failures)} of {len(outcomes)} images were lost: {failures[0].detail}"
            job.warnings = [*job.warnings, lost]
        metrics.images = len(job.images)
        metrics.bytes = sum(
            len(image.data) for image, outcome in zip(images, outcomes, strict=True) if isinstance(outcome, JobImage)
        )

    async def _store_one(self, job: Job, number: int, image: EngineImage, contents: ImageContents | None) -> JobImage:
        try:
            kind = sniff(image.data)
        except ValueError as error:
            raise EngineUnavailable(f"The engine answered what cannot be used: {error}", may_have_cost=True) from None
        metadata = {"engine": job.engine, "model": job.model, "job": job.id}
        key = await self._images.put(job.id, number, image.data, kind, metadata)
        stored = JobImage(
            key=key,
            content_type=kind.content_type,
            width=kind.width,
            height=kind.height,
            seed=image.seed,
            revised_prompt=image.revised_prompt,
            size=len(image.data),
        )
        if contents is not None:
            contents[key] = image.data
        return stored


def _request(
    form: CreateImageForm | EditImageForm, choice: EngineChoice, config: ImagesConfig, job_id: str
) -> ImageRequest:
    """What the engine is asked: the form's own values, else the configuration's, else nothing."""
    if isinstance(form, EditImageForm):
        default_size, default_steps, style, input_fidelity = config.IMAGE_EDIT_SIZE, None, None, form.input_fidelity
    else:
        default_size, default_steps, style, input_fidelity = config.IMAGE_SIZE, config.IMAGE_STEPS, form.style, None
    size = form.size if form.size is not None else default_size or ""
    return ImageRequest(
        job_id=job_id,
        prompt=form.prompt,
        model=choice.model,
        size=Size.parse(size),
        auto_size=size == "auto",
        n=form.n or 1,
        steps=form.steps if form.steps is not None else default_steps,
        negative_prompt=form.negative_prompt or None,
        seed=form.seed,
        quality=form.quality,
        background=form.background,
        output_format=form.output_format,
        output_compression=form.output_compression,
        style=style,
        moderation=form.moderation,
        input_fidelity=input_fidelity,
        user=form.user,
        safety_identifier=form.safety_identifier,
        complexity=form.complexity,
        frame_count=form.frame_count,
        frame_duration_ms=form.frame_duration_ms,
        # How the answer is to look is no engine's business.
        requested=frozenset(name for name in form.requested() if not type(form).model_fields[name].exclude),
    )


def _size_warnings(job: Job, request: ImageRequest) -> list[str]:
    """Say so where images are not of the size wanted, unless the engine has said it already."""
    if request.size is None or any("size" in said or str(request.size) in said for said in job.warnings):
        return []
    wanted = (request.size.width, request.size.height)
    made = {f"{p.width}x{p.height}" for p in job.images if p.width and (p.width, p.height) != wanted}
    return [f"The engine made {', '.join(sorted(made))} pixels instead of the size {request.size}"] if made else []
