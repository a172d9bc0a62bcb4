"""Conversion of a form to the request that an engine gets."""

from image_gateway.config.engine_choice import EngineChoice
from image_gateway.engines.protocol import ImageRequest
from image_gateway.models.config import ImagesConfig
from image_gateway.models.fields import Size
from image_gateway.models.forms import CreateImageForm, EditImageForm


def build_engine_request(
    form: CreateImageForm | EditImageForm, choice: EngineChoice, config: ImagesConfig, job_id: str
) -> ImageRequest:
    """Build an engine's request, without input images.

    Each parameter has the form's value, else the configured value, else it is unset and the engine's default applies.
    """
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
        # Fields that only shape the gateway's response are not for the engine.
        requested=frozenset(name for name in form.requested() if not type(form).model_fields[name].exclude),
    )
