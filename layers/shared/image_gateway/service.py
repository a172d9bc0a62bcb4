"""From a form to stored pictures: which engine, what of the configuration, what the caller is told."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from image_gateway.config_store import ConfigStore
from image_gateway.engines.base import Engine, EngineImage, EngineResult, ImageRequest, PromptWriter
from image_gateway.errors import Disabled, EngineUnavailable, GatewayError
from image_gateway.image_store import ImageStore, StoredPicture
from image_gateway.imagetype import ImageType, sniff
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import Size
from image_gateway.models.forms import MAX_PROMPT, CreateImageForm
from image_gateway.models.pictures import Picture
from image_gateway.telemetry import JobFigures

logger = logging.getLogger(__name__)

REWRITE = (
    "You write prompts for an image model. Rewrite the user's text as one vivid, concrete prompt in the same language, "
    "keeping everything it asks for: subject, style, words to be shown. Answer with the prompt alone."
)


class EngineFactory(Protocol):
    """Makes the engine of one request."""

    def __call__(self, name: str, config: ImagesConfig, *, edit: bool = False) -> Engine:
        """The engine `name` under `config`; `edit` for an edit."""


class ImageService:
    """Makes pictures and stores them.

    Args:
        configs: the configuration of the deployment.
        images: where pictures go.
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

    async def generate(self, form: CreateImageForm, job_id: str) -> list[Picture]:
        """Generate pictures and store them.

        Returns:
            The pictures that were made and stored, in order; each carries the job's warnings.

        Raises:
            Disabled: generation is switched off.
            EngineError: no picture was made.
            StorageUnavailable: none could be stored.
        """
        figures = JobFigures(job_id, "generation")
        try:
            config = (await self._configs.read()).config
            if not config.ENABLE_IMAGE_GENERATION:
                raise Disabled("Image generation is switched off (ENABLE_IMAGE_GENERATION)")
            figures.engine = config.IMAGE_GENERATION_ENGINE
            engine = self._engine(figures.engine, config)
            request, warnings = _request(form, config, job_id)
            figures.model = request.model or ""
            with figures.timed("engine_ms"):
                rewritten, notes = await self._rewritten(request, config)
                result = await engine.generate(rewritten)
            warnings = [*warnings, *notes, *result.warnings]
            if rewritten is not request:
                result.images = [
                    replace(image, revised_prompt=image.revised_prompt or rewritten.prompt) for image in result.images
                ]
            with figures.timed("store_ms"):
                pictures = await self._store(job_id, figures, result, warnings)
            figures.succeeded()
        except GatewayError as error:
            figures.code = error.code
            raise
        else:
            return pictures
        finally:
            figures.emit()

    async def _rewritten(self, request: ImageRequest, config: ImagesConfig) -> tuple[ImageRequest, list[str]]:
        """The request with a rewritten prompt where the operator wants that; a failure leaves it, with a warning."""
        if not config.ENABLE_IMAGE_PROMPT_GENERATION:
            return request, []
        model = config.IMAGE_PROMPT_GENERATION_MODEL
        if not model:
            return request, ["The prompt was not rewritten: IMAGE_PROMPT_GENERATION_MODEL is not set"]
        try:
            writer = self._prompt_writer(config.IMAGE_GENERATION_ENGINE, config)
            text = (await writer.complete(model=model, system=REWRITE, user=request.prompt)).strip()
        except GatewayError as error:
            return request, [f"The prompt was not rewritten: {error.detail}"]
        if not text or len(text) > MAX_PROMPT:
            return request, [f"The prompt was not rewritten: {model} answered {len(text)} characters"]
        return replace(request, prompt=text), []

    async def _store(
        self, job_id: str, figures: JobFigures, result: EngineResult, warnings: Sequence[str]
    ) -> list[Picture]:
        """Store what the engine made, all at once; what is no picture is left out with a warning."""
        metadata = {"engine": figures.engine, "model": figures.model, "job": job_id}
        outcomes = await asyncio.gather(
            *(self._store_one(job_id, number, image, metadata) for number, image in enumerate(result.images)),
            return_exceptions=True,
        )
        failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        for failure in failures:
            if not isinstance(failure, GatewayError):
                raise failure
        pairs = [
            (stored, image)
            for stored, image in zip(outcomes, result.images, strict=True)
            if isinstance(stored, StoredPicture)
        ]
        if not pairs:
            raise failures[0] if failures else EngineUnavailable("The engine answered without pictures")
        if failures:
            first = failures[0]
            warnings = [*warnings, f"{len(failures)} of {len(outcomes)} pictures were lost: {first}"]
        figures.pictures, figures.bytes = len(pairs), sum(len(image.data) for _, image in pairs)
        return [self._picture(stored, image, list(dict.fromkeys(warnings))) for stored, image in pairs]

    async def _store_one(
        self, job_id: str, number: int, image: EngineImage, metadata: dict[str, str]
    ) -> StoredPicture:
        try:
            kind: ImageType = sniff(image.data)
        except ValueError as error:
            raise EngineUnavailable(f"The engine answered what cannot be used: {error}", may_have_cost=True) from None
        return await self._images.put(job_id, number, image.data, kind, metadata)

    def _picture(self, stored: StoredPicture, image: EngineImage, warnings: list[str]) -> Picture:
        url, expires_at = self._images.url(stored)
        return Picture(
            url=url,
            id=stored.id,
            name=stored.name,
            content_type=stored.type.content_type,
            width=stored.type.width,
            height=stored.type.height,
            expires_at=expires_at,
            seed=image.seed,
            revised_prompt=image.revised_prompt,
            warnings=warnings or None,
        )


def _request(form: CreateImageForm, config: ImagesConfig, job_id: str) -> tuple[ImageRequest, list[str]]:
    """What the engine is asked: the form's own values, else the configuration's, else nothing."""
    size = form.size if form.size is not None else config.IMAGE_SIZE or ""
    steps = form.steps if form.steps is not None else config.IMAGE_STEPS
    request = ImageRequest(
        job_id=job_id,
        prompt=form.prompt,
        model=form.model or config.IMAGE_GENERATION_MODEL or None,
        size=Size.parse(size),
        auto_size=size == "auto",
        n=form.n,
        steps=steps,
        negative_prompt=form.negative_prompt or None,
        seed=form.seed,
        quality=form.quality,
        background=form.background,
        output_format=form.output_format,
        style=form.style,
        asked=frozenset(form.asked()),
    )
    return request, [f"{name} is not a field of this request and was ignored" for name in form.unknown_fields()]
