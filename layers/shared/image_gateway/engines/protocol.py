"""The interface of engines: their requests, results and methods."""

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from image_gateway.engines.usage import TokenCounts
from image_gateway.models.fields import Size
from image_gateway.models.images import ModelInfo
from image_gateway.models.input_image import InputImage as InputImage  # noqa: PLC0414 - exported

OPENAI_ONLY_FIELDS = (
    "moderation",
    "input_fidelity",
    "user",
    "safety_identifier",
    "complexity",
    "frame_count",
    "frame_duration_ms",
)
"""Request fields that only the OpenAI API supports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageRequest:
    """One generation or edit, with the configuration's defaults filled in.

    A value of None means that neither the caller nor the configuration set the field: the engine's default applies.

    Attributes:
        requested: names of the fields that the caller set. An engine warns where the operator's parameters override
            them, or where it does not support them.
        aspect_ratio: the ratio from which `size` was calculated, if one was requested instead of pixels.
        approximate_size: whether `size` was calculated from a ratio or a size class, so that others are as good.
        images: the input images; empty for a generation.
        mask: its transparent pixels are the ones to edit (OpenAI's convention; each engine converts it to its own).
            None for a generation.
    """

    job_id: str
    prompt: str = field(repr=False)
    model: str | None = None
    size: Size | None = None
    auto_size: bool = False
    aspect_ratio: str | None = None
    approximate_size: bool = False
    n: int = 1
    steps: int | None = None
    negative_prompt: str | None = field(default=None, repr=False)
    seed: int | None = None
    quality: str | None = None
    background: str | None = None
    output_format: str | None = None
    output_compression: int | None = None
    style: str | None = None
    moderation: str | None = None
    input_fidelity: str | None = None
    user: str | None = field(default=None, repr=False)
    safety_identifier: str | None = field(default=None, repr=False)
    complexity: str | None = None
    frame_count: int | None = None
    frame_duration_ms: int | None = None
    requested: frozenset[str] = frozenset()
    images: tuple[InputImage, ...] = ()
    mask: InputImage | None = None


@dataclass(frozen=True, slots=True)
class EngineImage:
    """An image as the engine returned it: encoded bytes in a format that the image store accepts."""

    data: bytes = field(repr=False)
    seed: int | None = None
    revised_prompt: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SentRequest:
    """What was sent to the engine in the end, after all replacements, as far as it decides the price.

    Attributes:
        model: the model, if the request that was sent names one.
        size: pixels such as `1024x1024`; None if the engine chose them.
        size_class: Gemini's class of the size; None if it is not known.
        quality: the quality; None if the engine chose it.
    """

    model: str | None = None
    size: str | None = None
    size_class: str | None = None
    quality: str | None = None


@dataclass(slots=True)
class EngineResult:
    """The result of a generation or edit.

    Attributes:
        images: the images, in the order of the request.
        warnings: what was not done as requested.
        usage: token counts, where the engine reports them: see `engines.usage`.
        reported: `quality` and `background` of the images, where the engine reports them.
        handled: which of `output_format` and `output_compression` the gateway need not apply any more.
        sent: what was sent to the engine; None where that is what the request says.
        lost: how many images were made, and could not be read.
        may_have_cost_more: whether calls without an image in this result may have been charged.
        seconds: how long the engine says that it worked; None if it does not say.
    """

    images: list[EngineImage] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list, repr=False)
    usage: TokenCounts | None = None
    reported: dict[str, str] = field(default_factory=dict)
    handled: frozenset[str] = frozenset()
    sent: SentRequest | None = None
    lost: int = 0
    may_have_cost_more: bool = False
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """What a language model answered.

    Attributes:
        text: its text.
        usage: token counts, where the model reports them: see `engines.usage`.
    """

    text: str = field(repr=False)
    usage: TokenCounts | None = None


class Engine(Protocol):
    """An engine, created with one request's configuration.

    Every method raises `EngineError`, or `NotConfigured` with the name of the missing field.
    """

    async def generate(self, request: ImageRequest) -> EngineResult:
        """Make `request.n` images from a prompt. Returns at least one image or raises an error."""

    async def edit(self, request: ImageRequest) -> EngineResult:
        """Make `request.n` images from `request.images` and a prompt. Returns at least one or raises an error."""

    async def models(self) -> list[ModelInfo]:
        """Return the models that can make images, as the engine lists them."""

    async def verify(self) -> None:
        """Check that the server is an engine of this kind and accepts the credentials. Raises an error if not."""


@runtime_checkable
class Cancelable(Protocol):
    """An engine that knows the job of each of its runs, so that a job's runs can be stopped by the job's id."""

    async def cancel(self, job_id: str) -> None:
        """Stop the runs of this job on the engine, and no others."""


@runtime_checkable
class Observable(Protocol):
    """An engine that knows whether its server is working, so that a job need not wait inside the server."""

    async def is_busy(self) -> bool:
        """Return whether the server is working, for anyone. False where the server does not say."""


ImageConversion = Literal["resized", "white_where_transparent", "with_colors", "fully_editable", "as_alpha"]
"""What becomes of an input image or a mask: the functions of `images.engine_inputs`."""


class ImageConverter(Protocol):
    """Converts input images and masks to what an engine expects."""

    async def __call__(self, conversion: ImageConversion, *images: InputImage, size: Size | None = None) -> InputImage:
        """Return what the conversion makes of the images, as PNG, in the given size or in that of the first image.

        Raises:
            InvalidImage: the images are too large for it. No engine was called.
        """


class PromptWriter(Protocol):
    """An engine that can also rewrite text."""

    async def complete(self, *, model: str, system: str, user: str) -> Completion:
        """Return the response of the language model `model` to `user`, under the instruction `system`."""


def overlay(
    body: dict[str, Any], params: dict[str, Any] | None, request: ImageRequest, names: dict[str, str]
) -> list[str]:
    """Apply the operator's `params` to a request body, in place, and report which of the caller's fields they change.

    Args:
        body: the engine's own request fields.
        params: the operator's parameters, which override everything. A null removes the field, as some servers fail on
            nulls.
        request: names the fields that the caller set.
        names: engine field → form field, where the two differ.

    Returns:
        One warning for each of the caller's fields that was changed.
    """
    warnings = []
    for name, value in (params or {}).items():
        form_field = names.get(name, name)
        if form_field in request.requested and body.get(name) != value:
            change = "left out" if value is None else f"set to {value!r}"
            warnings.append(f"{form_field} was {change} by the operator's parameters")
        if value is None:
            body.pop(name, None)
        else:
            body[name] = value
    return warnings


def unsupported_warnings(request: ImageRequest, engine: str, *fields: str) -> list[str]:
    """Return one warning for each of `fields` that the caller set and that `engine` does not support."""
    return [f"{name} is not supported by {engine} and was ignored" for name in fields if name in request.requested]
