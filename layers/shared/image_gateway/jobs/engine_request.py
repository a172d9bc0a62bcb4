"""Conversion of a form to the request that an engine gets."""

from collections.abc import Sequence

from image_gateway.engines.protocol import ImageRequest, InputImage
from image_gateway.models.fields import Size
from image_gateway.models.forms import CreateImageForm, EditImageForm
from image_gateway.models.sizes import SIZE_CLASSES, has_proportion, wanted_size
from image_gateway.routing.destination import Destination


def build_engine_request(
    form: CreateImageForm | EditImageForm,
    destination: Destination,
    job_id: str,
    images: Sequence[InputImage] = (),
) -> ImageRequest:
    """Build an engine's request, with the images to edit and without their mask.

    Each parameter has the form's value, else the configured value, else it is unset and the engine's default applies.
    """
    config = destination.config
    if isinstance(form, EditImageForm):
        default_size, default_steps, style, input_fidelity = config.IMAGE_EDIT_SIZE, None, None, form.input_fidelity
    else:
        default_size, default_steps, style, input_fidelity = config.IMAGE_SIZE, config.IMAGE_STEPS, form.style, None
    shape = Size(images[0].width, images[0].height) if images else None
    wanted = wanted_size(form.size, form.aspect_ratio, default_size or "", shape)
    # Fields that only shape the gateway's response are not for the engine.
    requested = {name for name in form.requested() if not type(form).model_fields[name].exclude}
    if "aspect_ratio" in requested:
        requested = requested - {"aspect_ratio"} | {"size"}
    return ImageRequest(
        job_id=job_id,
        prompt=form.prompt,
        model=destination.model,
        size=wanted.size,
        auto_size=wanted.auto,
        aspect_ratio=wanted.aspect_ratio,
        approximate_size=wanted.is_approximate,
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
        requested=frozenset(requested),
        images=tuple(images),
    )


def size_warnings(form: CreateImageForm | EditImageForm) -> list[str]:
    """Return a warning if a form has both a size and an aspect ratio that it does not have."""
    if form.aspect_ratio is None or not form.size or form.size in (form.aspect_ratio, "auto", *SIZE_CLASSES):
        return []
    size = None if ":" in form.size else Size.parse(form.size)
    if size and has_proportion(size, form.aspect_ratio):
        return []
    return [f"aspect_ratio was ignored: the size {form.size} has another one"]
